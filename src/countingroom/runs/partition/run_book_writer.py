"""Writes the entries of a partition's runs into the run book, in order, and repeats them until they are stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.retry import Retry, edge_log
from countingroom.core.run_book import RunNote
from countingroom.storage.database import Database

_log = logging.getLogger(__name__)

RETRY_S = 0.5
WAITING = 4096
"""Maximum number of waiting entries; further ones are dropped and logged."""

Entry = Callable[[], Awaitable[object]]


class RunBookWriter:
    """The queue of entries of one partition."""

    def __init__(
        self, database: Database, clock: Clock, source: str, refused: Callable[[str], None] = lambda _: None
    ) -> None:
        """`refused` is called with a sentence for each entry that the run book refuses."""
        self._refused = refused
        self._database = database
        self._clock = clock
        self._source = source
        self._waiting: asyncio.Queue[Entry] = asyncio.Queue(WAITING)
        report = edge_log(_log, f"{source}: the run book is not reached", f"{source}: the run book is reached again")
        self._retry = Retry(clock, report, pause_s=RETRY_S)

    @property
    def is_failing(self) -> bool:
        """Whether entries wait because the database does not take them."""
        return self._retry.report.is_failing

    def write(self, entry: Entry) -> None:
        """Add an entry to the queue."""
        try:
            self._waiting.put_nowait(entry)
        except asyncio.QueueFull:
            _log.error("%s: more than %d entries wait for the run book; one is lost", self._source, WAITING)

    def note(self, run: int, kind: str, text: str, *, author: str = "", system: str = "") -> None:
        """Add a note to a run; no effect for run 0 (none)."""
        if run:
            note = RunNote(time_ns=self._clock.now_ns(), kind=kind, text=text, author=author, system=system)
            self.write(lambda: self._database.runs.note(run, note))

    async def run(self) -> None:
        """Write entries until cancelled."""
        while True:
            entry = await self._waiting.get()
            try:
                await self._retry.run(entry)
            except CountingRoomError as error:
                _log.error("%s: the run book refuses an entry: %s", self._source, error.cause)
                self._refused(f"the run book refuses an entry: {error.cause.message}")
            self._waiting.task_done()

    async def written(self) -> None:
        """Wait until all entries are written."""
        await self._waiting.join()
