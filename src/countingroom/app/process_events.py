"""Publishes the events of the supervised processes, and of the bus server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from countingroom.app.supervisor import ChildChange
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock
from countingroom.core.messages import Event, EventKind

DEPARTMENT = "processes"
_BEFORE = 1000
"""Events that are kept until the bus is there."""


class ProcessEvents:
    """Events of this process, which begin before it is connected to the bus."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._publisher: Publisher | None = None
        self._before: list[Event] = []

    def add(self, event: Event) -> None:
        """Publish an event as soon as the bus takes it."""
        if self._publisher:
            self._publisher.event(event)
        else:
            self._before = [*self._before, event][-_BEFORE:]

    def add_change(self, change: ChildChange) -> None:
        """Queue the event of a child that started or ended."""
        self.add(
            Event(
                id=uuid.uuid4().hex,
                kind=EventKind.PROCESS,
                time_ns=self._clock.now_ns(),
                department=DEPARTMENT,
                source=change.name,
                message=change.message,
                severity=0 if change.planned or (change.running and not change.hangs) else 2,
                data={"pid": change.pid, "running": change.running},
            )
        )

    @asynccontextmanager
    async def on(self, bus: Bus) -> AsyncGenerator[None]:
        """Publish on this bus while the block runs; at its end each event that waits is tried once more."""
        self._publisher = publisher = Publisher(bus, self._clock, DEPARTMENT)
        for event in self._before:
            publisher.event(event)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(publisher.run(), name="record")
            try:
                yield
            finally:
                task.cancel()
                await publisher.drain()
