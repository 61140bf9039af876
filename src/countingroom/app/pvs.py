"""The start function of the role `pvs`."""

from __future__ import annotations

from countingroom.app.roles import Platform, Role, Setting
from countingroom.pvs.description import PvsSection


def pvs(setting: Setting) -> Role:
    """The points as process variables of EPICS."""
    from countingroom.pvs.service import PvService

    section = setting.experiment.section(PvsSection)
    name = setting.experiment.experiment.name

    async def run(platform: Platform) -> None:
        service = PvService(platform.bus, setting.clock, section, name)
        platform.ready({"Channel Access": section.port, "PVAccess": section.pva_port})
        await service.run()

    return run
