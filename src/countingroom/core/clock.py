"""The clock and the time-outs of all code.

Code reads the time and waits only through a `Clock`, so that tests can replace and advance it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

_EARLY_S = 0.001


class Clock(Protocol):
    """Wall time, monotonic time, and waiting."""

    def now_ns(self) -> int:
        """Wall clock, ns since the epoch (UTC). For time stamps, never for durations."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, never set back. For durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. For 0 or less it returns after one cycle of the event loop."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def monotonic_ns(clock: Clock) -> int:
    """The monotonic time of a clock in ns, for deadlines that are compared as whole numbers."""
    return round(clock.monotonic() * 1e9)


def pause_to_multiple(now_s: float, interval_s: float, phase_s: float = 0.0) -> float:
    """Time from this monotonic time to the next multiple of the interval plus the phase: the interval, or less.

    What is due each second in many tasks and processes of a machine then happens together: all wake once in place of
    once for each other. The processes of a machine have the same monotonic clock.
    """
    # A timer may fire a little early: the multiple that was meant is then not waited for again.
    begun = math.floor((now_s - phase_s + _EARLY_S) / interval_s)
    return max(0.0, (begun + 1) * interval_s + phase_s - now_s)


@asynccontextmanager
async def timeout(seconds: float | None) -> AsyncGenerator[asyncio.Timeout]:
    """`asyncio.timeout` that also works while its task is being cancelled.

    In Python before 3.11.3 (Debian 12 has 3.11.2) `asyncio.timeout` inside a clean-up raises CancelledError instead of
    TimeoutError, so that the rest of the clean-up is skipped.
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


def raise_if_cancelled() -> None:
    """Raise CancelledError in a task that is being cancelled.

    For endless loops that go on after an error: an error that comes together with a cancellation takes its place in the
    exception group, and such a loop would never end.
    """
    if (this := asyncio.current_task()) and this.cancelling():
        raise asyncio.CancelledError


@contextmanager
def cancellation_kept() -> Generator[None]:
    """Around an await of a library that uses `asyncio.wait_for`: CancelledError where it lost a cancellation.

    With Python 3.11 `wait_for` returns an answer that comes together with the cancellation, and the task goes on. A
    cancellation from before the body does not count: a clean-up may await.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


@asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncGenerator[None]:
    """`asyncio.timeout` on a Clock: TimeoutError when the body has not ended after that many seconds."""
    loop = asyncio.get_running_loop()
    async with timeout(None) as scope:

        async def expire() -> None:
            await clock.sleep(seconds)
            scope.reschedule(loop.time())

        timer = loop.create_task(expire())
        try:
            yield
        finally:
            timer.cancel()
