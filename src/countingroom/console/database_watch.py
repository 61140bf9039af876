"""Asks the database regularly whether it answers, so that /readyz knows it before a person needs it."""

from __future__ import annotations

from typing import Protocol

from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError

_EVERY_S = 3.0
_PATIENCE_S = 5.0
"""An answer that takes longer is a trouble. The question itself waits for the deadline of the database, so that one
thread at most hangs in it."""


class Pinged(Protocol):
    """The part of the database that is used here."""

    async def ping(self) -> None:
        """LinkError where the database does not answer."""
        ...


class DatabaseWatch:
    """`run` asks until cancelled; `troubles` says how it stands."""

    def __init__(self, database: Pinged | None, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._asked_s: float | None = None
        self._failed = ""

    async def run(self) -> None:
        """Ask again and again."""
        while self._database is not None:
            self._asked_s = self._clock.monotonic()
            try:
                await self._database.ping()
            except CountingRoomError as error:
                self._failed = error.cause.message
            else:
                self._failed = ""
            self._asked_s = None
            await self._clock.sleep(_EVERY_S)

    def troubles(self) -> list[str]:
        """Why the database cannot be used, in one sentence; empty: it answers."""
        if self._asked_s is not None and (silent_s := self._clock.monotonic() - self._asked_s) > _PATIENCE_S:
            return [f"the database has not answered for {silent_s:.0f} s"]
        return [self._failed] if self._failed else []
