"""Runs a server of the command line until it ends, or Ctrl-C or SIGTERM ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress


def run_until_stopped(server: Coroutine[object, object, None]) -> None:
    """Run it in an event loop of its own. A signal cancels it; its own errors are raised."""
    asyncio.run(_until_stopped(server))


async def _until_stopped(server: Coroutine[object, object, None]) -> None:
    serving, loop = asyncio.ensure_future(server), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving
