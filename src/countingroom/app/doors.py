"""The start function of the role `doors`."""

from __future__ import annotations

from countingroom import __version__
from countingroom.app.roles import Platform, Role, Setting
from countingroom.doors.description import DoorsSection


def doors(setting: Setting) -> Role:
    """The doors of the description."""
    from countingroom.doors.service import DoorsService

    section = setting.experiment.section(DoorsSection)

    async def run(platform: Platform) -> None:
        service = DoorsService(
            platform.bus, setting.clock, section, __version__, platform.database.audit.append, setting.directory
        )
        await service.run(lambda: platform.ready({name: door.listen for name, door in section.root.items()}))

    return run
