"""The audit writer: entries that the database does not take are kept, told, and written once and in order."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from countingroom.console.audit_writer import AuditWriter
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.errors import Cause, LinkError
from countingroom.storage.audit import Audit, AuditFilter
from countingroom.storage.database import Database
from countingroom.storage.outbox import Outbox
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S


def entry(number: int, what: str = "") -> AuditEntry:
    return AuditEntry(time_ns=number, who="ann", what=what or f"act{number}", outcome=Outcome.ACCEPTED)


class UnsureAudit:
    """An audit whose answers can be lost: before or after the transaction."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self.fails_before = False
        self.fails_after = False

    async def append(self, *entries: AuditEntry) -> None:
        await self._do(self._audit.append, entries)

    async def append_again(self, *entries: AuditEntry) -> None:
        await self._do(self._audit.append_again, entries)

    async def _do(self, work: object, entries: tuple[AuditEntry, ...]) -> None:
        if self.fails_before:
            raise LinkError("database or disk is full", code="storage_failed")
        await work(*entries)  # type: ignore[operator]
        if self.fails_after:
            raise LinkError("the database did not answer", code="no_answer")


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.database = Database("sqlite://")
        self.audit = UnsureAudit(self.database.audit)
        self.folder = folder
        self.told: list[tuple[str, bool]] = []

    def tell(self, message: str, cause: Cause | None) -> None:
        self.told.append((message, cause is not None))

    @asynccontextmanager
    async def writer(self) -> AsyncGenerator[AuditWriter]:
        writer = AuditWriter(self.audit, self.clock, self.folder, self.tell)  # type: ignore[arg-type]
        running = asyncio.create_task(writer.run())
        await asyncio.sleep(0)
        yield writer
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    async def advance_until_written(self, writer: AuditWriter) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while writer.is_failing:
                await self.clock.advance(0.5)
                await asyncio.sleep(0.01)
            await writer.settled()

    async def found(self) -> list[str]:
        return [one.what for one in reversed(await self.database.audit.find(AuditFilter(limit=2000)))]

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("waiting-*"))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench]:
    bench = Bench(tmp_path / "audit")
    await bench.database.open()
    yield bench
    await bench.database.close()


async def test_entries_are_in_the_file_before_their_answers_and_go_in_in_order(bench: Bench) -> None:
    async with bench.writer() as writer:
        bench.audit.fails_before = True
        for number in range(1, 6):
            async with asyncio.timeout(PATIENCE_S):
                await writer.write(entry(number))
            (file,) = bench.files()
            assert file.read_bytes().count(b"act") == number
        (trouble,) = writer.troubles()
        assert trouble == f"the audit cannot be written now: 5 entries wait in {file}"
        bench.audit.fails_before = False
        await bench.advance_until_written(writer)
        assert await bench.found() == [f"act{number}" for number in range(1, 6)]
        assert (bench.files(), writer.troubles()) == ([], [])
    assert [is_trouble for _, is_trouble in bench.told] == [True, False]
    assert list(bench.folder.iterdir()) == []


async def test_a_transaction_whose_answer_was_lost_is_not_repeated(bench: Bench) -> None:
    async with bench.writer() as writer:
        bench.audit.fails_after = True
        await writer.write(entry(1))
        await writer.write(entry(2))
        bench.audit.fails_after = False
        await bench.advance_until_written(writer)
        await writer.write(entry(3))
        assert await bench.found() == ["act1", "act2", "act3"]


async def test_the_next_console_writes_what_an_earlier_one_has_kept_first(bench: Bench) -> None:
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        await writer.write(entry(1))
        await writer.write(entry(2))
    assert len(bench.files()) == 1
    bench.audit.fails_before = False
    async with bench.writer() as writer:
        await writer.write(entry(3))
        await writer.settled()
    assert await bench.found() == ["act1", "act2", "act3"]


async def test_what_an_earlier_one_has_kept_does_not_count_as_ones_own(bench: Bench) -> None:
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        await writer.write(entry(1))
        await writer.write(entry(2))
    later: list[AuditWriter] = []

    def tell(message: str, cause: Cause | None) -> None:
        bench.told.append((message, cause is not None))
        if "earlier console" in message:  # an entry that comes just then
            later[0].add(entry(4))

    writer = AuditWriter(bench.audit, bench.clock, bench.folder, tell)  # type: ignore[arg-type]
    later.append(writer)
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.create_task(writer.write(entry(3)))
    assert any(b"act3" in file.read_bytes() for file in bench.files())
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_record_that_cannot_be_read_does_not_stop_those_behind_it(bench: Bench) -> None:
    bench.folder.mkdir()
    good = b'{"time_ns": 1, "who": "ann", "what": "act1", "outcome": "accepted"}'
    (bench.folder / "waiting-1.jsonl").write_bytes(b"garbage\n" + good + b"\n")
    async with bench.writer() as writer:
        await writer.write(entry(2))
        await writer.settled()
    assert await bench.found() == ["act1", "act2"]
    assert bench.files() == []


async def test_without_a_file_entries_wait_in_memory_and_that_is_told(bench: Bench) -> None:
    bench.folder.parent.joinpath("audit").write_text("no folder")
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        async with asyncio.timeout(PATIENCE_S):
            await writer.write(entry(1))
        assert "1 entry waits in memory (" in writer.troubles()[0]
        bench.audit.fails_before = False
        await bench.advance_until_written(writer)
    assert await bench.found() == ["act1"]


async def test_what_was_kept_is_written_before_ones_own_where_the_disk_gives_no_room(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console was killed while the database was away, and starts again on a full disk."""
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        await writer.write(entry(1))
        await writer.write(entry(2))

    def refuses(_: Outbox) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Outbox, "reserve", refuses)
    async with bench.writer() as writer:
        await writer.write(entry(3))
        bench.audit.fails_before = False
        await bench.advance_until_written(writer)
        await writer.write(entry(4))
    assert await bench.found() == ["act1", "act2", "act3", "act4"]
    assert bench.files() == []


async def test_a_full_file_leaves_the_rest_in_memory_and_all_go_in_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countingroom.console.audit_writer.OUTBOX_BYTES", 400)
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        for number in range(1, 10):
            async with asyncio.timeout(PATIENCE_S):
                await writer.write(entry(number))
        assert "takes no more" in writer.troubles()[0]
        bench.audit.fails_before = False
        await bench.advance_until_written(writer)
        assert (bench.files(), writer.troubles()) == ([], [])
    assert await bench.found() == [f"act{number}" for number in range(1, 10)]


async def test_where_neither_takes_entries_the_newest_are_dropped_and_counted_in_the_audit(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countingroom.console.audit_writer.WAITING", 3)
    bench.folder.parent.joinpath("audit").write_text("no folder")
    bench.audit.fails_before = True
    async with bench.writer() as writer:
        for number in range(1, 6):
            async with asyncio.timeout(PATIENCE_S):
                await writer.write(entry(number))
        assert writer.lost == 2
        bench.audit.fails_before = False
        await bench.advance_until_written(writer)
    assert await bench.found() == ["act1", "act2", "act3", "record"]
    (loss, *_) = await bench.database.audit.find(AuditFilter(what="record"))
    assert loss.cause
    assert loss.cause.message.startswith("2 entries before this one were not written")


async def test_a_text_that_no_database_can_keep_does_not_end_the_audit(bench: Bench) -> None:
    async with bench.writer() as writer:
        for number, fails in enumerate((True, False)):
            bench.audit.fails_before = fails
            async with asyncio.timeout(PATIENCE_S):
                await writer.write(entry(2 * number, what="half of a pair \ud800"))
                await writer.write(entry(2 * number + 1))
        await bench.advance_until_written(writer)
    assert await bench.found() == ["half of a pair \\ud800", "act1", "half of a pair \\ud800", "act3"]
