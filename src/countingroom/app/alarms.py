"""The start function of the role `alarms`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countingroom.alarms.description import AlarmsSection
from countingroom.app.roles import Platform, Role, Setting
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Experiment

if TYPE_CHECKING:
    from countingroom.alarms.definitions import Definitions


def alarm_definitions(experiment: Experiment) -> Definitions:
    """What the description says of alarms, with the areas that devices, systems and partitions name themselves."""
    from countingroom.alarms.definitions import Definitions

    return Definitions(experiment.section(AlarmsSection), experiment.own_areas)


def alarms(setting: Setting) -> Role:
    """The alarm department: the active engine, or a standby for it."""
    from countingroom.alarms.engine.service import AlarmService
    from countingroom.storage.principals import Principals

    section = setting.experiment.section(AlarmsSection)
    definitions = alarm_definitions(setting.experiment)
    devices = frozenset(name for name, _ in setting.experiment.section(DevicesSection).items())
    beside = tuple(role for role in setting.beside if role != "alarms")

    async def run(platform: Platform) -> None:
        database = platform.database
        service = AlarmService(
            platform.bus,
            setting.clock,
            database.alarms,
            definitions,
            Principals(database.users, setting.clock).principal,
            roles=beside,
            devices=devices,
            history=section.history,
        )
        platform.ready({})
        await service.run()

    return run
