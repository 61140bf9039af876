"""Points joined with many times, beside DuckDB's ASOF join on the same file.

`readings=100000000 times=1000000` for the size of the goal; the usual one is a twentieth of it.
"""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np

from bench.row import Row
from countingroom.history import conditions
from countingroom.history.duckdb_store import DuckStore

POINTS = 10
CHUNK = 2_000_000
S = 1_000_000_000
BEGIN = 1_790_000_000 * S
STEP_NS = 100_000_000
TOLERANCE_NS = 125 * S


def run(readings: str = "5000000", times: str = "50000") -> list[Row]:
    """The rows of this benchmark."""
    rows, wanted = int(readings), int(times)
    end = BEGIN + rows // POINTS * STEP_NS
    asked = np.random.default_rng(1).integers(BEGIN, end, wanted)
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "history.duckdb"
        _fill(file, rows)
        store = DuckStore(file, read_only=True)
        names = list(store.points())
        begin = time.perf_counter()
        for point in names:
            held = conditions.as_of(store, point, asked, TOLERANCE_NS)
            assert (held.quality == 0).all()
        joined = time.perf_counter() - begin
        ends = asked + 10 * S
        begin = time.perf_counter()
        for point in names:
            conditions.over(store, point, asked, ends, TOLERANCE_NS)
        summed = time.perf_counter() - begin
        store.close()
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        bare = _asof(file, asked)
    size = f"{wanted:,} times x {POINTS} points over {rows:,} readings"
    return [
        Row(name=f"conditions, {size}", value=joined, unit="s", raw_limit=bare, ratio=joined / bare, goal="<= 10 s"),
        Row(name="conditions, the same over intervals of 10 s", value=summed, unit="s"),
        Row(name="conditions, memory of the process at most", value=most, unit="MiB", goal="<= 1024 MiB"),
    ]


def _fill(file: Path, rows: int) -> None:
    """Readings as the store has them after sorting."""
    DuckStore(file).close()
    with duckdb.connect(file, config={"threads": 2, "memory_limit": "512MB"}) as made:
        made.executemany("INSERT INTO point VALUES (?, ?)", [(key, f"caen.{key}.v") for key in range(POINTS)])
        for first in range(0, rows, CHUNK):
            last = min(rows, first + CHUNK)
            made.execute(
                f"INSERT INTO raw_settled SELECT i % {POINTS}, {BEGIN} + i // {POINTS} * {STEP_NS} + i % 7 * 1000, "
                f"round(sin(i / 1e6), 3), 0, 0, 0, i % 3 * 1000, 400000000, 0, 0, 0 "
                f"FROM range({first}, {last}) r(i) ORDER BY 1, 2"
            )


def _asof(file: Path, asked: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    with duckdb.connect(file, read_only=True, config={"threads": 2, "memory_limit": "512MB"}) as plain:
        plain.register("asked", {"moment": asked})
        plain.execute("CREATE TEMP TABLE wanted AS SELECT moment, id AS point FROM asked, point")
        begin = time.perf_counter()
        plain.execute(
            "CREATE TEMP TABLE joined AS SELECT wanted.moment, wanted.point, number, quality FROM wanted "
            "ASOF JOIN raw ON wanted.point = raw.point AND raw.time_ns <= wanted.moment"
        )
        return time.perf_counter() - begin


if __name__ == "__main__":
    for row in run():
        print(row)
