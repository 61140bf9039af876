"""What the saved states and the history of alarms cost, synced, beside SQLite alone doing the same."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import msgspec

from bench.row import Row
from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.alarms.statistics import CountedRow, StatisticsCounter
from countingroom.storage.database import Database

ROUNDS = 100
BATCH = 50
"""So many alarms change in a batch: ten batches a second are 500 changes a second."""
ACTIVE = 10_000
ROWS = 300_000
TEXT = "I mon 11.82 uA is above its alarm limit 10.00 uA"


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder)))


async def _run(folder: Path) -> list[Row]:
    database = Database(f"sqlite:///{folder / 'ours.sqlite'}")
    await database.open()
    writer = await database.alarms.take_over("bench")
    raw = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE alarm (id TEXT PRIMARY KEY, state TEXT)")
    raw.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, alarm TEXT, text TEXT)")
    one: list[float] = []
    many: list[float] = []
    alone: list[float] = []
    alone_many: list[float] = []
    for n in range(ROUNDS):
        one.append(await _timed(lambda n=n: database.alarms.save(writer, _alarms(n, 1), _rows(n, 1))))
        many.append(await _timed(lambda n=n: database.alarms.save(writer, _alarms(n, BATCH), _rows(n + 1000, BATCH))))
        alone.append(_raw(raw, 1))
        alone_many.append(_raw(raw, BATCH))
    raw.close()
    rows = [
        _row("an acknowledgement of an alarm, synced", one, alone),
        _row(f"{BATCH} changed alarms with their history, synced", many, alone_many),
    ]
    await database.alarms.save(writer, _alarms(0, ACTIVE))
    loaded = [await _timed(database.alarms.load) for _ in range(5)]
    rows.append(Row(name=f"{ACTIVE:,} saved alarms read at a takeover", value=median(loaded), unit="ms"))
    for n in range(0, ROWS, 10_000):
        await database.alarms.save(writer, (), _rows(n + 10_000_000, 10_000, alarms=5000))
    for name, wanted in {
        "last 50 of one alarm": AlarmHistoryFilter(alarm="point.caen77.0.hv_iMon", limit=50),
        "last 100 of an area": AlarmHistoryFilter(area="power/caen77"),
        "those of 10 s in the middle": AlarmHistoryFilter(from_ns=10_100_000, to_ns=10_100_100, limit=1000),
    }.items():
        times = [await _timed(lambda wanted=wanted: database.alarms.history(wanted)) for _ in range(15)]
        rows.append(Row(name=f"{name}, of {ROWS:,} rows of history", value=median(times), unit="ms"))
    counted_ms = await _timed(lambda: _count(database))
    rows.append(Row(name=f"{ROWS:,} rows of history counted for the figures", value=counted_ms, unit="ms"))
    began = time.perf_counter()
    deleted = await database.alarms.discard(10_100_000)
    took_ms = (time.perf_counter() - began) * 1e3
    rows.append(Row(name="1,000 old rows of the history deleted", value=took_ms / deleted * 1000, unit="ms"))
    await database.close()
    return rows


def _alarms(first: int, count: int) -> list[SavedAlarm]:
    return [
        SavedAlarm(
            id=f"point.caen{n}.0.hv_iMon",
            occurrence=n + 1,
            state=AlarmState(
                id=f"point.caen{n}.0.hv_iMon",
                area=f"power/caen{n}",
                title=f"Mainframe {n} ch 0 / HV I",
                base=BaseState.ACKNOWLEDGED,
                priority=2,
                text=TEXT,
                occurrence=n + 1,
                since_ns=n,
                changed_ns=n,
                acknowledged_by="anna",
                acknowledged_ns=n,
                comment="I look at it",
            ),
        )
        for n in range(first, first + count)
    ]


def _rows(first: int, count: int, alarms: int = 1_000_000) -> list[AlarmEntry]:
    return [
        AlarmEntry(
            time_ns=n,
            alarm=f"point.caen{n % alarms}.0.hv_iMon",
            area=f"power/caen{n % alarms}",
            title=f"Mainframe {n % alarms} ch 0 / HV I",
            kind=HistoryKind.ACKNOWLEDGED if n % 2 else HistoryKind.ANNOUNCED,
            occurrence=n + 1,
            base=BaseState.ACKNOWLEDGED if n % 2 else BaseState.UNACKNOWLEDGED,
            priority=2,
            person="anna",
            text=TEXT,
        )
        for n in range(first, first + count)
    ]


async def _count(database: Database) -> None:
    counter = StatisticsCounter(0, 2 * 10_000_000)
    last: CountedRow | None = None
    while part := await database.alarms.counted_rows(0, 2 * 10_000_000, "", last):
        last = part[-1]
        for row in part:
            counter.add(row)
    counter.result()


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begin = time.perf_counter()
    await work()
    return (time.perf_counter() - begin) * 1e3


def _raw(raw: sqlite3.Connection, count: int) -> float:
    state = msgspec.json.encode(_alarms(0, 1)[0]).decode()
    begin = time.perf_counter()
    raw.execute("BEGIN IMMEDIATE")
    raw.executemany("INSERT OR REPLACE INTO alarm VALUES (?, ?)", [(f"a{n}", state) for n in range(count)])
    raw.executemany("INSERT INTO row (alarm, text) VALUES (?, ?)", [(f"a{n}", TEXT) for n in range(count)])
    raw.execute("COMMIT")
    return (time.perf_counter() - begin) * 1e3


def _row(name: str, times: list[float], alone: list[float]) -> Row:
    value = median(times)
    limit = median(alone)
    return Row(name=name, value=value, unit="ms", raw_limit=limit, ratio=value / limit)
