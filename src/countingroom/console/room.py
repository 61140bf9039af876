"""Law: what every handler has at hand is named here, made once at the start, and nothing else is global."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection

from countingroom.bus.latest import Latest
from countingroom.bus.port import Bus
from countingroom.console.board import Board
from countingroom.console.hub import Hub
from countingroom.console.journal import Journal
from countingroom.core.clock import Clock

LOCAL_USER = "local"
"""The only user there is until the console has a login: whoever sits at this machine."""


class Room:
    """The console's own knowledge of the experiment, kept current while `open`."""

    def __init__(self, bus: Bus, clock: Clock, *, title: str, version: str, tick_s: float) -> None:
        self.bus, self.clock = bus, clock
        self.title, self.version = title, version
        self.latest = Latest(bus, clock)
        self.board = Board()
        self.journal = Journal(bus, clock)
        self.hub = Hub(self.latest, self.board, self.journal, clock, tick_s=tick_s)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Follow the bus while entered."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.latest.run(), name="console latest"),
                tasks.create_task(self.journal.run(), name="console journal"),
                tasks.create_task(self.hub.run(), name="console hub"),
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()


def room(connection: HTTPConnection) -> Room:
    """The room of this application, for handlers."""
    found: Room = connection.app.state.room
    return found
