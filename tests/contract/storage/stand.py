"""One test, each database: what a test gets is an open one, its clock, and a way to open it once more."""

from __future__ import annotations

from contextlib import AsyncExitStack

from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock


class Stand:
    """A database under test."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self.clock = FakeClock()
        self._stack = stack

    async def open(self) -> Database:
        """One more door to it, as another process would have; closed with the test."""
        database = Database(self.url, clock=self.clock)
        self._stack.push_async_callback(database.close)
        await database.open()
        return database
