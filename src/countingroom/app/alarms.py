"""The start function of the role `alarms`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from countingroom.alarms.description import AlarmsSection
from countingroom.app.reload.taking import AreasReload
from countingroom.app.roles import Platform, Role, Setting
from countingroom.backup.description import BackupSection
from countingroom.devices.description import DevicesSection
from countingroom.experiment import Experiment
from countingroom.mirror.description import MirrorSection

if TYPE_CHECKING:
    from countingroom.alarms.definitions import Definitions


def alarm_definitions(experiment: Experiment) -> Definitions:
    """What the description says of alarms, with the areas that devices, systems and partitions name themselves."""
    from countingroom.alarms.definitions import Definitions

    scheduled = experiment.section(BackupSection).is_scheduled
    canaries = bool(experiment.section(MirrorSection).never.canaries)
    return Definitions(
        experiment.section(AlarmsSection), experiment.own_areas, has_backups=scheduled, has_canaries=canaries
    )


def alarms(setting: Setting) -> Role:
    """The alarm department: the active engine, or a standby for it."""
    from countingroom.alarms.engine.service import AlarmService
    from countingroom.alarms.rules.rule_engine import RuleParts
    from countingroom.storage.principals import Principals

    section = setting.experiment.section(AlarmsSection)
    definitions = alarm_definitions(setting.experiment)
    devices = frozenset(name for name, _ in setting.experiment.section(DevicesSection).items())
    beside = tuple(role for role in setting.beside if role != "alarms")
    # `serve alarms` is not told whether the others run with simulators.
    perhaps = tuple(role for role in structs.replace(setting, simulate=True).beside if role not in setting.beside)

    async def run(platform: Platform) -> None:
        database = platform.database

        async def partitions() -> frozenset[str]:
            return frozenset(one.name for one in await database.partitions.list())

        service = AlarmService(
            platform.bus,
            setting.clock,
            database.alarms,
            definitions,
            Principals(database.users, setting.clock).principal,
            roles=beside,
            perhaps=perhaps,
            partitions=partitions,
            devices=devices,
            history=section.history,
            outbox=database.notifications,
            experiment=setting.experiment.experiment.name,
            rules=RuleParts(rules=section.rules, store=database.rules, audit=database.audit.append),
            interlocks=database.interlocks,
        )
        platform.reloads.serve(AreasReload(definitions.take_areas))
        platform.ready({})
        await service.run()

    return run
