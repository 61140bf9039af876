"""The start function of the role `fleet`: the engines of its nodes, and the description as it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from countingroom.app.data_folder import FLEET
from countingroom.app.roles import Platform, Role, Setting
from countingroom.core.errors import ConfigurationError
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.experiment.loading import load
from countingroom.fleet.container_sections import has_local_usb
from countingroom.fleet.description import FleetSection
from countingroom.fleet.wanted import wanted


def fleet(setting: Setting) -> Role:
    """The keeper of the fleet of the description."""
    from countingroom.fleet.engines.docker import DockerEngine
    from countingroom.fleet.engines.local_usb import local_usb
    from countingroom.fleet.engines.process import ProcessEngine
    from countingroom.fleet.keeper import DescribedFleet, FleetStore
    from countingroom.fleet.node import Node
    from countingroom.fleet.service import FleetService

    section = setting.experiment.section(FleetSection)
    folder = setting.data / FLEET
    present = wanted(section)

    def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        if one.engine == "process":
            engine = ProcessEngine(setting.clock, folder / one.name, setting.directory)
        else:
            engine = DockerEngine(setting.clock, setting.experiment.experiment.name, one, setting.directory)
        usb = (lambda: asyncio.to_thread(local_usb)) if has_local_usb(one.engine, one.reach.url) else None
        return Node(setting.clock, one.name, one.address, engine, changed, line, usb)

    async def run(platform: Platform) -> None:
        kept = platform.database.fleet
        service = FleetService(
            platform.bus,
            setting.clock,
            FleetStore(record=kept.record, save=kept.save, add=kept.add, revision=kept.revision),
            node,
            DescribedFleet(nodes=present.nodes, titles={name: one.title for name, one in section.services.items()}),
            lambda: asyncio.to_thread(_described, setting.file),
        )
        platform.ready({"nodes": len(section.nodes), "services": len(section.services)})
        await service.run()

    return run


def _described(file: Path | None) -> Revision:
    """What the description wants as it is on disk now. ConfigurationError with every mistake."""
    if file is None:
        raise ConfigurationError(
            "this process was started without the file of a description",
            source="fleet",
            suggestion="start it with `countingroom up` or `countingroom serve`",
        )
    return wanted(load(file).section(FleetSection))
