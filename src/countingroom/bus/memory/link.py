"""The link of a memory client to its server: up, down, or closed.

Each reader waits on a bell of its own. When all readers of a client shared one, every heartbeat woke all its tasks, and
that was half the time of a scenario test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from countingroom.core.errors import LinkError


class Bell:
    """Wakes all waiting tasks each time it rings."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()  # wakes every task that waits now
        self._event.clear()

    async def wait(self) -> None:
        await self._event.wait()


class Bells:
    """Bells of readers that wait for the same change."""

    def __init__(self) -> None:
        self._bells: list[Bell] = []

    def ring(self) -> None:
        for bell in tuple(self._bells):
            bell.ring()

    @contextmanager
    def joined(self, bell: Bell) -> Generator[Bell]:
        """The bell rings with the others while entered."""
        self._bells.append(bell)
        try:
            yield bell
        finally:
            self._bells.remove(bell)


class MemoryLink:
    """One client's link to the memory server."""

    def __init__(self) -> None:
        self.up = True
        self.closed = False
        self.news = Bells()
        """Of the readers that wait for the link to come up, go down or be closed."""
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
        with self.news.joined(Bell()) as bell:
            while not self.up and not self.closed:
                await bell.wait()
        return not self.closed

    def _give_up(self) -> None:
        if not self.connected:
            for answer in self.asked:
                if not answer.done():
                    answer.set_exception(_lost())


def _lost() -> LinkError:
    return LinkError("the bus is not reached", source="bus", suggestion="wait until the link is back")
