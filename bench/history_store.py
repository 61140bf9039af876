"""The store alone: what it writes and answers, beside DuckDB without us doing the same in the same file format.

The dense point is one of a thousand whose samples lie between its own, as they came.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import psutil
import pyarrow as pa

from bench.row import Row
from countingroom.core.series import RangeQuery
from countingroom.history.columns import Columns
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position
from countingroom.history.query_answers import answer_range

_arrow: Any = pa
S = 1_000_000_000
BEGIN = 1_790_000_000 * S
SAMPLES = 2_600_000
STEP_NS = 10_000_000
BATCH = 50_000
ROUNDS = 15
ROWS = 2000
OTHERS = [f"caen.{n // 27}.p{n % 27}" for n in range(1000)] * (BATCH // 1000)


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_dense(Path(folder)), *_month(Path(folder))]


def _dense(folder: Path) -> list[Row]:
    store = DuckStore(folder / "dense.duckdb")
    raw = duckdb.connect(folder / "raw.duckdb", config={"threads": 2})
    raw.execute(
        "CREATE TABLE s (point INT, time_ns BIGINT, number DOUBLE, kind UTINYINT, quality UTINYINT, d BIGINT, r BIGINT)"
    )
    ours = bare = 0.0
    wal = 0
    with _asking(store, "rack.dense"):
        for number in range(SAMPLES // BATCH):
            time_ns = BEGIN + np.arange(number * BATCH, (number + 1) * BATCH) * STEP_NS
            for names, key, stamps in (
                (["rack.dense"] * BATCH, np.full(BATCH, 5000, np.int32), time_ns),
                (OTHERS, np.arange(BATCH, dtype=np.int32) % 1000, np.repeat(time_ns[::1000], 1000)),
            ):
                columns = _columns(names, stamps)
                table = _table(columns, key)
                sequence = store.position().sequence + 1
                ours += _took(lambda c=columns, s=sequence: store.append(c, Position(sequence=s, stored_ns=s)))
                bare += _took(lambda t=table: raw.execute("INSERT INTO s SELECT * FROM t"))
            wal = max(wal, sum(file.stat().st_size for file in folder.glob("dense*.wal")))
    span = SAMPLES * STEP_NS
    bucket = span // ROWS
    plain = (
        f"SELECT time_ns // {bucket}, avg(number), min(number), max(number) FROM s "
        f"WHERE point = 5000 AND time_ns >= {BEGIN} AND time_ns < {BEGIN + span} GROUP BY 1 ORDER BY 1"
    )
    query = RangeQuery(point="rack.dense", start_ns=BEGIN, end_ns=BEGIN + span, max_points=ROWS)
    answered = _median(lambda: answer_range(store, query))
    grouped = _median(lambda: raw.execute(plain).fetchall())
    rates = 2 * SAMPLES / ours, 2 * SAMPLES / bare
    rows = [
        Row(
            name="history, append while a reader asks",
            value=rates[0],
            unit="points/s",
            raw_limit=rates[1],
            ratio=rates[0] / rates[1],
        ),
        Row(
            name="history, 2.6 M raw points of one in 1,000 to 2,000 rows",
            value=answered,
            unit="ms",
            raw_limit=grouped,
            ratio=answered / grouped,
            goal="<= 50 ms",
        ),
        Row(name="history, log beside the file at most", value=wal / 1e6, unit="MB"),
        Row(
            name="history, memory of the process after it",
            value=psutil.Process(os.getpid()).memory_info().rss / 1e6,
            unit="MB",
        ),
    ]
    store.close()
    raw.close()
    return rows


def _month(folder: Path) -> list[Row]:
    """The same count at one a second: thirty days, answered from minutes."""
    store = DuckStore(folder / "month.duckdb")
    for number in range(SAMPLES // BATCH):
        stamps = BEGIN + np.arange(number * BATCH, (number + 1) * BATCH) * S
        store.append(_columns(["rack.slow"] * BATCH, stamps), Position(sequence=number + 1, stored_ns=number + 1))
    end = BEGIN + SAMPLES * S
    summed = _took(lambda: store.maintain(end + 120 * S))
    query = RangeQuery(point="rack.slow", start_ns=BEGIN + 600 * S, end_ns=end, max_points=ROWS)
    answered = _median(lambda: answer_range(store, query))
    store.close()
    return [
        Row(name="history, 30 days at 1 Hz to 2,000 rows", value=answered, unit="ms", goal="<= 50 ms"),
        Row(name="history, summing up those 30 days", value=SAMPLES / summed, unit="points/s"),
    ]


class _asking:
    """A reader that asks for the newest values all the time meanwhile."""

    def __init__(self, store: DuckStore, point: str) -> None:
        self._store = store
        self._point = point
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        while not self._end.wait(0.05):
            self._store.last_before((self._point,), 2**62)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def _columns(names: list[str], time_ns: Any) -> Columns:
    zeros = np.zeros(len(names), np.uint8)
    return Columns(
        names=names,
        time_ns=time_ns,
        number=np.sin(time_ns / 1e12) + np.random.default_rng(1).normal(size=len(names)) / 100,
        kind=zeros,
        quality=zeros,
        device_ns=time_ns,
        received_ns=time_ns + 1000,
        sent_ns=time_ns + 2000,
        place=zeros.astype(np.int64),
        alarm=zeros,
        whole=zeros,
        texts={},
    )


def _table(columns: Columns, key: Any) -> Any:
    return _arrow.table(
        {
            "point": key,
            "time_ns": columns.time_ns,
            "number": columns.number,
            "kind": columns.kind,
            "quality": columns.quality,
            "d": columns.device_ns,
            "r": columns.received_ns,
        }
    )


def _took(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _median(work: Callable[[], object]) -> float:
    return median(_took(work) for _ in range(ROUNDS)) * 1000


if __name__ == "__main__":
    for row in run():
        print(row)
