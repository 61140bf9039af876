"""Blocking work in threads that ends when its task is cancelled, because the files that it uses are removed then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class WorkStopped(Exception):
    """Raised in the thread, at the next part."""


class BlockingWork:
    """The work of one backup or restore. A Ctrl-C waits for one part of a file, not for all files."""

    def __init__(self) -> None:
        self._is_stopping = False

    async def run(self, work: Callable[[], T]) -> T:
        """Run it in a thread. When cancelled, end it at the next of its `parts`, and wait until it has ended."""
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._is_stopping = True
            while not running.done():
                with suppress(asyncio.CancelledError):  # a second Ctrl-C
                    await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # it is known
            raise

    def parts(self, data: Iterable[bytes]) -> Iterator[bytes]:
        """The same. WorkStopped where the task was cancelled meanwhile."""
        for part in data:
            if self._is_stopping:
                raise WorkStopped
            yield part
