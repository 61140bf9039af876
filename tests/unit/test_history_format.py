"""A history file of an earlier format is read as it is, and converted in place over kill -9; a newer one is refused."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.messages import Readings
from countingroom.history import duckdb_format
from countingroom.history import duckdb_sql as sql
from countingroom.history.columns import Columns, flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import Position

S = 1_000_000_000
T0 = 1_790_000_000 * S
ROWS = 20_000
POINTS = 7
NAMES = tuple(f"caen.p{point}" for point in range(POINTS))

SAMPLE = (
    "point INTEGER, time_ns BIGINT, number DOUBLE, kind UTINYINT, quality UTINYINT, device_ns BIGINT, "
    "received_ns BIGINT"
)
LATER = ", sent_ns BIGINT, place INTEGER, alarm UTINYINT, whole UTINYINT"
SUMMARY = (
    "point INTEGER, time_ns BIGINT, count BIGINT, good BIGINT, low DOUBLE, high DOUBLE, total DOUBLE, latest DOUBLE, "
    "quality UTINYINT, first_ns BIGINT, last_ns BIGINT"
)


def earlier(path: Path, *, later: str = LATER) -> None:
    """A file as the version before wrote it, or without some columns the one before that."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path) as file:
        for name, columns in (
            ("raw", SAMPLE + later),
            ("text", f"{SAMPLE}, text VARCHAR{later}"),
            ("minute", SUMMARY),
            ("five", SUMMARY),
        ):
            for part in ("recent", "settled"):
                file.execute(f"CREATE TABLE {name}_{part} ({columns})")
            file.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}_recent UNION ALL SELECT * FROM {name}_settled")
        file.execute("CREATE TABLE point (id INTEGER, name VARCHAR)")
        file.execute("CREATE TABLE due (minute_ns BIGINT)")
        file.execute("CREATE TABLE progress (sequence BIGINT, stored_ns BIGINT, raw_ns BIGINT, minute_ns BIGINT)")
        file.execute("INSERT INTO progress VALUES (7, 77, 0, 0)")
        file.executemany("INSERT INTO point VALUES (?, ?)", list(enumerate(NAMES)))
        for table, first, rows in (("raw_settled", 0, ROWS), ("raw_recent", ROWS, ROWS // 2)):
            sent = f", {T0} + (i // 100 + 1) * {S}, i % 100, i % 4, i % 2" if later else ""
            file.execute(
                f"INSERT INTO {table} SELECT i % {POINTS}, {T0} + i * 10000000, i / 8, 0, i % 4, "
                f"CASE WHEN i % 1000 = 1 THEN {-(2**63)} WHEN i % 1000 = 2 THEN {2**63 - 1} "
                f"ELSE {T0} + i * 10000000 END, {T0} + i * 10000000 + i % 5{sent} "
                f"FROM range({first}, {first + rows}) r(i)"
            )
        sent = f", {T0} + 5, 3, 0, 1" if later else ""
        file.execute(f"INSERT INTO text_recent SELECT 0, {T0} - 5, NULL, 3, 0, {T0} - 5, {T0}, 'ON'{sent}")


def contents(path: Path, *, read_only: bool = False) -> tuple[Columns, Columns]:
    """All samples, and the last ones."""
    store = DuckStore(path, read_only=read_only)
    try:
        assert store.position() == Position(sequence=7, stored_ns=77)
        return store.samples(NAMES, 0, 2**62, limit=2**62), store.last_before(NAMES, 2**62)
    finally:
        store.close()


def same(one: Columns, other: Columns) -> None:
    for name in Columns.ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name == "number"), name
    assert (one.names, one.texts) == (other.names, other.texts)


@pytest.mark.server
@pytest.mark.parametrize("later", [LATER, ""], ids=["the version before", "without the messages"])
def test_a_file_of_an_earlier_version_is_converted_to_what_was_read_before(
    tmp_path: Path, later: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.duckdb"
    earlier(path, later=later)
    assert duckdb_format.check(path) == 1
    bytes_before = path.read_bytes()
    every, last = contents(path, read_only=True)
    assert path.read_bytes() == bytes_before
    assert len(every) == ROWS + ROWS // 2 + 1
    assert every.device_ns.min() == -(2**63)
    assert every.device_ns.max() == 2**63 - 1
    assert (every.sent_ns == 0).all() == (not later)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):  # opened again it is as it was
            converted, newest = contents(path)
            same(every, converted)
            order = np.argsort(np.array(newest.names))
            same(last.chosen(np.argsort(np.array(last.names))), newest.chosen(order))
    assert duckdb_format.check(path) == duckdb_format.VERSION
    assert [text for text in caplog.messages if "30001 readings are converted, in place" in text]
    assert len([text for text in caplog.messages if "all readings are converted" in text]) == 1


@pytest.mark.server
def test_a_conversion_that_is_killed_again_and_again_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    earlier(path)
    every, _ = contents(path, read_only=True)
    code = (
        "import pathlib, sys\n"
        "from countingroom.history import duckdb_format\n"
        "from countingroom.history.duckdb_store import DuckStore\n"
        "duckdb_format._STEP = 1000\n"
        "DuckStore(pathlib.Path(sys.argv[1])).close()\n"
    )
    left: list[int] = []
    for told in (1, 2):
        with subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.PIPE, text=True) as child:
            assert child.stderr is not None
            lines = [line for line, _ in zip(child.stderr, range(1 + told), strict=False)]
            child.send_signal(signal.SIGKILL)
            child.stderr.read()
            assert child.wait() == -signal.SIGKILL, lines
        left.append(int(lines[0].split(": ")[1].split()[0]))
        assert duckdb_format.check(path) == 1
    assert left == sorted(set(left), reverse=True), "each goes on where the one before was"
    with pytest.raises(ConfigurationError, match="half converted"):
        DuckStore(path, read_only=True)
    same(every, contents(path)[0])


def test_a_file_of_a_later_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    store = DuckStore(path)
    store.close()
    with duckdb.connect(path) as file:
        file.execute("UPDATE format SET version = 99")
    before = path.read_bytes()
    for opening in (
        lambda: DuckStore(path),
        lambda: DuckStore(path, read_only=True),
        lambda: duckdb_format.check(path),
    ):
        with pytest.raises(ConfigurationError, match="format 99, made by a later version") as refused:
            opening()
        assert refused.value.cause.code == "newer_format"
    assert path.read_bytes() == before


def test_a_first_start_that_is_interrupted_leaves_a_file_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.duckdb"
    with monkeypatch.context() as patch:
        patch.setattr(sql, "SCHEMA", sql.SCHEMA.partition("CREATE VIEW IF NOT EXISTS raw")[0] + "SELECT error('full');")
        with pytest.raises(LinkError, match="full"):
            DuckStore(path)
    DuckStore(path).close()
    assert duckdb_format.check(path) == duckdb_format.VERSION


def test_the_last_rows_outlive_the_process_and_the_retention(tmp_path: Path) -> None:
    """Of sorted chunks, of rows after them, late ones, and of a point whose numbers went before its texts."""

    def message(rows: list[tuple[str, int, float | str]]) -> Columns:
        times = [T0 + second * S for _, second, _ in rows]
        one = Readings(
            device="d",
            boot="b",
            sequence=1,
            full=False,
            sent_ns=times[-1],
            points=[name for name, _, _ in rows],
            values=[value for _, _, value in rows],
            qualities=[0] * len(rows),
            device_ns=times,
            received_ns=times,
        )
        return flatten([one])

    path, names = tmp_path / "history.duckdb", ("d.a", "d.b", "d.c")

    def last(store: DuckStore) -> dict[str, object]:
        rows = store.last_before(names, 2**62)
        return {name: rows.value(row) for row, name in enumerate(rows.names)}

    store = DuckStore(path, chunk=4)
    batches: list[list[tuple[str, int, float | str]]] = [
        [("a", 1, 1.0), ("b", 1, 2.0), ("c", 0, "ON"), ("a", 3, 3.0), ("c", 5, 4.0)],
        [("b", 9, 5.0), ("a", 2, 6.0)],
        [("a", 4, 7.0)],
    ]
    for number, batch in enumerate(batches, 1):
        store.append(message(batch), Position(sequence=number, stored_ns=number))
    expected = {"d.a": 7.0, "d.b": 5.0, "d.c": 4.0}
    assert last(store) == expected
    store.close()
    store = DuckStore(path, chunk=4)
    assert last(store) == expected
    store.maintain(T0 + 600 * S)
    store.maintain(T0 + 31 * 86400 * S)
    assert last(store) == {"d.c": "ON"}
    store.close()
    store = DuckStore(path)
    assert last(store) == {"d.c": "ON"}
    store.close()
