"""Law: time in tests moves only when the test says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TURNS = 50


class FakeClock:
    """A Clock that stands still until `advance`.

    `advance` wakes sleepers in the order of their times and lets the loop run between them until it is idle, so what
    they start may sleep and be woken in the same advance.
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self._start_ns = now_ns
        self._seconds = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._start_ns + round(self._seconds * 1e9)

    def monotonic(self) -> float:
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time on by that much."""
        await self._settle()
        end = self._seconds + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, woken = heapq.heappop(self._sleepers)
            self._seconds = max(self._seconds, when)
            if not woken.done():
                woken.set_result(None)
                await self._settle()
        self._seconds = end
        await self._settle()

    async def _settle(self) -> None:
        """Until nobody is ready to run, as asyncio's own loops tell; others, and who never rests, get so many turns."""
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return
