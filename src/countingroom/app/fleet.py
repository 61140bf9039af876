"""The start function of the role `fleet`: the engines of its nodes, and the description as it is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countingroom.app.data_folder import FLEET
from countingroom.app.fleet_programs import OwnPrograms
from countingroom.app.roles import Platform, Role, Setting
from countingroom.core.errors import ConfigurationError, CountingRoomError
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.core.fleet.usage import UseLimits
from countingroom.experiment.loading import load_located
from countingroom.fleet.container_sections import has_local_usb
from countingroom.fleet.description import FleetSection
from countingroom.fleet.own_programs import OwnProgram
from countingroom.fleet.wanted import wanted

_log = logging.getLogger(__name__)


def fleet(setting: Setting) -> Role:
    """The keeper of the fleet of the description."""
    from countingroom.fleet.engines.docker import DockerEngine
    from countingroom.fleet.engines.local_usb import local_usb
    from countingroom.fleet.engines.port import UsbEngine
    from countingroom.fleet.engines.process import ProcessEngine
    from countingroom.fleet.engines.slurm import SlurmEngine
    from countingroom.fleet.engines.ssh import SshEngine
    from countingroom.fleet.keeper import DescribedFleet, FleetStore
    from countingroom.fleet.log_archive import LogArchive
    from countingroom.fleet.node import Node
    from countingroom.fleet.presence import ServicePresence
    from countingroom.fleet.service import FleetService
    from countingroom.fleet.watch import WatchSettings

    section = setting.experiment.section(FleetSection)
    folder, name = setting.data / FLEET, setting.experiment.experiment.name
    present, watch = wanted(section), section.watch
    titles = {name: one.title for name, one in section.services.items()}

    async def run(platform: Platform) -> None:
        presence = ServicePresence(platform.bus, setting.clock)

        def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
            if one.engine == "process":
                engine = ProcessEngine(setting.clock, folder / one.name, setting.directory)
            elif one.engine == "ssh":
                engine = SshEngine(setting.clock, name, one, setting.directory)
            elif one.engine == "slurm":
                engine = SlurmEngine(setting.clock, name, one, folder / one.name, setting.directory)
            else:
                archive = LogArchive(folder / one.name / "logs")
                engine = DockerEngine(setting.clock, name, one, setting.directory, archive)
            usb = engine.usb if isinstance(engine, UsbEngine) else None
            if has_local_usb(one.engine, one.reach.url):
                usb = lambda: asyncio.to_thread(local_usb)  # noqa: E731
            return Node(setting.clock, one.name, one.address, engine, changed, line, usb, absent=presence.absent)

        kept = platform.database.fleet
        if any(one.run for one in section.services.values()):
            await asyncio.to_thread(_write_logins, setting)
        service = FleetService(
            platform.bus,
            setting.clock,
            FleetStore(record=kept.record, save=kept.save, add=kept.add, revision=kept.revision),
            node,
            DescribedFleet(nodes=present.nodes, titles=titles, directory=setting.directory),
            lambda: asyncio.to_thread(_described, setting),
            WatchSettings(
                every_s=watch.every,
                limits=UseLimits(
                    disk=(watch.disk.warning, watch.disk.alarm),
                    clock_offset=(watch.clock_offset.warning, watch.clock_offset.alarm),
                ),
            ),
        )
        platform.ready({"nodes": len(section.nodes), "services": len(section.services)})
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(presence.run())
            await service.run()
            hearing.cancel()

    return run


def _write_logins(setting: Setting) -> None:
    """Write the passwords of services that are agents or roles anew: they are read when one is started."""
    try:
        _read(setting)
    except CountingRoomError as error:
        _log.warning("fleet: the description on disk cannot be used: %s", error)


def _read(setting: Setting) -> tuple[FleetSection, dict[str, list[OwnProgram]]]:
    if setting.file is None:
        raise ConfigurationError(
            "this process was started without the file of a description",
            source="fleet",
            suggestion="start it with `countingroom up` or `countingroom serve`",
        )
    loaded = load_located(setting.file)
    made = OwnPrograms(loaded, setting.directory, setting.data, simulate=setting.simulate).made()
    return loaded.experiment.section(FleetSection), made


def _described(setting: Setting) -> Revision:
    """What the description wants as it is on disk now. ConfigurationError with every mistake."""
    section, programs = _read(setting)
    return wanted(section, programs)
