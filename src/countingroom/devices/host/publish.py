"""Publishes readings in order, one message at a time.

While a message is under way, further changes are collected for the next one: a slow bus gets fewer values, never a
queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from countingroom.bus.port import Bus
from countingroom.bus.publisher import delivery
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.messages import encode
from countingroom.devices.host.points import PointTable

FLUSH_S = 0.002
"""Shortest time between two messages of one device. A single change is sent at once; many are collected."""

FULL_S = 60.0
"""Time between full messages."""


class ReadingsPump:
    """Publishes a table's changes."""

    def __init__(self, bus: Bus, clock: Clock, table: PointTable, boot: str) -> None:
        self._bus = bus
        self._clock = clock
        self._table = table
        self._boot = boot
        self._news = asyncio.Event()
        self._full = True
        self._last_full = float("-inf")
        self._under_way: Callable[[], Awaitable[object]] | None = None
        self._delivery = delivery(clock, f"devices.{table.device}")
        self._turn = asyncio.Lock()
        self.position = 0
        """Of the last message in the stream of readings."""

    def wake(self) -> None:
        """Look for changes now."""
        self._news.set()

    def full(self) -> None:
        """Make the next message a full one."""
        self._full = True
        self._news.set()

    def tick(self) -> None:
        """Called periodically: schedules a full message when it is due."""
        if self._clock.monotonic() - self._last_full >= FULL_S:
            self.full()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            began = self._clock.monotonic()
            if await self.flush():
                await self._clock.sleep(FLUSH_S - (self._clock.monotonic() - began))

    async def flush(self) -> bool:
        """Publish the waiting changes; False when there are none. After a failure the next message is a full one."""
        async with self._turn:
            self._under_way = self._under_way or self._next()
            if self._under_way is None:
                return False
            failures = self._delivery.report.failures
            await self._delivery.run(self._under_way)
            if self._delivery.report.failures > failures:
                self.full()
            self._under_way = None
            return True

    def _next(self) -> Callable[[], Awaitable[object]] | None:
        full, self._full = self._full, False
        message = self._table.message(full=full, boot=self._boot, sent_ns=self._clock.now_ns())
        if message is None:
            return None
        if full:
            self._last_full = self._clock.monotonic()
        message_id = f"{message.device}:{self._boot}:{message.sequence}"
        return partial(self._append, subjects.readings(message.device, full=full), encode(message), message_id)

    async def _append(self, subject: str, data: bytes, message_id: str) -> None:
        self.position = await self._bus.append(subject, data, message_id=message_id)
