"""Writes audit entries to the database, in one task, before the answers of the actions are sent.

A console that is killed after an answer has therefore stored its entry: in the database, or, where that does not take
entries or is too slow, in a file of the data folder (`storage/outbox.py`). From there each entry goes into the database
once, in order, when it takes entries again, also after `kill -9` of the console. The room of the file is taken when the
console starts, so that it takes entries while the disk is full. Writing never stops an action: an answer waits STORED_S
at most. Entries wait in memory only where the file cannot be written either; where too many do, the newest are dropped,
and an entry with their number is written later. Entries about refused requests are limited (refusal_limits.py); the
number of those that are not written is an entry each minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

from countingroom.console.refusal_limits import RefusalLimits
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, timeout, within
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.plain_text import may_hide, readable
from countingroom.core.retry import EdgeReport
from countingroom.storage.audit import Audit
from countingroom.storage.kept_records import KeptRecords
from countingroom.storage.outbox import Outbox

WAITING = 10_000
"""Entries in memory that are neither in the database nor in the file."""
OUTBOX_BYTES = 16 << 20
RESERVE_BYTES = 1 << 20
"""Room in the file for about 3000 entries on a full disk."""
_BATCH = 500
_AGAIN_S = 1.0
_GRACE_S = 0.25
"""After this time an entry that the database has not stored is put into the file."""
_LAST_S = 2.0
STORED_S = 0.5
"""The longest time that an answer waits for its entry."""
SUMMARY_S = 60.0
"""From the first omitted entry about a refused request to the entry with their number."""

_log = logging.getLogger(__name__)


class AuditWriter:
    """A queue of audit entries, and the task that writes it."""

    def __init__(
        self,
        audit: Audit | None,
        clock: Clock,
        folder: Path | None = None,
        tell: Callable[[str, Cause | None], None] = lambda _message, _cause: None,
    ) -> None:
        """`folder`: for entries that wait for the database; None: they wait in memory. `tell`: called with a sentence
        for an event when entries begin to wait, and when they are written again."""
        self._audit = audit
        self._clock = clock
        self._tell = tell
        outbox = Outbox(folder, most_bytes=OUTBOX_BYTES, reserve_bytes=RESERVE_BYTES) if folder else None
        self._kept = KeptRecords(outbox, "entries of the audit")
        self._waiting: deque[AuditEntry | None] = deque()
        """What the database has not stored, in order; None: a record of the file that cannot be read."""
        self._in_file = 0
        """So many of the first ones are in the file."""
        self._uncertain = 0
        """So many of the first ones may be in the database already."""
        self._report = EdgeReport(self._began_to_fail, self._works_again)
        self._refusals = RefusalLimits()
        self._omits = asyncio.Event()
        self.lost = 0
        """Entries that were never written."""
        self._unreported = 0
        self._running = False
        self._added = 0
        self._written = 0
        """Of the entries that were added: written, or given up. Below 0 while entries of earlier consoles wait."""
        self._news = asyncio.Event()
        """Set, and replaced, when an entry comes, is kept or is written, and when the database begins to fail."""

    @property
    def is_failing(self) -> bool:
        """Whether entries wait because the database does not take them."""
        return self._report.is_failing

    def troubles(self) -> list[str]:
        """One sentence while entries wait, else none."""
        return [f"the audit cannot be written now: {self._where()}"] if self.is_failing else []

    def add(self, entry: AuditEntry) -> None:
        """Queue an entry; where there is no room it is dropped and counted."""
        if self._audit is None:
            return
        if not self._refusals.allow(entry, now_s=self._clock.monotonic()):
            self._omits.set()
        else:
            self._queue(entry)

    async def write(self, entry: AuditEntry) -> None:
        """Queue an entry and wait until it is in the database or in the file. Returns after STORED_S in any case, and
        at once where neither takes it."""
        self.add(entry)
        last = self._added
        with suppress(TimeoutError):
            async with within(self._clock, STORED_S):
                while self._running and self._written + self._in_file < last and not self._takes_nothing:
                    await self._news.wait()

    @property
    def _takes_nothing(self) -> bool:
        return self.is_failing and self._kept.takes_nothing

    async def settled(self) -> None:
        """Wait until every queued entry is in the database."""
        last = self._added
        while self._written < last:
            await self._news.wait()

    async def run(self) -> None:
        """Write until cancelled; then write what is queued, if the database answers at once, and keep the rest."""
        if self._audit is None:
            return
        self._running = True
        try:
            await self._open()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._summarize())
                while True:
                    if self._waiting:
                        await self._store_some(self._audit)
                    else:
                        await self._news.wait()
        finally:
            self._running = False
            self._add_summaries()
            try:
                await self._write_last(self._audit)
            finally:
                self._close()

    async def _open(self) -> None:
        """Take over what earlier consoles could not write, and make room for the entries of this one."""
        _, lines = await self._kept.adopt()
        # A full disk refuses it. What was adopted is written all the same.
        await self._kept.reserve()
        earlier = [_decoded(line) for line in lines]
        self._waiting.extendleft(reversed(earlier))
        self._in_file = self._uncertain = len(earlier)
        self._written -= len(earlier)  # so that, with those in the file, only entries of this console count
        if earlier:
            self._tell(f"{len(earlier)} entries of the audit that an earlier console has kept are written now", None)

    async def _store_some(self, audit: Audit) -> None:
        """Store the first entries, or keep all in the file where the database fails or is slow."""
        batch = list(islice(self._waiting, _BATCH))
        repeated = [one for one in batch[: self._uncertain] if one]
        new = [one for one in batch[self._uncertain :] if one]
        # Also where it is cancelled: the transaction may be under way in its thread.
        self._uncertain = max(self._uncertain, len(batch))
        attempt = self._append(audit, repeated, new)
        try:
            await self._kept.stored(self._clock, attempt, grace_s=_GRACE_S, keep=self._keep)
        except LinkError as error:
            await self._keep()
            self._report.failed(error.cause)
            self._ring()
            if self._running:
                await self._wait_again()
            return
        await self._remove_first(len(batch))
        self._report.worked()
        self._ring()

    async def _wait_again(self) -> None:
        """Wait until the next attempt; entries that come meanwhile are kept at once."""
        until_s = self._clock.monotonic() + _AGAIN_S
        while (left_s := until_s - self._clock.monotonic()) > 0:
            with suppress(TimeoutError):
                async with within(self._clock, left_s):
                    await self._news.wait()
            await self._keep()  # outside the time limit: a cancelled one may have kept entries that are not counted

    async def _append(self, audit: Audit, repeated: list[AuditEntry], new: list[AuditEntry]) -> None:
        try:
            if repeated:
                await audit.append_again(*repeated)
            if new or self._unreported:
                await audit.append(*new, *self._losses())
                self._unreported = 0
        except LinkError:
            raise
        except Exception:  # one entry that the database cannot hold must not end the audit of all later ones
            _log.exception("entries of the audit cannot be written")
            for entry in (*repeated, *new):
                await self._append_one(audit, entry)

    async def _append_one(self, audit: Audit, entry: AuditEntry) -> None:
        try:
            await audit.append_again(entry)
        except LinkError:
            raise
        except Exception:
            _log.exception("an entry of the audit is lost: %a", entry)
            self._lose()

    async def _remove_first(self, number: int) -> None:
        in_file = min(number, self._in_file)
        for _ in range(number):
            self._waiting.popleft()
        self._written += number
        self._in_file -= in_file
        self._uncertain = max(0, self._uncertain - number)
        await self._kept.remove_first(in_file)
        if in_file and not self._in_file:
            await self._kept.reserve()

    async def _keep(self) -> None:
        """Put the entries that are only in memory into the file."""
        if batch := self._unkept():
            self._in_file += await self._kept.keep(batch)
            self._ring()

    def _unkept(self) -> list[bytes]:
        """The entries that are only in memory, encoded."""
        return [msgspec.json.encode(one) for one in islice(self._waiting, self._in_file, None) if one]

    async def _write_last(self, audit: Audit) -> None:
        try:
            async with timeout(_LAST_S):
                while self._waiting:
                    await self._store_some(audit)
                    if self.is_failing:
                        break
        except TimeoutError:
            _log.warning("%d entries of the audit are not in the database", len(self._waiting))

    def _close(self) -> None:
        """Keep what is only in memory. It may wait for the disk: the process ends."""
        rest = self._unkept()
        if not self._kept.close(rest):
            _log.error("%d entries of the audit were not written", len(rest))
        self._ring()

    async def _summarize(self) -> None:
        while True:
            await self._omits.wait()
            await self._clock.sleep(SUMMARY_S)
            self._add_summaries()

    def _add_summaries(self) -> None:
        self._omits.clear()
        for entry in self._refusals.summaries():
            self._queue(entry)

    def _queue(self, entry: AuditEntry) -> None:
        if len(self._waiting) - self._in_file >= WAITING:
            self._lose()
            return
        self._waiting.append(_plain(entry))
        self._added += 1
        self._ring()

    def _where(self) -> str:
        number = len(self._waiting)
        return f"{'1 entry waits' if number == 1 else f'{number} entries wait'} {self._kept.place}"

    def _began_to_fail(self, cause: Cause) -> None:
        _log.error("the audit cannot be written: %s", cause)
        self._tell(f"the audit cannot be written now, {self._where()}: {cause.message}", cause)

    def _works_again(self) -> None:
        _log.info("the audit is written again")
        self._tell("the audit is written again; the entries that waited go in", None)

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _losses(self) -> list[AuditEntry]:
        if not self._unreported:
            return []
        cause = Cause(
            code="not_recorded",
            message=f"{self._unreported} entries before this one were not written",
            source="audit",
            suggestion="find out why the database was busy or away",
        )
        now_ns = self._clock.now_ns()
        return [AuditEntry(time_ns=now_ns, who="", what="record", outcome=Outcome.FAILED, cause=cause)]

    def _lose(self) -> None:
        self.lost += 1
        self._unreported += 1


def _plain(entry: AuditEntry) -> AuditEntry:
    """The entry with characters that a database or the file refuses, and those that hide others, as escapes."""
    try:
        hides = may_hide(msgspec.json.encode(entry).decode())
    except UnicodeEncodeError:  # half of a surrogate pair
        hides = True
    return msgspec.convert(readable(msgspec.to_builtins(entry)), AuditEntry) if hides else entry


def _decoded(line: bytes) -> AuditEntry | None:
    try:
        return decode_json(line, AuditEntry)
    except Malformed as error:
        _log.error("a kept entry of the audit cannot be read: %s: %a", error, line)
        return None
