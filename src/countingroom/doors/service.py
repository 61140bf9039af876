"""The role `doors`: all doors of the description, in one process that sees the fleet and sends it commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

from countingroom.bus.port import Bus
from countingroom.bus.presence import heartbeat
from countingroom.core.clock import Clock
from countingroom.doors.commands import DoorCommands
from countingroom.doors.description import DoorsSection
from countingroom.doors.door import Door
from countingroom.doors.grammar import Grammar
from countingroom.doors.published_fleet import DoorView, PublishedFleet

ROLE = "doors"


class DoorsService:
    """Runs until cancelled."""

    def __init__(self, bus: Bus, clock: Clock, section: DoorsSection, version: str) -> None:
        self._bus = bus
        self._clock = clock
        self._fleet = PublishedFleet(bus, clock)
        self.doors: dict[str, Door] = {}
        for name, one in section.root.items():
            grammar = Grammar(name, is_json=one.protocol == "json")
            view = DoorView(self._fleet, one.nodes, one.services)
            commands = DoorCommands(clock, grammar, view, section.principals[name], version)
            self.doors[name] = Door(clock, name, one, grammar, commands, version)

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve. `ready` is called when every door listens. ConfigurationError where one cannot."""
        listening = asyncio.Event()
        waiting = set(self.doors)

        def opened(name: str) -> Callable[[], None]:
            def note() -> None:
                waiting.discard(name)
                if not waiting:
                    listening.set()

            return note

        async with asyncio.TaskGroup() as group:
            for part in self._fleet.parts():
                group.create_task(part())
            await self._fleet.ready()
            for name, door in self.doors.items():
                group.create_task(door.serve(opened(name)))
            await listening.wait()
            ready()
            await heartbeat(self._bus, self._clock, role=ROLE, instance="main", boot=uuid4().hex)
