"""The start function of the role `alarms`."""

from __future__ import annotations

from countingroom.alarms.description import AlarmsSection
from countingroom.app.roles import Platform, Role, Setting


def alarms(setting: Setting) -> Role:
    """The alarm department: the active engine, or a standby for it."""
    from countingroom.alarms.definitions import Definitions
    from countingroom.alarms.engine.service import AlarmService
    from countingroom.storage.principals import Principals

    section = setting.experiment.section(AlarmsSection)
    definitions = Definitions(section)
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
            history=section.history,
        )
        platform.ready({})
        await service.run()

    return run
