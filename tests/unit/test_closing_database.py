"""A database is closed by a deadline, also while its disk hangs, and it is told what may be lost."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from countingroom.core.ending_threads import EndingThreads
from countingroom.storage import engine, kept_records
from countingroom.storage.engine import SqlStore
from countingroom.storage.kept_records import KeptRecords
from countingroom.storage.outbox import Outbox
from tests.patience import PATIENCE_S

CREATE, INSERT = text("CREATE TABLE one (number INTEGER)"), text("INSERT INTO one VALUES (7)")


class Disk:
    """It answers nothing any more from `hangs` on, until the test is over."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()

    def wait(self, *_: Any, **__: Any) -> None:
        self.asked.set()
        self.answers.wait(30)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk()
    monkeypatch.setattr(engine, "CLOSE_S", 0.2)
    monkeypatch.setattr(kept_records, "CLOSE_S", 0.2)
    yield made
    made.answers.set()


async def test_a_sync_that_hangs_keeps_no_process_from_its_end(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("countingroom.storage.late_sync.os.fdatasync", disk.wait)
    path = tmp_path / "book.sqlite"
    store = SqlStore(f"sqlite:///{path}")
    await store.write(lambda connection: connection.execute(CREATE))
    disk.answers.clear()
    await store.write(lambda connection: connection.execute(INSERT), synced=False)
    with caplog.at_level(logging.ERROR):
        await asyncio.wait_for(store.close(), PATIENCE_S)
    assert "the sync to the disk" in caplog.text
    assert "are lost if the computer fails" in caplog.text
    kept = SqlStore(f"sqlite:///{path}")
    assert await kept.read(lambda connection: connection.execute(text("SELECT number FROM one")).scalar()) == 7
    await kept.close()
    disk.answers.set()
    await store.close()  # of what was left open, Python 3.13 complains


async def test_a_transaction_that_hangs_keeps_no_process_from_its_end(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'book.sqlite'}")
    disk.answers.clear()
    writing = asyncio.create_task(store.write(disk.wait))
    await asyncio.to_thread(disk.asked.wait, 5)
    with caplog.at_level(logging.ERROR):
        await asyncio.wait_for(store.close(), PATIENCE_S)
    assert "a transaction that writes" in caplog.text
    disk.answers.set()
    await writing
    await store.close()


async def test_what_is_pending_is_done_before_the_end_and_nothing_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for url in ("sqlite://", f"sqlite:///{tmp_path / 'book.sqlite'}"):
        store = SqlStore(url)
        await store.write(lambda connection: connection.execute(CREATE))
        writing = asyncio.create_task(store.write(lambda connection: connection.execute(INSERT).rowcount))
        await asyncio.sleep(0)
        await store.close()
        assert await writing == 1
        await store.close()
    assert not (tmp_path / "book.sqlite-wal").exists(), "the database is whole"
    assert caplog.records == []


def test_records_that_a_disk_does_not_take_are_given_up(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptRecords(Outbox(tmp_path), "entries of the run book")
    disk.answers.clear()
    kept.submit(disk.wait)
    assert not kept.close([b"a"])
    assert "the disk does not answer" in caplog.text


def test_no_thread_keeps_the_process_from_its_end(disk: Disk) -> None:
    threads = EndingThreads(2, "one of this test")
    disk.answers.clear()
    work = [threads.submit(disk.wait) for _ in range(3)]
    mine = [one for one in threading.enumerate() if one.name.startswith("one of this test")]
    assert len(mine) == 2
    assert all(one.daemon for one in mine)
    assert all(not one.done() for one in work)
    disk.answers.set()
    threads.shutdown()
    assert all(one.done() for one in work)
    with pytest.raises(RuntimeError):
        threads.submit(disk.wait)


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    threads = EndingThreads(1, "one of this test")
    failed = threads.submit(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        failed.result(PATIENCE_S)
    threads.shutdown()
    EndingThreads(1, "unused").shutdown()
