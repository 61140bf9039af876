"""From a sender in a process of its own, through the server, into the file: all of it counted at the end.

The raw limit is DuckDB alone taking the same columns, which nobody has to carry or decode.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import duckdb
import msgspec
import numpy as np

from bench.row import Row
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Readings, encode
from countingroom.core.series import LastAnswer, LastQuery, QueryRefusal
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService

MESSAGES, POINTS = 3000, 1000
AHEAD = 32
"""Messages under way without their acknowledgement."""
NAMES = [f"{n // 27}.p{n % 27}" for n in range(POINTS)]


def run() -> list[Row]:
    """The rows of this benchmark."""
    return asyncio.run(_measure())


async def _measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = EmbeddedServer(folder / "bus", description=BusSection())
        await server.start()
        bus = await nats.connect(server.url_with_login(), name="history")
        await streams.prepare(bus, max_bytes=server.store_bytes)
        service = asyncio.create_task(
            HistoryService(bus, SystemClock(), HistorySection(), lambda: DuckStore(folder / "history.duckdb")).run()
        )
        begin = time.perf_counter()
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.history_bus", server.url_with_login()
        )
        await sender.wait()
        sent = time.perf_counter() - begin
        while await _newest(bus) < MESSAGES:  # noqa: ASYNC110 (the store tells nobody)
            await asyncio.sleep(0.02)
        took = time.perf_counter() - begin
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service
        await bus.close()
        await server.stop()
        with duckdb.connect(folder / "history.duckdb") as file:
            kept = file.execute("SELECT count(*), count(DISTINCT (point, time_ns)) FROM raw").fetchall()[0]
        bare = _bare(folder)
    rate, total = MESSAGES * POINTS / took, MESSAGES * POINTS
    return [
        Row(
            name="bus to history, 1,000 points a message",
            value=rate,
            unit="points/s",
            raw_limit=bare,
            ratio=rate / bare,
            goal=">= 1,200,000 points/s",
        ),
        Row(name="bus to history, lost", value=total - kept[1], unit="points", goal="0"),
        Row(name="bus to history, doubled", value=kept[0] - kept[1], unit="points", goal="0"),
        Row(name="sender alone was done after", value=sent / took, unit="of that time"),
    ]


async def _newest(bus: Bus) -> float:
    query = encode(LastQuery(points=(f"caen.{NAMES[-1]}",), at_ns=2**62))
    try:
        reply = await bus.request(subjects.query("history", "last"), query, timeout_s=10)
    except LinkError:
        return 0
    answer = msgspec.msgpack.decode(reply.data, type=LastAnswer | QueryRefusal)
    if isinstance(answer, QueryRefusal) or not answer.last.readings:
        return 0
    (reading,) = answer.last.readings.values()
    return float(reading.value or 0)


def _message(number: int) -> Readings:
    now = time.time_ns()
    stamps = list(range(now, now + POINTS))
    return Readings(
        device="caen",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=now,
        points=NAMES,
        values=[float(number)] * POINTS,
        qualities=[0] * POINTS,
        device_ns=stamps,
        received_ns=stamps,
    )


async def _send(url: str) -> None:
    """The other process: as fast as acknowledgements allow."""
    bus = await nats.connect(url, name="sender")
    window = asyncio.Semaphore(AHEAD)

    async def one(number: int) -> None:
        try:
            await bus.append(subjects.readings("caen", full=False), encode(_message(number)), message_id=f"b:{number}")
        finally:
            window.release()

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, MESSAGES + 1):
            await window.acquire()
            tasks.create_task(one(number))
    await bus.close()


def _bare(folder: Path) -> float:
    raw = duckdb.connect(folder / "raw.duckdb", config={"threads": 2})
    raw.execute(
        "CREATE TABLE s (point INT, time_ns BIGINT, number DOUBLE, kind UTINYINT, quality UTINYINT, d BIGINT, r BIGINT)"
    )
    rows = 100 * POINTS
    took = 0.0
    for number in range(MESSAGES // 100):
        stamps = np.arange(rows) + number * rows
        small = np.zeros(rows, np.uint8)
        batch = {
            "point": np.arange(rows, dtype=np.int32) % POINTS,
            "time_ns": stamps,
            "number": np.full(rows, float(number)),
            "kind": small,
            "quality": small,
            "d": stamps,
            "r": stamps,
        }
        begin = time.perf_counter()
        raw.register("batch", batch)
        raw.execute("INSERT INTO s SELECT * FROM batch")
        took += time.perf_counter() - begin
    raw.close()
    return MESSAGES * POINTS / took


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_send(sys.argv[1]))
    else:
        for row in run():
            print(row)
