"""The role `doors`: all doors of the description, in one process that sees the fleet and sends it commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from countingroom.bus.port import Bus
from countingroom.bus.presence import heartbeat
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock
from countingroom.doors.commands import DoorCommands
from countingroom.doors.description import DoorsSection
from countingroom.doors.door import Door
from countingroom.doors.grammar import Grammar
from countingroom.doors.orders import DEPARTMENT, Audit, FleetOrders
from countingroom.doors.published_fleet import DoorView, PublishedFleet
from countingroom.doors.talk import DoorTalk

ROLE = "doors"


class DoorsService:
    """Runs until cancelled."""

    def __init__(
        self, bus: Bus, clock: Clock, section: DoorsSection, version: str, audit: Audit, directory: Path
    ) -> None:
        """`directory`: that of the description."""
        self._bus = bus
        self._clock = clock
        self._fleet = PublishedFleet(bus, clock)
        self._publisher = Publisher(bus, clock, DEPARTMENT)
        self.doors: dict[str, Door] = {}
        for name, one in section.root.items():
            grammar = Grammar(name, is_json=one.protocol == "json")
            view = DoorView(self._fleet, one.nodes, one.services)
            orders = FleetOrders(bus, clock, self._publisher, section.principals[name], audit, self._fleet.keeper_ended)
            commands = DoorCommands(
                clock,
                grammar,
                view,
                orders,
                actor=name,
                version=version,
                reason=one.reason,
                images=directory / one.images if one.images else None,
                talk=DoorTalk(bus, clock, view, orders, one.deadline),
            )
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
            group.create_task(self._publisher.run())
            for part in self._fleet.parts():
                group.create_task(part())
            await self._fleet.ready()
            for name, door in self.doors.items():
                group.create_task(door.serve(opened(name)))
            await listening.wait()
            ready()
            await heartbeat(self._bus, self._clock, role=ROLE, instance="main", boot=uuid4().hex)
