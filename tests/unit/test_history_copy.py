"""The history file is copied while it is written, and what is copied is the history at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np

from countingroom.bus.port import Message
from countingroom.core.history_copy import MOST_S, CopyAnswer, CopyQuery
from countingroom.core.messages import decode, encode
from countingroom.history import file_check
from countingroom.history.columns import Columns
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.file_copy import FileCopies
from countingroom.history.port import Position
from countingroom.history.retention import MINUTE_NS
from countingroom.testing.clock import FakeClock

ROWS = 1000
BEGIN = CopyQuery(id="a")
END = CopyQuery(id="a", ended=True)


def append(store: DuckStore, sequence: int) -> None:
    times = np.arange(ROWS, dtype=np.int64) + sequence * ROWS
    zeros = np.zeros(ROWS, np.int64)
    few = np.zeros(ROWS, np.uint8)
    columns = Columns(
        names=[f"d.p{row % 9}" for row in range(ROWS)],
        time_ns=times,
        number=np.random.default_rng(sequence).random(ROWS),
        kind=few,
        quality=few,
        device_ns=times,
        received_ns=times,
        sent_ns=times,
        place=zeros,
        alarm=few,
        whole=few,
        texts={},
    )
    store.append(columns, Position(sequence=sequence, stored_ns=sequence))


def test_the_bytes_of_a_moment_are_the_history_of_that_moment(tmp_path: Path) -> None:
    file = tmp_path / "history.duckdb"
    store = DuckStore(file)
    store._root.execute("SET GLOBAL checkpoint_threshold = '100 KB'")  # pyright: ignore[reportPrivateUsage]
    for sequence in range(1, 8):
        append(store, sequence)
    answer = store.copy(BEGIN)
    assert answer.sequence == 7
    for sequence in range(8, 40):  # without the hold, the journal would go into the file
        append(store, sequence)
    store.maintain(MINUTE_NS)
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(file.read_bytes()[: answer.file_bytes])
    journal = file.with_name("history.duckdb.wal")
    (tmp_path / "copy.duckdb.wal").write_bytes(journal.read_bytes()[: answer.journal_bytes])
    assert store.copy(CopyQuery(id="b")).refused == "another backup is copying the history"
    assert store.copy(END) == CopyAnswer()
    assert store.copy(END).refused
    append(store, 40)
    assert not journal.exists() or journal.stat().st_size < 100_000
    store.close()
    assert file_check.rows(copy) == (answer.rows, 7)
    assert answer.rows["raw_recent"] + answer.rows["raw_settled"] == 7 * ROWS


class Held:
    """A store that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[CopyQuery] = []

    def copy(self, query: CopyQuery) -> CopyAnswer:
        self.asked.append(query)
        return CopyAnswer(file_bytes=1)


async def test_a_backup_that_was_killed_holds_the_file_for_a_minute() -> None:
    store, clock = Held(), FakeClock()

    async def at_once(work: Callable[[], CopyAnswer]) -> CopyAnswer:
        return work()

    copies = FileCopies(store, clock, at_once)
    running = asyncio.create_task(copies.run())
    message = Message(subject="query.history.copy", data=encode(BEGIN))
    assert decode(await copies.handle(message), CopyAnswer).file_bytes == 1
    await clock.advance(MOST_S - 1)
    await copies.handle(message)
    await clock.advance(MOST_S - 1)
    assert store.asked == [BEGIN, BEGIN]
    await clock.advance(2)
    assert store.asked == [BEGIN, BEGIN, END]
    await clock.advance(2 * MOST_S)
    assert len(store.asked) == 3
    assert decode(await copies.handle(Message(subject="", data=b"\xc1")), CopyAnswer).refused
    other = FileCopies(object(), clock, at_once)
    assert decode(await other.handle(message), CopyAnswer).refused == "this store is no file of this computer"
    running.cancel()
