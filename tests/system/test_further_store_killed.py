"""A PostgreSQL that is killed under load and comes back has each sample once, as the default store has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.history_stores import HistoryStoreState, StoreHealth
from countingroom.core.messages import Readings, decode, encode
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService
from tests.contract.storage.postgres import Postgres
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server
POINTS = 200
_ROWS = "SELECT count(*), count(DISTINCT (point, sent_ns, place)), sum(number) FROM {}"


async def test_counts_agree_to_the_point(needs: Callable[[str], str], tmp_path: Path) -> None:
    server = Postgres(needs("initdb"))
    server.start()
    try:
        await _play(server, tmp_path / "history.duckdb")
    finally:
        server.stop()


async def _play(server: Postgres, file: Path) -> None:
    url = server.database()
    settings = {"address": url.replace("postgres@", ""), "user": "postgres"}
    section = HistorySection.model_validate(
        {"flush": 0.02, "stores": {"site": {"postgresql": settings, "timeout": "5 s"}}}
    )
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    service = asyncio.create_task(HistoryService(bus.client(), clock, section, lambda: DuckStore(file)).run())
    load = Load(bus)
    sending = asyncio.create_task(load.run())
    try:
        await _until(bus, lambda state: state.values > 5_000)
        server.kill()
        await _until(bus, lambda state: state.health is StoreHealth.FAILING)
        while load.sent < 300:
            await asyncio.sleep(0.02)
        load.go_on.clear()
        await _until(bus, lambda state: state.sequence + state.behind_messages == load.sent)
        # What the store lacks leaves the stream, when the default store has it.
        for most_bytes in (1000, 1 << 30):
            await bus.ensure_stream(subjects.READINGS_STREAM, ["readings.>"], max_bytes=most_bytes)
        load.go_on.set()
        paused_at = load.sent
        await _resume(server)
        await _until(bus, lambda state: state.sequence > paused_at)
        sending.cancel()
        await _until(bus, lambda state: state.sequence == load.sent and state.behind_since_ns is None)
    finally:
        for task in (sending, service):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    total = load.sent * POINTS
    with psycopg.connect(url, options="-c search_path=countingroom") as connection:
        found = connection.execute(_ROWS.format("sample").encode()).fetchone()
    store = DuckStore(file, read_only=True)
    kept = store.samples(tuple(store.points()), 0, 2**62, limit=2**62)
    store.close()
    assert found is not None
    assert (len(kept), found[0], found[1]) == (total, total, total)
    assert found[2] == float(kept.number.sum())


class Load:
    """Sends messages of POINTS values, about 100 a second."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.sent = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def run(self) -> None:
        while await self.go_on.wait():
            self.sent += 1
            await self._bus.append(subjects.readings("caen", full=False), encode(_message(self.sent)))
            await asyncio.sleep(0.01)


def _message(number: int) -> Readings:
    now = time.time_ns()
    return Readings(
        device="caen",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=now,
        points=[f"p{place}" for place in range(POINTS)],
        values=[float(number)] * POINTS,
        qualities=[0] * POINTS,
        device_ns=[now] * POINTS,
        received_ns=[now] * POINTS,
    )


async def _until(bus: MemoryBus, is_true: Callable[[HistoryStoreState], bool]) -> None:
    key = subjects.history_store_key("site")
    async with asyncio.timeout(PATIENCE_S), bus.watch(subjects.STATE_BUCKET, key) as entries:
        async for entry in entries:
            data = getattr(entry, "data", None)
            if data and is_true(decode(data, HistoryStoreState)):
                return


async def _resume(server: Postgres) -> None:
    """Its other processes may still be ending."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncio.to_thread(server.resume)
            except RuntimeError:
                await asyncio.sleep(0.1)
