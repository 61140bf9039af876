"""The file is one process's, readers do not hold it up, and a full disk stops it only while it is full."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from countingroom.core.errors import LinkError
from countingroom.history.columns import flatten
from countingroom.history.description import HistorySection, Retention
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import MINUTE_NS, Resolution
from tests.system.history_child import ROWS, S, batch

ROOT = Path(__file__).parents[2]


def put(store: DuckStore, number: int) -> None:
    store.append(flatten([batch(number)]), Position(sequence=number, stored_ns=number))


def test_a_full_disk_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    done = subprocess.run(
        [sys.executable, "-m", "tests.system.history_full_disk", path], stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    said = json.loads(done.stdout)
    assert said == {"refused": ["store_failed"] * 3, "reached": 200, "position": 200}
    store = DuckStore(path)
    rows = store.samples(tuple(store.points()), 0, 2**62, limit=2**40)
    assert Counter((rows.time_ns // S).tolist()) == dict.fromkeys(range(1, 201), ROWS)
    store.close()


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    store = DuckStore(folder / "history.duckdb", HistorySection(keep=Retention(raw=60)))
    put(store, 1)
    shutil.rmtree(folder)
    with pytest.raises(LinkError, match="No such file or directory"):
        for minute in range(1, 9):
            store.maintain(minute * 3600 * S)
    with pytest.raises(LinkError, match="No such file or directory"):
        put(store, 2)
    store.close()


def test_readers_see_whole_batches_while_it_is_written(tmp_path: Path) -> None:
    store = DuckStore(tmp_path / "history.duckdb", chunk=20_000)
    put(store, 1)
    names, end = tuple(store.points()), threading.Event()
    wrong: list[Counter[int]] = []
    asked = 0

    def read() -> None:
        nonlocal asked
        while not end.is_set():
            seconds: list[int] = (store.samples(names, 0, 2**62, limit=2**40).time_ns // S).tolist()
            found = Counter(seconds)
            asked += 1
            if set(found.values()) != {ROWS} or set(found) != set(range(1, len(found) + 1)):
                wrong.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(2, 40):
        put(store, number)
        if number % 10 == 0:
            store.maintain(number * S)
    end.set()
    reader.join()
    store.close()
    assert asked > 3
    assert wrong == []


def test_two_processes_cannot_have_the_file(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    store = DuckStore(path)
    code = f"import countingroom.history.duckdb_store as d, pathlib; d.DuckStore(pathlib.Path({str(path)!r}))"
    second = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    store.close()
    assert second.returncode == 1
    assert "cannot be used" in second.stderr


def test_without_room_the_oldest_raw_samples_go_and_their_summaries_stay(tmp_path: Path) -> None:
    store = DuckStore(
        tmp_path / "history.duckdb", HistorySection(max_disk_gb=0.002, keep=Retention(raw=3000)), chunk=20_000
    )
    names = [f"d.p{n}" for n in range(49)]
    for number in range(1, 61):
        columns = flatten([batch(number * 60)])
        store.append(columns, Position(sequence=number, stored_ns=number))
    before = sum(_count(store, name) for name in names)
    early: list[int] = []
    for _ in range(30):
        early += [done] if (done := store.maintain(3660 * S).early_ns) else []
    assert early
    assert store.horizon().raw_ns == early[-1]
    assert len(store.samples(tuple(names), 0, early[-1], limit=9)) == 0
    assert len(store.samples(tuple(names), early[-1], 2**62, limit=9)) == 9
    assert sum(_count(store, name) for name in names) == before
    store.close()


def _count(store: DuckStore, name: str) -> int:
    minutes = QueryPlan(base=Resolution.MINUTE, bucket_ns=MINUTE_NS)
    return int(store.buckets(name, 0, 3660 * S, minutes).count.sum())
