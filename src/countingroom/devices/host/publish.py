"""Publishes readings in order, one message at a time.

While a message is under way, further changes are collected for the next one: a slow bus gets fewer values, never a
queue. A message that the bus refuses for its size is not sent again: its largest texts become BAD instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from countingroom.bus.port import Bus
from countingroom.bus.publisher import delivery, is_never_carried
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import RequestError
from countingroom.core.messages import Readings, encode
from countingroom.devices.host.points import PointTable

_log = logging.getLogger(__name__)

FLUSH_S = 0.002
"""Shortest time between two messages of one device. A single change is sent at once; many are collected."""

FULL_S = 60.0
"""Time between full messages."""


class ReadingsPump:
    """Publishes a table's changes."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        table: PointTable,
        boot: str,
        *,
        on_refused: Callable[[set[str]], None] = lambda channels: None,
    ) -> None:
        """`on_refused` is called with the changed channels after points became BAD because of their size."""
        self._on_refused = on_refused
        self.refused = 0
        """Messages that the bus refused for their size."""
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
        return partial(self._append, subjects.readings(message.device, full=full), message, message_id)

    async def _append(self, subject: str, message: Readings, message_id: str) -> None:
        try:
            self.position = await self._bus.append(subject, encode(message), message_id=message_id)
        except RequestError as error:
            if not is_never_carried(error):
                raise
            self._drop(message, error)

    def _drop(self, message: Readings, error: RequestError) -> None:
        self.refused += 1
        channels = self._table.drop_largest(message.points, str(error), now_ns=self._clock.now_ns())
        if channels:
            self.full()
        elif self.refused == 1:
            _log.error("%s: readings are lost: %s", message.device, error)
        self._on_refused(channels)
