"""Law: nobody reads the time or waits except through a Clock, so tests can hold time still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol


class Clock(Protocol):
    """The two times and the only way to wait."""

    def now_ns(self) -> int:
        """Wall clock, ns since the epoch (UTC). For stamps, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump. For durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once, after one turn of the loop, for 0 or less."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncGenerator[None]:
    """`asyncio.timeout` by a Clock: TimeoutError when what is inside has not ended by then."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:

        async def ring() -> None:
            await clock.sleep(seconds)
            scope.reschedule(loop.time())

        bell = loop.create_task(ring())
        try:
            yield
        finally:
            bell.cancel()
