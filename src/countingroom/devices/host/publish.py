"""Publishes readings in order, one message at a time.

While a message is under way, further changes are collected for the next one: a slow bus gets fewer values, never a
queue. A message that the bus refuses for its size is not sent again: its largest texts become BAD instead. While the
link is up and the stream does not store (its disk is full), messages are sent to the present listeners, wait in a
bounded queue and are stored later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.publisher import is_never_carried
from countingroom.bus.unstored_queue import LostSpan, UnstoredQueue
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError, RequestError
from countingroom.core.messages import Readings, encode
from countingroom.core.retry import edge_log
from countingroom.devices.host.points import PointTable

_log = logging.getLogger(__name__)

FLUSH_S = 0.002
"""Shortest time between two messages of one device. A single change is sent at once; many are collected."""

FULL_S = 60.0
"""Time between full messages."""

BEHIND_S = 0.5
"""Time between two messages of one device while they are not stored: the queue then covers a longer time."""
BEHIND = 2400
"""Messages of one device that wait while they are not stored: twenty minutes."""
_BEHIND_BYTES = 8 << 20
_RETRY_S = 0.25


class _Outgoing(Struct, frozen=True, kw_only=True, eq=False):
    """An encoded message of readings."""

    subject: str
    data: bytes
    id: str
    sent_ns: int


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
        on_lost: Callable[[LostSpan], None] = lambda lost: None,
    ) -> None:
        """`on_refused` is called with the changed channels after points became BAD because of their size. `on_lost` is
        called when the queue is empty again and messages were dropped from it meanwhile."""
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
        self._under_way: Readings | None = None
        self._behind: UnstoredQueue[_Outgoing] = UnstoredQueue(most=BEHIND, most_bytes=_BEHIND_BYTES)
        self._behind_news = asyncio.Event()
        source = f"devices.{table.device}"
        self._report = edge_log(
            _log, f"{source}: the bus does not take what is published", f"{source}: the bus takes it again"
        )
        self._turn = asyncio.Lock()
        self._on_lost = on_lost
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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._catch_up())
            while True:
                await self._news.wait()
                self._news.clear()
                began = self._clock.monotonic()
                if await self.flush():
                    pause_s = BEHIND_S if self._behind else FLUSH_S
                    await self._clock.sleep(pause_s - (self._clock.monotonic() - began))

    async def flush(self) -> bool:
        """Publish the waiting changes; False when there are none. After a failure the next message is a full one."""
        async with self._turn:
            self._under_way = self._under_way or self._next()
            if self._under_way is None:
                return False
            await self._publish(self._under_way)
            self._under_way = None
            return True

    def _next(self) -> Readings | None:
        full, self._full = self._full, False
        message = self._table.message(full=full, boot=self._boot, sent_ns=self._clock.now_ns())
        if message is None:
            return None
        if message.full:
            self._last_full = self._clock.monotonic()
        elif full:
            self._full = True  # changes that must all be published go first
        if self._full or self._table.waiting:
            self._news.set()
        return message

    async def _publish(self, message: Readings) -> None:
        try:
            await self._publish_encoded(
                _Outgoing(
                    subject=subjects.readings(message.device, full=message.full),
                    data=encode(message),
                    id=f"{message.device}:{self._boot}:{message.sequence}",
                    sent_ns=message.sent_ns,
                )
            )
        except RequestError as error:
            self._drop(message, error)

    async def _publish_encoded(self, message: _Outgoing) -> None:
        """Store a message, or keep it for later. While the link is down it is repeated here, so that later changes are
        collected. RequestError when the bus can never carry it."""
        while not self._behind:
            try:
                await self._append(message)
            except CountingRoomError as error:
                if isinstance(error, RequestError) and is_never_carried(error):
                    raise
                self._report.failed(error.cause)
                self.full()
                if self._bus.connected:
                    break
                await self._clock.sleep(_RETRY_S)
            else:
                self._report.worked()
                return
        with suppress(LinkError):
            await self._bus.publish(subjects.live_readings(self._table.device), message.data)
        self._behind.add(message, time_ns=message.sent_ns, size=len(message.data))
        self._behind_news.set()

    def _drop(self, message: Readings, error: RequestError) -> None:
        self.refused += 1
        channels = self._table.drop_largest(message.points, str(error), now_ns=self._clock.now_ns())
        if channels:
            self.full()
        elif self.refused == 1:
            _log.error("%s: readings are lost: %s", message.device, error)
        self._on_refused(channels)

    async def _catch_up(self) -> None:
        """Store the messages that wait, in order."""
        while True:
            await self._behind_news.wait()
            self._behind_news.clear()
            while self._behind:
                await self._clock.sleep(_RETRY_S)
                await self.drain()

    async def drain(self) -> None:
        """Store the messages that wait, in order, up to the first failure."""
        while self._behind:
            message = self._behind.first
            try:
                await self._append(message)
            except CountingRoomError as error:
                self._report.failed(error.cause)
                return
            self._behind.remove(message)
        self._report.worked()
        if lost := self._behind.take_lost():
            self._on_lost(lost)
        self.full()

    async def _append(self, message: _Outgoing) -> None:
        self.position = await self._bus.append(message.subject, message.data, message_id=message.id)
