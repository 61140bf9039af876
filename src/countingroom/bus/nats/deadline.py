"""A deadline for calls of a library that may swallow a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

_CANCEL_AGAIN_S = 0.1


async def within_deadline(seconds: float, call: Coroutine[Any, Any, None]) -> None:
    """Await it; TimeoutError when it takes longer.

    nats-py connects by `asyncio.wait_for`, which before Python 3.12 may swallow a cancellation. A deadline cancels only
    once, so the client tried on without end when that happened in one of its attempts.
    """
    task = asyncio.create_task(call)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
    if task.cancelled():
        raise TimeoutError
    task.result()
