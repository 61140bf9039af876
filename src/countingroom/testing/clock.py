"""A clock for tests. Its time moves only by `advance`."""

from __future__ import annotations

import asyncio
import heapq
import itertools

_TURNS = 50


class FakeClock:
    """A Clock that stands still until `advance`.

    `advance` wakes sleeping tasks in the order of their times. Between them it runs the event loop until it is idle, so
    that a task may sleep again and be woken in the same `advance`.
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

    @property
    def sleeping(self) -> int:
        """The number of tasks that wait for `advance`."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward, or back; the monotonic time stays."""
        self._start_ns += round(seconds * 1e9)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._seconds + seconds, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Advance the time by this many seconds."""
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
        """Run the event loop until no task is ready, at most `_TURNS` cycles."""
        # `_ready` exists only in the loops of asyncio itself; with other loops all cycles are run. It saves most of the
        # cycles, and a scenario test of a whole experiment runs about four times as fast.
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if ready is not None and not ready:
                return
