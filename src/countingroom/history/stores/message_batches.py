"""Messages of a stream in batches: as many as there are, up to a limit, but not one by one.

A task reads ahead up to one batch. While the store is slow, the rest stays on the bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Self

from countingroom.bus.port import Stored
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError

MOST = 512
"""Messages of one batch."""
MOST_BYTES = 4 << 20
"""About 100,000 values."""


class MessageBatches:
    """Reads the messages while entered. A batch waits `flush_s` after its first message for more."""

    def __init__(
        self, stored: AsyncIterator[Stored], clock: Clock, flush_s: float, *, share: Callable[[], float] = lambda: 1.0
    ) -> None:
        """`share`: how much of the limit a batch may have now, up to 1."""
        self._stored = stored
        self._share = share
        self._clock = clock
        self._flush_s = flush_s
        self._waiting: list[Stored] = []
        self._bytes = 0
        self._ended = False
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self.newest: Stored | None = None
        """The last message read from the bus."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._task

    async def next(self) -> list[Stored]:
        """The next batch, one message at least. What reading raised, or LinkError at its end."""
        await self._some.wait()
        if self._waiting and not self._full.is_set():
            with suppress(TimeoutError):
                async with within(self._clock, self._flush_s):
                    await self._full.wait()
        if not self._waiting:
            await self._task
            raise LinkError("the bus ended the stream of readings", source="history", code="link_lost")
        batch = self._waiting
        self._waiting = []
        self._bytes = 0
        if not self._ended:
            self._some.clear()
            self._full.clear()
        self._room.set()
        return batch

    async def _read(self) -> None:
        try:
            async for message in self._stored:
                while self._is_enough():
                    self._full.set()
                    self._room.clear()
                    await self._room.wait()
                self._waiting.append(message)
                self._bytes += len(message.data)
                self.newest = message
                self._some.set()
                if self._is_enough():
                    self._full.set()
        finally:
            self._ended = True
            self._some.set()
            self._full.set()

    def _is_enough(self) -> bool:
        share = self._share()
        return len(self._waiting) >= MOST * share or self._bytes >= MOST_BYTES * share
