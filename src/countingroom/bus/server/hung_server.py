"""Finds that the embedded server does not run although its process lives.

One that was stopped by a signal is found by its state: no load brings a process into it. Another one is found by its
silence, which on a busy machine may last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from countingroom.core.clock import Clock, timeout

HUNG_S = 20.0
"""A server that does not answer for this time is killed."""
STOPPED_S = 8.0
"""A server that is stopped for this time is killed."""
_LOOK_S = 1.0
_MOST_S = 3.0
"""What counts of the time between two looks: a suspended computer does not make the server hung."""
_GREETING_S = 2.0


async def until_hung(
    clock: Clock,
    is_linked: Callable[[], bool],
    greets: Callable[[], Awaitable[bool]],
    is_stopped: Callable[[], bool] = lambda: False,
) -> str:
    """Return why the server is to be killed: it has not answered for HUNG_S, or was stopped for STOPPED_S. It is asked
    only while the link of this process is down."""
    silent_s = 0.0
    stopped_s = 0.0
    was_stopped = False
    looked = clock.monotonic()
    while silent_s < HUNG_S:
        await clock.sleep(_LOOK_S)
        stopped = is_stopped()
        # A stopped one is not asked: each question would take _GREETING_S.
        is_silent = not is_linked() and (stopped or not await greets())
        now = clock.monotonic()
        elapsed_s = min(now - looked, _MOST_S)
        looked = now
        silent_s = silent_s + elapsed_s if is_silent else 0.0
        stopped_s = stopped_s + elapsed_s if stopped and was_stopped else 0.0
        was_stopped = stopped
        if stopped_s >= STOPPED_S:
            return f"was stopped for {stopped_s:.0f} s"
    return f"has not answered for {silent_s:.0f} s"


async def greets(port: int) -> bool:
    """Whether a server on this port sends its first line to a new client."""
    with suppress(OSError, TimeoutError):
        async with timeout(_GREETING_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return bool(await reader.readline())
            finally:
                writer.close()
    return False
