"""Writes the entries of all partitions of a process into the run book, in order, and keeps those that wait.

An entry that is not stored within a moment is kept in a file (`storage/outbox.py`), so that it outlives the process; it
goes in by itself when the database takes it. One that the database refuses for its content is set aside, and the next
one follows. A command is told as done when its entries are stored or in the file (`safe`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from msgspec import Struct

from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.retry import EdgeReport
from countingroom.core.run_book import RunNote
from countingroom.storage.database import Database
from countingroom.storage.highest_run import HighestRun
from countingroom.storage.kept_records import KeptRecords
from countingroom.storage.outbox import Outbox
from countingroom.storage.refused_entries import RefusedEntries
from countingroom.storage.run_entries import (
    EndEntry,
    NoteEntry,
    RunEntry,
    decode_entry,
    encode_entry,
    store,
)

_log = logging.getLogger(__name__)

GRACE_S = 0.25
"""So long an entry waits in memory before it is kept in the file, as in the audit: a kill in this time loses it."""
SAFE_S = 1.0
"""The longest time that the end of a command waits for its entries: stop and abort need neither disk nor database."""
RETRY_S = 0.5
LOOK_S = 10.0
"""Between two looks for files of dead processes and for refused entries that a user has removed."""
SETTLE_S = 3.0
"""So long a new owner waits for entries of an earlier one. It does not wait longer: stop and abort need no database."""
WAITING = 4096
"""Maximum number of entries in memory; further ones are dropped, and that is told."""

_SEE = "countingroom run refused list"

Tell = Callable[[str, str], None]
"""Called with a partition (empty: all) and a sentence for an event."""


class _Waiting(Struct, eq=False):
    partition: str
    """Empty: of an earlier process."""
    line: bytes
    ended: asyncio.Future[Cause | None]
    """None: stored; a cause: refused."""

    def entry(self) -> RunEntry:
        """ValueError where the line is none."""
        return decode_entry(self.line)


class RunBookWriter:
    """The entries of one process that wait for the run book."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        folder: Path | None = None,
        tell: Tell = lambda _partition, _message: None,
    ) -> None:
        """`folder`: for the entries that wait or are refused; None: they wait in memory only."""
        self._database = database
        self._clock = clock
        self._tell = tell
        self._kept = KeptRecords(Outbox(folder) if folder else None, "entries of the run book")
        self._aside = RefusedEntries(folder) if folder else None
        self._highest = HighestRun(folder) if folder else None
        self.highest_run = 0
        """The highest run number that was reserved on this computer, after a restart too; 0: none is known."""
        self._waiting: deque[_Waiting] = deque()
        self._in_file = 0
        """So many of the first ones are in the file."""
        self._running = False
        self._added = 0
        self._removed = 0
        """Of the entries that were added: stored or set aside. Below 0 while entries of earlier processes wait."""
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        """Set, and replaced, when entries are kept, stored or set aside, and when the database begins to fail."""
        self._looked = asyncio.Event()
        """Cleared to ask for a look at the folder."""
        self._report = EdgeReport(self._began_to_fail, self._works_again)
        self._refused = 0

    @property
    def is_failing(self) -> bool:
        """Whether entries wait because the database does not take them."""
        return self._report.is_failing

    def troubles(self) -> list[str]:
        """One sentence while entries wait, else none."""
        return [f"the run book cannot be written now: {self._where()}"] if self.is_failing else []

    def warnings(self) -> list[str]:
        """One sentence while refused entries are set aside, else none."""
        if not self._refused or self._aside is None:
            return []
        return [f"the run book has refused {self._refused} entries, kept in {self._aside.folder}: {_SEE}"]

    def write(self, partition: str, entry: RunEntry) -> asyncio.Future[Cause | None]:
        """Add an entry. The result comes when it is stored (None) or refused (why)."""
        ended: asyncio.Future[Cause | None] = asyncio.get_running_loop().create_future()
        line = encode_entry(entry)
        if len(self._waiting) - self._in_file >= WAITING:
            _log.error("runs.%s: more than %d entries wait; one is lost: %s", partition, WAITING, line.decode())
            self._tell(partition, f"too many entries wait for the run book; {entry} is lost")
            ended.set_result(
                Cause(
                    code="lost",
                    message="too many entries wait for the run book",
                    suggestion="see why the database takes nothing",
                )
            )
            return ended
        self._waiting.append(_Waiting(partition, line, ended))
        self._added += 1
        self._news.set()
        return ended

    def reserved(self, run: int) -> None:
        """Remember a reserved run number, in the file soon: the database and the agents have it too."""
        if run > self.highest_run:
            self.highest_run = run
            if self._highest is not None:
                self._kept.submit(partial(self._remember, self._highest, run))

    def _remember(self, highest: HighestRun, run: int) -> None:
        try:
            highest.write(run)
        except OSError as error:
            _log.warning("runs: the number of run %d is not kept beside the database: %s", run, error)

    def ends(self) -> set[int]:
        """The runs with an end that still waits to be stored: they are open in the database only."""
        return {entry.run for one in self._waiting if isinstance(entry := _entry(one), EndEntry)}

    async def written(self) -> None:
        """Wait until all entries so far are stored or set aside."""
        if self._waiting:
            await asyncio.wait([self._waiting[-1].ended])

    async def safe(self) -> None:
        """Wait until all entries so far outlive this process: in the database, in the file, or set aside. Returns after
        SAFE_S in any case, and at once where neither database nor file takes them."""
        last = self._added
        with suppress(TimeoutError):
            async with within(self._clock, SAFE_S):
                while self._running and self._removed + self._in_file < last and not self._takes_nothing:
                    await self._progress.wait()

    @property
    def _takes_nothing(self) -> bool:
        return self.is_failing and self._kept.takes_nothing

    async def settled(self) -> None:
        """Wait for the entries of dead processes on this machine, at most SETTLE_S."""
        self._looked.clear()
        self._news.set()
        with suppress(TimeoutError):
            async with within(self._clock, SETTLE_S):
                await self._looked.wait()
                await self.written()

    async def run(self) -> None:
        """Write entries until cancelled. Those that wait then are kept in the file."""
        self._running = True
        try:
            while True:
                if not self._looked.is_set():
                    await self._look()
                if self._waiting:
                    await self._store_first()
                    continue
                self._news.clear()
                with suppress(TimeoutError):
                    async with within(self._clock, LOOK_S):
                        await self._news.wait()
                        continue
                self._looked.clear()
        finally:
            self._running = False
            self._close()
            self._tell_progress()

    async def _store_first(self) -> None:
        first = self._waiting[0]
        try:
            attempt = self._attempt(first)
            cause = await self._kept.stored(self._clock, attempt, grace_s=GRACE_S, keep=self._keep)
        except LinkError as error:
            await self._keep()
            self._report.failed(error.cause)
            self._tell_progress()
            await self._pause()
            return
        if cause:
            await self._set_aside(first, cause)
        await self._remove_first()
        first.ended.set_result(cause)
        self._report.worked()

    async def _pause(self) -> None:
        """Wait until the next attempt; entries that come meanwhile are kept at once."""
        until_s = self._clock.monotonic() + RETRY_S
        while (left_s := until_s - self._clock.monotonic()) > 0:
            self._news.clear()
            await self._keep()  # outside the time limit: a cancelled one may have kept entries that are not counted
            with suppress(TimeoutError):
                async with within(self._clock, left_s):
                    await self._news.wait()

    async def _attempt(self, waiting: _Waiting) -> Cause | None:
        """Store an entry; returns the reason if the database refuses it. LinkError while the database stores no entry
        at all."""
        try:
            await store(self._database, waiting.entry())
        except LinkError:
            raise
        except CountingRoomError as error:
            return error.cause
        except Exception as error:  # an entry that cannot be read or stored must not stop those behind it
            _log.exception("runs: an entry of the run book fails")
            return Cause(
                code="failed",
                message=f"{type(error).__name__}: {error}",
                source="runs",
                suggestion="see the entry with `countingroom run refused show`, and discard it",
            )
        return None

    async def _remove_first(self) -> None:
        self._waiting.popleft()
        self._removed += 1
        in_file = min(1, self._in_file)
        self._in_file -= in_file
        self._tell_progress()
        await self._kept.remove_first(in_file)

    async def _keep(self) -> None:
        """Put the entries that are only in memory into the file."""
        if unkept := self._unkept():
            self._in_file += await self._kept.keep(unkept)
            self._tell_progress()

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    def _unkept(self) -> list[bytes]:
        """The entries that are only in memory, encoded."""
        return [one.line for one in islice(self._waiting, self._in_file, None)]

    async def _set_aside(self, refused: _Waiting, cause: Cause) -> None:
        what, line = str(_entry(refused) or "an entry that cannot be read"), refused.line
        _log.error("runs: the run book refuses %s: %s: %s", what, cause, line.decode(errors="replace"))
        where = "it is only in the log"
        if self._aside is not None:
            try:
                path = await self._kept.on_disk(partial(self._aside.add, line, cause, self._clock.now_ns()))
                where = f"it is kept in {path}: {_SEE}"
                self._refused += 1
            except (OSError, LinkError) as error:
                _log.error("runs: the refused entry is kept in this log only: %s", error)
        self._tell(refused.partition, f"the run book refuses {what}: {cause.message}; {where}")

    async def _look(self) -> None:
        """Look for the files of dead processes, and count the refused entries."""
        if self._aside is not None and self._highest is not None:
            try:
                self.highest_run = max(self.highest_run, await self._kept.on_disk(self._highest.read))
                self._refused = await self._kept.on_disk(self._aside.count)
            except OSError as error:
                _log.warning("runs: %s is not read: %s", self._aside.folder, error)
            place, lines = await self._kept.adopt()
            if lines:
                loop = asyncio.get_running_loop()
                waiting = list(self._waiting)
                waiting[place:place] = [_Waiting("", line, loop.create_future()) for line in lines]
                self._waiting = deque(waiting)
                self._in_file += len(lines)
                self._removed -= len(lines)  # so that, with those in the file, only entries of this process count
                self._tell("", f"{len(lines)} entries of the run book that an earlier process has kept go in now")
        self._looked.set()

    def _close(self) -> None:
        """Keep what waits in memory. It may wait for the disk: the process ends."""
        rest = self._unkept()
        if not self._kept.close(rest):
            _log.error("runs: %d entries of the run book were not written", len(rest))

    def _where(self) -> str:
        return f"{len(self._waiting)} entries wait {self._kept.place}"

    def _began_to_fail(self, cause: Cause) -> None:
        _log.warning("runs: the run book is not reached: %s", cause)
        self._tell("", f"the run book cannot be written now, {self._where()}: {cause.message}")

    def _works_again(self) -> None:
        _log.info("runs: the run book is reached again")
        self._tell("", "the run book is written again; the entries that waited go in")


class PartitionBook:
    """The run book for one partition."""

    def __init__(self, writer: RunBookWriter, clock: Clock, partition: str) -> None:
        self._writer = writer
        self._clock = clock
        self._partition = partition

    def write(self, entry: RunEntry) -> asyncio.Future[Cause | None]:
        """Add an entry; the result comes when it is stored (None) or refused (why)."""
        return self._writer.write(self._partition, entry)

    def note(
        self, run: int, kind: str, text: str, *, author: str = "", system: str = ""
    ) -> asyncio.Future[Cause | None] | None:
        """Add a note to a run; no effect for run 0 (none)."""
        if not run:
            return None
        note = RunNote(time_ns=self._clock.now_ns(), kind=kind, text=text, author=author, system=system)
        return self.write(NoteEntry(run=run, note=note))

    async def written(self) -> None:
        """Wait until all entries so far are stored or set aside."""
        await self._writer.written()

    async def safe(self) -> None:
        """Wait a moment until all entries so far outlive this process: `RunBookWriter.safe`."""
        await self._writer.safe()


def _entry(waiting: _Waiting) -> RunEntry | None:
    try:
        return waiting.entry()
    except ValueError:
        return None
