"""While the database takes nothing, what waits for it shows in the readiness of its process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from countingroom.console.audit_writer import AuditWriter
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.errors import LinkError
from countingroom.core.run_book import Run, RunNote
from countingroom.runs.run_book_writer import RunBookWriter
from countingroom.storage.audit import Audit
from countingroom.storage.database import Database
from countingroom.storage.run_entries import NoteEntry
from countingroom.testing.clock import FakeClock


class FullDisk:
    """A write that fails while `full`."""

    def __init__(self) -> None:
        self.full = True
        self.written = 0

    async def write(self) -> None:
        if self.full:
            raise LinkError("database or disk is full", code="storage_failed")
        self.written += 1


class FullAudit(Audit):
    def __init__(self, disk: FullDisk) -> None:
        self._disk = disk

    async def append(self, *entries: AuditEntry) -> None:
        await self._disk.write()

    async def append_again(self, *entries: AuditEntry) -> None:
        await self._disk.write()


async def check(
    writer: AuditWriter | RunBookWriter, add: Callable[[], object], clock: FakeClock, disk: FullDisk
) -> None:
    running = asyncio.create_task(writer.run())
    await clock.advance(0)
    assert not writer.is_failing
    add()
    await clock.advance(0.1)
    assert writer.is_failing
    disk.full = False
    await clock.advance(2.0)
    assert not writer.is_failing
    assert disk.written == 1
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_run_book_that_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, disk, database = FakeClock(), FullDisk(), Database("sqlite://")

    async def note(number: int, note: RunNote) -> Run:
        await disk.write()
        return Run(number=number, partition="a", template="cbm", requested_by="ann", asked_ns=1, notes=(note,))

    monkeypatch.setattr(database.runs, "note", note)
    writer = RunBookWriter(database, clock)
    entry = NoteEntry(run=1, note=RunNote(time_ns=1, kind="comment", text="quiet"))
    await check(writer, lambda: writer.write("a", entry), clock, disk)
    await database.close()


async def test_an_audit_that_waits_is_told() -> None:
    clock, disk = FakeClock(), FullDisk()
    writer = AuditWriter(FullAudit(disk), clock)
    entry = AuditEntry(time_ns=1, who="ann", what="stop", outcome=Outcome.ACCEPTED)
    await check(writer, lambda: writer.add(entry), clock, disk)
