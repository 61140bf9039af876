"""The start function of the role `pvs`."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from countingroom.app.roles import Platform, Role, Setting
from countingroom.pvs.description import PvsSection

if TYPE_CHECKING:
    from countingroom.storage.database import Database


def pvs(setting: Setting) -> Role:
    """The points as process variables of EPICS."""
    from countingroom.pvs.service import PvService

    section = setting.experiment.section(PvsSection)
    name = setting.experiment.experiment.name

    async def run(platform: Platform) -> None:
        async with AsyncExitStack() as stack:
            audit = (await stack.enter_async_context(_database(setting))).audit.append if section.write else None
            service = PvService(platform.bus, setting.clock, section, name, audit)
            platform.ready({"Channel Access": section.port, "PVAccess": section.pva_port})
            await service.run()

    return run


def _database(setting: Setting) -> AbstractAsyncContextManager[Database]:
    """For the audit of what clients write. A server that nobody can write to needs none of its libraries."""
    from countingroom.app.database import WhenAway, opened

    when_away = WhenAway.GO_ON if setting.again else WhenAway.FAIL
    return opened(setting.experiment.storage, setting.data, setting.clock, when_away=when_away)
