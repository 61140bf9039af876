"""What a run number, the end of a run and an entry of the audit cost, synced, beside SQLite alone doing the same.

The raw limit writes the same row in one synced transaction, on the same disk, in turns with us.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.row import Row
from countingroom.core.accounts import AuditEntry
from countingroom.core.run_book import RunEnd, RunFilter, RunNote
from countingroom.storage.database import Database

ROUNDS = 300
RUNS = 20_000


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> list[Row]:
    database = Database(f"sqlite:///{folder / 'ours.sqlite'}")
    begin = time.perf_counter()
    await database.open()
    made_ms = (time.perf_counter() - begin) * 1000
    raw = _raw(folder / "raw.sqlite")
    reserve: list[float] = []
    close: list[float] = []
    audit: list[float] = []
    alone: list[float] = []
    for n in range(ROUNDS):
        begin = time.perf_counter()
        number = (await database.runs.reserve("A", "cbm", "anna", members=("TFC", "STS"))).number
        reserve.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        await database.runs.close(number, RunEnd.STOPPED, counters={"QA.events": n})
        close.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        await database.audit.append(AuditEntry(time_ns=n, who="anna", what="start", outcome="accepted"))
        audit.append(time.perf_counter() - begin)
        alone.append(_timed(lambda n=n: _raw_row(raw, n)))
    raw.close()
    await database.close()
    limit = median(alone) * 1000
    rows = [
        _row("a run number, recorded and synced", reserve, limit),
        _row("the end of a run, synced", close, limit),
        _row("an entry of the audit, synced", audit, limit),
        Row(name="a new database with its schema", value=made_ms, unit="ms"),
    ]
    return [*rows, *await _book(folder)]


async def _book(folder: Path) -> list[Row]:
    database = Database(f"sqlite:///{folder / 'book.sqlite'}")
    await database.open()
    _fill(folder / "book.sqlite")
    await database.runs.note(RUNS // 2, RunNote(time_ns=1, kind="comment", text="the needle"))
    rows: list[Row] = []
    for name, wanted in {
        "newest 100": RunFilter(),
        "100 of one partition, page 50": RunFilter(partition="P3", before=RUNS // 2),
        "one by a word in a comment": RunFilter(text="NEEDLE"),
    }.items():
        times: list[float] = []
        for _ in range(15):
            begin = time.perf_counter()
            await database.runs.find(wanted)
            times.append(time.perf_counter() - begin)
        rows.append(Row(name=f"{name} of {RUNS:,} runs", value=median(times) * 1000, unit="ms"))
    await database.close()
    return rows


def _row(name: str, times: list[float], limit_ms: float) -> Row:
    value = median(times) * 1000
    return Row(name=name, value=value, unit="ms", raw_limit=limit_ms, ratio=value / limit_ms)


def _timed(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _raw(path: Path) -> sqlite3.Connection:
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE run (number INTEGER PRIMARY KEY, partition TEXT, members TEXT, asked_ns INTEGER)")
    return raw


def _raw_row(raw: sqlite3.Connection, n: int) -> None:
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("INSERT INTO run (partition, members, asked_ns) VALUES ('A', '[\"TFC\",\"STS\"]', ?)", (n,))
    raw.execute("COMMIT")


def _fill(path: Path) -> None:
    with sqlite3.connect(path) as raw:
        raw.executemany(
            "INSERT INTO run VALUES (?, ?, 'cbm', 'anna', ?, ?, ?, 'stopped', 'anna', NULL, 'physics', "
            "'{}', '[\"TFC\",\"STS\"]', '{}', NULL, '', '{}', '')",
            ((n, f"P{n % 4}", n, n, n) for n in range(1, RUNS)),
        )
        raw.executemany(
            "INSERT INTO run_note (run, time_ns, kind, text, author, system) VALUES (?, 0, 'comment', ?, 'ben', '')",
            ((n, f"nothing to say of {n}") for n in range(1, RUNS)),
        )
    raw.close()
