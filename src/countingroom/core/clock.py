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
async def timeout(seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
    """`asyncio.timeout`, also right while its task is being cancelled.

    Before 3.11.3 (Debian 12 has 3.11.2) Python's own then ends as a cancellation, and a clean-up is left half done.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield scope
    except asyncio.CancelledError as error:
        if scope.expired() and task and task.cancelling() <= before:
            raise TimeoutError from error
        raise


@asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncGenerator[None]:
    """`asyncio.timeout` by a Clock: TimeoutError when what is inside has not ended by then."""
    loop = asyncio.get_running_loop()
    async with timeout(None) as scope:

        async def ring() -> None:
            await clock.sleep(seconds)
            scope.reschedule(loop.time())

        bell = loop.create_task(ring())
        try:
            yield
        finally:
            bell.cancel()
