"""Finds that the embedded server does not run although its process lives, for example because it was stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from countingroom.core.clock import Clock, timeout

HUNG_S = 20.0
"""A server that does not answer for this time is killed."""
_LOOK_S = 1.0
_MOST_S = 3.0
"""What counts of the time between two looks: a suspended computer does not make the server hung."""
_GREETING_S = 2.0


async def until_hung(clock: Clock, is_linked: Callable[[], bool], greets: Callable[[], Awaitable[bool]]) -> None:
    """Return when the server has not answered for HUNG_S. It is asked only while the link of this process is down."""
    silent_s = 0.0
    looked = clock.monotonic()
    while silent_s < HUNG_S:
        await clock.sleep(_LOOK_S)
        is_silent = not is_linked() and not await greets()
        now = clock.monotonic()
        silent_s = silent_s + min(now - looked, _MOST_S) if is_silent else 0.0
        looked = now


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
