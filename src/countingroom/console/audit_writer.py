"""Writes audit entries to the database, in one task, before the answers of the actions are sent.

A console that is killed after an answer has therefore stored its entry. Writing never stops an action: while the
database does not take entries, for example because its disk is full, nothing waits for it, and a slow one delays an
answer by STORED_S at most. Entries wait in a bounded queue meanwhile. Where it is full the newest are dropped, and an
entry with their number is written later. Entries about refused requests are limited (refusal_limits.py); the number of
those that are not written is an entry each minute.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial

from countingroom.console.refusal_limits import RefusalLimits
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, timeout, within
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.retry import EdgeReport, Retry
from countingroom.storage.audit import Audit

WAITING = 10_000
_BATCH = 500
_AGAIN_S = 1.0
_LAST_S = 2.0
STORED_S = 0.5
"""The longest time that an answer waits for its entry."""
SUMMARY_S = 60.0
"""From the first omitted entry about a refused request to the entry with their number."""

_log = logging.getLogger(__name__)


class AuditWriter:
    """A queue of audit entries, and the task that writes it."""

    def __init__(self, audit: Audit | None, clock: Clock) -> None:
        self._audit = audit
        self._clock = clock
        self._waiting: asyncio.Queue[AuditEntry] = asyncio.Queue(WAITING)
        report = EdgeReport(self._failing, lambda: _log.info("the audit is written again"))
        self._retry = Retry(clock, report, pause_s=_AGAIN_S, on=CountingRoomError)
        self._refusals = RefusalLimits()
        self._omits = asyncio.Event()
        self.lost = 0
        """Entries that were never written."""
        self._unreported = 0
        self._running = False
        self._added = 0
        self._done = 0
        """Of the entries that were queued: written, or given up."""
        self._news = asyncio.Event()
        """Set, and replaced, when `_done` grows and when the database begins to fail."""

    @property
    def is_failing(self) -> bool:
        """Whether entries wait because the database does not take them."""
        return self._retry.report.is_failing

    def add(self, entry: AuditEntry) -> None:
        """Queue an entry; where there is no room it is dropped and counted."""
        if self._audit is None:
            return
        if not self._refusals.allow(entry, now_s=self._clock.monotonic()):
            self._omits.set()
        else:
            self._queue(entry)

    async def write(self, entry: AuditEntry) -> None:
        """Queue an entry and wait until it is stored. Returns sooner where the database fails or is too slow."""
        self.add(entry)
        last = self._added
        with suppress(TimeoutError):
            async with within(self._clock, STORED_S):
                while self._running and self._done < last and not self.is_failing:
                    await self._news.wait()

    async def settled(self) -> None:
        """Wait until every queued entry is written."""
        await self._waiting.join()

    async def run(self) -> None:
        """Write until cancelled; then write what is queued, if the database answers at once."""
        if self._audit is None:
            return
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._summarize())
                while True:
                    await self._write(self._audit, [await self._waiting.get(), *self._more()])
        finally:
            self._running = False
            self._tell()
            self._add_summaries()
            if rest := self._more():
                try:
                    async with timeout(_LAST_S):
                        await self._write(self._audit, rest)
                except TimeoutError:
                    _log.error("%d entries of the audit were not written", len(rest))

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
        try:
            self._waiting.put_nowait(entry)
            self._added += 1
        except asyncio.QueueFull:
            self._lose()

    def _more(self) -> list[AuditEntry]:
        return [self._waiting.get_nowait() for _ in range(min(_BATCH, self._waiting.qsize()))]

    async def _write(self, audit: Audit, entries: list[AuditEntry]) -> None:
        try:
            try:
                await self._retry.run(lambda: audit.append(*entries, *self._losses()))
                self._unreported = 0
            except Exception:  # one entry that the database cannot hold must not end the audit of all later ones
                _log.exception("entries of the audit cannot be written")
                await self._write_singly(audit, entries)
        finally:
            for _ in entries:
                self._waiting.task_done()
            self._done += len(entries)
            self._tell()

    async def _write_singly(self, audit: Audit, entries: list[AuditEntry]) -> None:
        for entry in entries:
            try:
                await self._retry.run(partial(audit.append, entry))
            except Exception:
                _log.exception("an entry of the audit is lost: %a", entry)
                self._lose()

    def _failing(self, cause: Cause) -> None:
        _log.error("the audit cannot be written: %s", cause)
        self._tell()

    def _tell(self) -> None:
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
