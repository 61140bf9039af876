"""On every database: what the run book does not take now goes in later, once and in order; what it never takes is
set aside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, LinkError
from countingroom.core.run_book import Run, RunEnd, RunNote
from countingroom.runs.run_book_writer import RunBookWriter
from countingroom.storage.database import Database
from countingroom.storage.refused_entries import RefusedEntries
from countingroom.storage.run_entries import BeganEntry, EndEntry, NoteEntry, decode_entry, encode_entry
from countingroom.testing.clock import FakeClock
from tests.contract.storage.postgres import Postgres
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


class Told:
    """The sentences for events, and a way to wait for one."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def tell(self, partition: str, message: str) -> None:
        self.messages.append((partition, message))
        self._news.set()

    async def wait_for(self, words: str) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for _, message in self.messages:
                    if words in message:
                        return message
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def writing(database: Database, folder: Path, told: Told) -> AsyncGenerator[RunBookWriter]:
    writer = RunBookWriter(database, SystemClock(), folder, told.tell)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def note(run: int, text: str, time_ns: int = 5) -> NoteEntry:
    return NoteEntry(run=run, note=RunNote(time_ns=time_ns, kind="comment", text=text, author="ben"))


async def stored(future: asyncio.Future[Cause | None]) -> Cause | None:
    return await asyncio.wait_for(future, PATIENCE_S)


class Away:
    """Lets the repository of runs hang, or fail before or after it has stored a note."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before = self.after = False
        self.hangs_after: int | None = None
        """Notes that are stored before one hangs; None: none hangs."""
        self._note = database.runs.note
        monkeypatch.setattr(database.runs, "note", self.note)

    async def note(self, number: int, note: RunNote) -> Run:
        if self.before:
            raise LinkError("the database is away", source="storage")
        if self.hangs_after is not None:
            if not self.hangs_after:
                await asyncio.Event().wait()
            self.hangs_after -= 1
        run = await self._note(number, note)
        if self.after:
            self.after = False
            raise LinkError("the answer is lost", source="storage", code="no_answer")
        return run


async def test_entries_wait_in_a_file_and_go_in_by_themselves_in_order(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    away, told, folder = Away(database, monkeypatch), Told(), tmp_path / "run-book"
    away.before = True
    async with writing(database, folder, told) as writer:
        entries = [note(run, "one"), note(run, "two"), EndEntry(run=run, end=RunEnd.STOPPED, ended_ns=9)]
        futures = [writer.write("A", entry) for entry in entries]
        message = await told.wait_for("cannot be written now")
        assert f"{folder}/waiting-" in message
        assert "the database is away" in message
        (file,) = folder.glob("waiting-*")
        assert writer.troubles() == [f"the run book cannot be written now: 3 entries wait in {file}"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [decode_entry(line) for line in file.read_bytes().splitlines()] == entries
        assert writer.ends() == {run}
        away.before, away.after = False, True
        assert [await stored(one) for one in futures] == [None] * 3
        assert (writer.troubles(), writer.ends()) == ([], set())
    found = await database.runs.get(run)
    assert [one.text for one in found.notes] == ["one", "two"]  # once, although an answer was lost
    assert found.end is RunEnd.STOPPED
    assert list(folder.iterdir()) == []


async def test_an_entry_that_is_refused_is_set_aside_and_the_next_one_follows(
    database: Database, tmp_path: Path
) -> None:
    run, told, folder = (await database.runs.reserve("A", "cbm", "anna")).number, Told(), tmp_path / "run-book"
    async with writing(database, folder, told) as writer:
        refused, lone = writer.write("A", note(99, "of no run")), writer.write("A", note(run, "half \ud800"))
        kept = writer.write("A", note(run, "kept"))
        cause = await stored(refused)
        assert cause
        assert cause.message == "there is no run 99"
        assert (await stored(lone)) is not None
        assert await stored(kept) is None
        (told_first, _) = told.messages
        assert told_first[0] == "A"
        assert "refuses a note (comment) on run 99: there is no run 99; it is kept in " in told_first[1]
        (warning,) = writer.warnings()
        assert f"has refused 2 entries, kept in {folder}: countingroom run refused list" in warning
    assert len(list(folder.glob("refused-*.json"))) == 2
    async with writing(database, folder, told) as later:
        await later.settled()
        assert later.warnings() == [warning]


async def test_entries_of_a_cancelled_process_are_kept_for_the_next_one(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    away, told = Away(database, monkeypatch), Told()
    away.before = True
    async with writing(database, tmp_path, told) as writer:
        writer.write("A", note(run, "one"))
        writer.write("A", note(run, "two"))
        await told.wait_for("cannot be written now")
    away.before = False
    async with writing(database, tmp_path, told) as later:
        await later.settled()
    assert [one.text for one in (await database.runs.get(run)).notes] == ["one", "two"]


@pytest.mark.parametrize("failure", ["none", "refuses", "hangs"])
async def test_a_safe_entry_outlives_a_kill(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    away, told = Away(database, monkeypatch), Told()
    away.before, away.hangs_after = failure == "refuses", 0 if failure == "hangs" else None
    async with writing(database, tmp_path, told) as writer:
        await writer.settled()  # it runs
        for text in ("one", "two"):  # the second one comes while the first is tried, or after it has failed
            writer.write("A", note(run, text))
            await writer.safe()
            lines = [
                decode_entry(line) for file in tmp_path.glob("waiting-*") for line in file.read_bytes().splitlines()
            ]
            texts = [one.note.text for one in lines if isinstance(one, NoteEntry)]
            stored = [one.text for one in (await database.runs.get(run)).notes]
            assert text in (stored if failure == "none" else texts)


async def test_entries_of_an_earlier_process_do_not_count_as_ones_own(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    away, told = Away(database, monkeypatch), Told()
    away.before = True
    async with writing(database, tmp_path, told) as writer:
        for text in ("one", "two"):
            writer.write("A", note(run, text))
        await told.wait_for("cannot be written now")
    away.before, away.hangs_after = False, 1  # "one" goes in
    async with writing(database, tmp_path, told) as writer:
        writer.write("A", note(run, "mine"))
        await asyncio.create_task(writer.safe())  # after the writer has begun, before it has found the file
        assert any(b'"mine"' in file.read_bytes() for file in tmp_path.glob("waiting-*"))


async def test_safe_does_not_wait_where_neither_database_nor_file_takes_entries(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    away, told, clock = Away(database, monkeypatch), Told(), FakeClock()
    away.before = True
    writer = RunBookWriter(database, clock, None, told.tell)
    task = asyncio.create_task(writer.run())
    await writer.settled()  # it runs
    writer.write("A", note(run, "one"))
    await asyncio.wait_for(writer.safe(), PATIENCE_S)  # the clock stands: it does not wait for its time limit
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await writer.safe()


@pytest.mark.server
async def test_entries_survive_kill_9_while_postgresql_is_away(needs: Callable[[str], str], tmp_path: Path) -> None:
    server = Postgres(needs("initdb"))
    await asyncio.to_thread(server.start)
    database = Database(url := server.database())
    await database.open()
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    await asyncio.to_thread(server.halt)
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.system.run_book_child", url, str(tmp_path / "book"), str(run)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout
        assert await asyncio.wait_for(child.stdout.readline(), PATIENCE_S) == b"kept\n"
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        told = Told()
        async with writing(database, tmp_path / "book", told) as writer:
            await told.wait_for("5 entries of the run book that an earlier process has kept go in now")
            await told.wait_for("cannot be written now")
            last = writer.write("A", note(run, "after the restart"))
            await asyncio.to_thread(server.resume)
            assert await stored(last) is None
            assert writer.troubles() == []
        found = await database.runs.get(run)
        assert (found.started_ns, found.end, found.ended_by) == (10, RunEnd.STOPPED, "anna")
        assert [one.text for one in found.notes] == ["note 0", "note 1", "note 2", "after the restart"]
        assert list((tmp_path / "book").iterdir()) == []
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)


LONG = "x" * 1_500_000
POISON = (
    b"",
    b"\0" * 40,
    b"\xff\xfe garbage",
    b"[" * 3000,
    b'{"type": "note"}',
    b'{"type": "note", "run": "one", "note": 7}',
    b'{"type": "end", "run": RUN, "end": "exploded", "ended_ns": 1}',
    b'{"type": "began", "run": 99999999999999999999999, "started_ns": 1}',
    b'{"type": "began", "run": -1, "started_ns": 1}',
    b'{"type": "exclusion", "partition": "no such", "system": "none", "by": "x\\u0000"}',
    *(
        json.dumps({"type": "note", "run": 0, "note": {"time_ns": 5, "kind": "comment", "text": "t", **more}})
        .replace('"run": 0', '"run": RUN')
        .encode()
        for more in (
            {"text": "a\0b"},
            {"text": "\ud800"},
            {"time_ns": 1 << 70},
            {"kind": LONG},
            {"author": LONG},
            {"system": LONG},
        )
    ),
)


async def test_a_poisoned_entry_of_an_earlier_process_stops_no_other(database: Database, tmp_path: Path) -> None:
    run = (await database.runs.reserve("A", "cbm", "anna")).number
    folder, told = tmp_path / "run-book", Told()
    folder.mkdir()
    lines = [line for number, bad in enumerate(POISON) for line in (bad, encode_entry(note(run, f"good{number}")))]
    data = b"\n".join(lines).replace(b"RUN", str(run).encode()) + b"\n" + b'{"type": "no'
    (folder / "waiting-1.jsonl").write_bytes(data)
    async with writing(database, folder, told) as writer:
        await told.wait_for(f"{len(lines)} entries of the run book that an earlier process has kept go in now")
        assert await stored(writer.write("A", note(run, "mine"))) is None
        assert writer.troubles() == []
    good = [one.text for one in (await database.runs.get(run)).notes if one.text.startswith(("good", "mine"))]
    assert good == [*(f"good{number}" for number in range(len(POISON))), "mine"]
    assert not list(folder.glob("waiting-*"))
    assert all(one.entry or one.reason for one in RefusedEntries(folder).list())


def test_entries_come_back_from_their_line_as_they_were() -> None:
    began = BeganEntry(run=2, started_ns=1)
    assert str(began) == "the beginning of run 2"
    with pytest.raises(ValueError, match="type"):
        decode_entry(b'{"run": 1}')
    with pytest.raises(ValueError, match="Expecting"):
        decode_entry(b"{")
