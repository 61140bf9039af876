"""A fleet in memory beside a console: its real keeper over engines that do what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from countingroom.bus.port import Bus
from countingroom.core.clock import Clock
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.port import Engine
from countingroom.fleet.keeper import DescribedFleet, FleetStore
from countingroom.fleet.node import Node
from countingroom.fleet.service import FleetService
from countingroom.fleet.wanted import wanted
from countingroom.storage.database import Database
from countingroom.testing.fake_actor import FakeActor
from countingroom.testing.fake_engine import FakeEngine

CATEGORIES = {"n1": "daq", "n2": "gfa", "n3": "gfa"}
_QUICK: dict[str, object] = {
    "title": "Camera <b>server</b>",
    "nodes": ["*"],
    "actor": {"port": "{label.port}"},
    "update": {"healthy_for": 0.2, "canary": True},
    "health": {"exec": ["check"], "interval": 0.1, "failures": 1},
    "start_period": 0,
}


class PlayedFleet:
    """Three nodes and the service `camera` on each of them."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        database: Database,
        section: Callable[[str], FleetSection] | None = None,
        engine: Callable[[WantedNode], Engine] | None = None,
    ) -> None:
        """`section`: what is described with a program or image; `engine`: of a node, in place of one in memory."""
        self.clock = clock
        self.engines = {name: FakeEngine(clock) for name in CATEGORIES}
        self.actors = {name: FakeActor(name) for name in CATEGORIES}
        self._describes = section or self._section
        self._engine = engine or self._in_memory
        self.described = self._describes("camera-1" if section is None else "camera:1")
        kept = database.fleet
        self._service = FleetService(
            bus,
            clock,
            FleetStore(record=kept.record, save=kept.save, add=kept.add, revision=kept.revision),
            self._node,
            DescribedFleet(nodes=wanted(self.described).nodes, titles={"camera": "Camera <b>server</b>"}),
            self._describe,
        )

    def edit(self, program: str) -> None:
        """The description wants another program from now on."""
        self.described = self._describes(program)

    async def run(self) -> None:
        """Keep the fleet until cancelled."""
        self._loop = asyncio.get_running_loop()
        await self._service.run()

    def say(self, node: str, text: str) -> None:
        """The camera of a node writes a line. From any thread."""
        self._loop.call_soon_threadsafe(self.engines[node].say, InstanceId("camera", node), text)

    def _section(self, program: str) -> FleetSection:
        nodes = {
            name: {"category": category, "labels": {"port": f"1999{name[1]}"}} for name, category in CATEGORIES.items()
        }
        return FleetSection.model_validate({"nodes": nodes, "services": {"camera": {**_QUICK, "command": [program]}}})

    def _in_memory(self, one: WantedNode) -> Engine:
        return self.engines[one.name]

    async def _describe(self) -> Revision:
        return wanted(self.described)

    def _node(self, one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        dial = self.actors[one.name].dial
        return Node(self.clock, one.name, one.address, self._engine(one), changed, line, dial=dial)
