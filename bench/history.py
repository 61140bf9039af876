"""All of the default store in one table: `python -m bench history`.

Random walks of 1,000 points at 10 Hz behind a deadband, in messages of 0.4 s. Beside each figure: plain DuckDB on the
same data in the same run, with point, time and value alone, sorted. Then the rows of history_bus and
history_conditions.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import duckdb
import numpy as np

from bench import history_bus, history_conditions
from bench.row import Row
from countingroom.core.series import RangeQuery, RangesQuery
from countingroom.history.columns import Columns
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position
from countingroom.history.query_answers import answer_range, answer_ranges

S = 1_000_000_000
BEGIN = 1_790_000_000 * S
POINTS, SECONDS, HZ = 1000, 600, 10
BATCH = 100_000
ROWS = 2000
ROUNDS = 9
NAMES = tuple(f"caen.{n // 27}.p{n % 27}" for n in range(POINTS))


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_store(Path(folder)), *history_bus.run(), *history_conditions.run()]


def _store(folder: Path) -> list[Row]:
    data = _walks()
    size = len(data["time_ns"])
    store = DuckStore(folder / "history.duckdb", chunk=size // 4)
    plain = duckdb.connect(folder / "plain.duckdb", config={"threads": 2})
    plain.execute("CREATE TABLE s (point INTEGER, time_ns BIGINT, number DOUBLE)")
    asked = _Asking(store)
    ours = bare = 0.0
    with asked:
        for number, first in enumerate(range(0, size, BATCH), 1):
            part = {name: column[first : first + BATCH] for name, column in data.items()}
            columns = _columns(part)
            begin = time.perf_counter()
            store.append(columns, Position(sequence=number, stored_ns=number))
            ours += time.perf_counter() - begin
    plain.register("part", {name: data[name] for name in ("point", "time_ns", "number")})
    begin = time.perf_counter()
    plain.execute("INSERT INTO s SELECT * FROM part ORDER BY point, time_ns")
    plain.execute("CHECKPOINT")
    bare = time.perf_counter() - begin
    end = BEGIN + SECONDS * S
    eight = NAMES[3::125]
    keys = ", ".join(map(str, range(3, POINTS, 125)))
    query = RangesQuery(points=eight, start_ns=BEGIN, end_ns=end, max_points=ROWS)
    bucket = SECONDS * S // ROWS
    grouped = (
        f"SELECT point, time_ns // {bucket}, avg(number), min(number), max(number) FROM s "
        f"WHERE point IN ({keys}) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    newest = "SELECT point, max(time_ns), arg_max(number, time_ns) FROM s GROUP BY point"
    many = _median(lambda: answer_ranges(store, query)), _median(lambda: plain.execute(grouped).fetchall())
    last = _median(lambda: store.last_before(NAMES, 2**62)), _median(lambda: plain.execute(newest).fetchall())
    store.close()
    store = DuckStore(folder / "history.duckdb", chunk=1)
    store.append(_columns({name: column[:1] for name, column in data.items()}), Position(sequence=10**9))  # sorts all
    store.close()
    used = _used(folder / "history.duckdb") / size, _used(folder / "plain.duckdb", plain) / size
    p95 = quantiles(asked.took, n=20)[-1] if len(asked.took) > 1 else float("nan")
    return [
        Row(
            name="history, append of 100,000 values while a reader asks",
            value=size / ours,
            unit="values/s",
            raw_limit=size / bare,
            ratio=bare / ours,
        ),
        Row(
            name="history, a value on disk, with its message and three times",
            value=used[0],
            unit="bytes",
            raw_limit=used[1],
            ratio=used[0] / used[1],
            goal="<= 9 bytes",
        ),
        Row(
            name="history, last of 1,000 points",
            value=last[0],
            unit="ms",
            raw_limit=last[1],
            ratio=last[0] / last[1],
            goal="<= 10 ms",
        ),
        Row(
            name="history, eight points to 2,000 buckets",
            value=many[0],
            unit="ms",
            raw_limit=many[1],
            ratio=many[0] / many[1],
            goal="<= 40 ms",
        ),
        Row(name="history, one point while it appends, p95", value=p95, unit="ms", goal="<= 50 ms"),
    ]


class _Asking:
    """A reader that asks for one point to 2,000 rows ten times a second meanwhile."""

    def __init__(self, store: DuckStore) -> None:
        self._store = store
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.took: list[float] = []
        """How long each answer took, in ms."""

    def _ask(self) -> None:
        query = RangeQuery(point=NAMES[0], start_ns=BEGIN, end_ns=BEGIN + SECONDS * S, max_points=ROWS)
        while not self._end.wait(0.1):
            if self._store.points():
                begin = time.perf_counter()
                answer_range(self._store, query)
                self.took.append((time.perf_counter() - begin) * 1000)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def _walks() -> dict[str, np.ndarray]:
    """Samples in order of arrival."""
    rng = np.random.default_rng(1)
    ticks = SECONDS * HZ
    walk = np.cumsum(rng.normal(0, 0.01, (ticks, POINTS)), 0) + rng.uniform(0, 100, POINTS)
    passed = np.zeros((ticks, POINTS), bool)
    last = np.full(POINTS, np.inf)
    for tick in range(ticks):
        passed[tick] = np.abs(walk[tick] - last) >= 0.0165
        last = np.where(passed[tick], walk[tick], last)
    tick, point = np.nonzero(passed)
    jitter = np.abs(rng.normal(0, 1e6, len(tick))).astype(np.int64)
    stamp = BEGIN + rng.integers(0, S // HZ, POINTS)[point] + tick * (S // HZ) + jitter
    message = 400_000_000
    sent = (stamp // message + 1) * message
    order = np.lexsort((point, sent))
    _, first, of_message = np.unique(sent[order], return_index=True, return_inverse=True)
    return {
        "point": point[order].astype(np.int32),
        "time_ns": stamp[order],
        "number": np.round(walk[tick, point][order], 3),
        "received_ns": stamp[order] + 200_000 + rng.permutation(jitter),
        "sent_ns": sent[order],
        "place": np.arange(len(order)) - first[of_message],
    }


def _columns(part: dict[str, np.ndarray]) -> Columns:
    zeros = np.zeros(len(part["point"]), np.uint8)
    return Columns(
        names=[NAMES[key] for key in part["point"].tolist()],
        time_ns=part["time_ns"],
        number=part["number"],
        kind=zeros,
        quality=zeros,
        device_ns=part["time_ns"],
        received_ns=part["received_ns"],
        sent_ns=part["sent_ns"],
        place=part["place"],
        alarm=zeros,
        whole=zeros,
        texts={},
    )


def _used(file: Path, connection: duckdb.DuckDBPyConnection | None = None) -> float:
    with connection or duckdb.connect(file) as opened:
        opened.execute("CHECKPOINT")
        return float(opened.execute("SELECT block_size * used_blocks FROM pragma_database_size()").fetchall()[0][0])


def _median(work: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        took.append((time.perf_counter() - begin) * 1000)
    return median(took)


if __name__ == "__main__":
    for row in run():
        print(row)
