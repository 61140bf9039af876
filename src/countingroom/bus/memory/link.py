"""The link of a memory client to its server: up, down, or closed.

`news` wakes all tasks that wait for a change on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from countingroom.core.errors import LinkError


class Bell:
    """Wakes all waiting tasks each time it rings."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        await self._event.wait()


class MemoryLink:
    """One client's link to the memory server."""

    def __init__(self) -> None:
        self.up = True
        self.closed = False
        self.news = Bell()
        self.callbacks: list[Callable[[bool], None]] = []
        self.asked: set[asyncio.Future[bytes]] = set()
        """Answers that are awaited over this link."""

    @property
    def connected(self) -> bool:
        return self.up and not self.closed

    def set(self, *, up: bool) -> None:
        """Interrupt or restore the link; no effect when it is in that state already, or closed."""
        if self.closed or up == self.up:
            return
        self.up = up
        self._give_up()
        for callback in tuple(self.callbacks):
            callback(up)
        self.news.ring()

    def close(self) -> None:
        """End all operations on this link."""
        self.closed = True
        self._give_up()
        self.news.ring()

    def check(self) -> None:
        """LinkError while the link is not up."""
        if not self.connected:
            raise _lost()

    async def wait_up(self) -> bool:
        """Wait until the link is up; False when it is closed."""
        while not self.up and not self.closed:
            await self.news.wait()
        return not self.closed

    def _give_up(self) -> None:
        if not self.connected:
            for answer in self.asked:
                if not answer.done():
                    answer.set_exception(_lost())


def _lost() -> LinkError:
    return LinkError("the bus is not reached", source="bus", suggestion="wait until the link is back")
