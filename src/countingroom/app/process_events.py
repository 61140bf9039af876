"""Publishes the events of the supervised processes.

While the bus is not reached, events wait in a bounded queue. A full queue drops its oldest event.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from countingroom.app.supervisor import ChildChange
from countingroom.bus.port import Bus
from countingroom.bus.publisher import append_event
from countingroom.core.clock import Clock
from countingroom.core.messages import Event, EventKind
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

DEPARTMENT = "processes"
WAITING = 1000
_AGAIN_S = 0.5


class ProcessEvents:
    """The queue of events to publish."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        report = edge_log(_log, "events of processes wait for the bus", "events of processes reach the bus again")
        self._retry = Retry(clock, report, pause_s=_AGAIN_S)

    def add(self, event: Event) -> None:
        """Queue an event; drop the oldest one when the queue is full."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(event)

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
                severity=0 if change.running else 2,
                data={"pid": change.pid, "running": change.running},
            )
        )

    @asynccontextmanager
    async def on(self, bus: Bus) -> AsyncGenerator[None]:
        """Publish queued events on this bus while the block runs."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self._bring(bus), name="record")
            try:
                yield
            finally:
                task.cancel()

    async def _bring(self, bus: Bus) -> None:
        while True:
            event = await self._waiting.get()
            await self._retry.run(partial(append_event, bus, event))
