"""A database that is killed under load, or has a full disk, has each sample once in the end, as the default store."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.history_stores import HistoryStoreState, StoreHealth
from countingroom.core.messages import Readings, decode, encode
from countingroom.core.series import LastAnswer, LastQuery
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService
from tests.contract.series_servers import InfluxServer, VictoriaMetricsServer
from tests.contract.storage.postgres import Postgres
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.server
POINTS = 100
DOWN_S = float(os.environ.get("STORE_DOWN_S", "0"))
"""How long each server stays killed under load; by hand: `STORE_DOWN_S=60`."""
_ROWS = "SELECT count(*), count(DISTINCT (point, sent_ns, place)), sum(number) FROM {}"


class Site(Protocol):
    """A server with a database that is empty."""

    kind: str
    disk: Path | None
    """A small file system on which it writes; None where there is none."""
    full: str
    """What a follower is told while that is full."""
    goes_on: bool
    """It goes on by itself when there is room again."""

    def settings(self) -> dict[str, Any]:
        """Of the store, in the description."""
        ...

    def kill(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...

    def found(self) -> tuple[int, float]:
        """How many samples it has, each as often as it is stored, and the sum of their numbers."""
        ...


class PostgresSite(Postgres):
    """A PostgreSQL."""

    kind = "postgresql"
    full = "No space left"
    goes_on = True
    _url = ""

    def __init__(self, initdb: str) -> None:
        super().__init__(initdb)
        self.disk = _small_disk(user="postgres")

    def settings(self) -> dict[str, Any]:
        self.start()
        self._url = self.database()
        if self.disk:
            name = self._url.rpartition("/")[2]
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{self.disk}'".encode())
                connection.execute(f"ALTER DATABASE {name} SET default_tablespace = small".encode())
        return {"address": self._url.replace("postgres@", ""), "user": "postgres"}

    def stop(self) -> None:
        super().stop()
        _unmount(self.disk)
        if self.disk:
            self.disk.rmdir()

    def found(self) -> tuple[int, float]:
        with psycopg.connect(self._url, options="-c search_path=countingroom") as connection:
            row = connection.execute(_ROWS.format("sample").encode()).fetchone()
        assert row is not None
        assert row[0] == row[1]
        return row[0], row[2]


class InfluxSite(InfluxServer):
    """An InfluxDB."""

    kind = "influxdb"
    full = "no space left"
    goes_on = False

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.disk = _small_disk(at=self.folder)

    def settings(self) -> dict[str, Any]:
        self.start()
        return {"url": self.url, "database": "site"}

    def resume(self) -> None:
        self.start()

    def stop(self) -> None:
        self.kill()
        _unmount(self.disk)
        super().stop()

    def found(self) -> tuple[int, float]:
        (series,) = self.ask("SELECT count(value), sum(value) FROM readings", "site")
        rows: Any = series["values"]
        return rows[0][1], rows[0][2]


class VictoriaMetricsSite(VictoriaMetricsServer):
    """A VictoriaMetrics."""

    kind = "victoriametrics"
    full = "not reached"
    goes_on = False

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.disk = _small_disk(at=self.folder)

    def settings(self) -> dict[str, Any]:
        self.start()
        return {"url": self.url}

    def resume(self) -> None:
        self.start()

    def stop(self) -> None:
        self.kill()
        _unmount(self.disk)
        super().stop()

    def found(self) -> tuple[int, float]:
        values = self.values("countingroom_value")
        return len(values), sum(values)


SITES: dict[str, Callable[[str], Site]] = {
    "initdb": PostgresSite,
    "influxd": InfluxSite,
    "victoria-metrics": VictoriaMetricsSite,
}


@pytest.mark.parametrize("program", SITES)
async def test_counts_agree_to_the_point(program: str, needs: Callable[[str], str], tmp_path: Path) -> None:
    site = SITES[program](needs(program))
    try:
        await _play(site, tmp_path / "history.duckdb")
    finally:
        site.stop()


async def _play(server: Site, file: Path) -> None:
    store_section = {server.kind: server.settings(), "timeout": "5 s"}
    section = HistorySection.model_validate({"flush": 0.02, "stores": {"site": store_section}})
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    service = asyncio.create_task(HistoryService(bus.client(), clock, section, lambda: DuckStore(file)).run())
    load = Load(bus)
    sending = asyncio.create_task(load.run())
    try:
        await _until(bus, lambda state: state.values > 3_000)
        server.kill()
        await _until(bus, lambda state: state.health is StoreHealth.FAILING)
        back_s = time.monotonic() + DOWN_S
        while load.sent < 150 or time.monotonic() < back_s:
            await asyncio.sleep(0.02)
        load.go_on.clear()
        await _until(bus, lambda state: state.sequence + state.behind_messages == load.sent)
        # What the store lacks leaves the stream, when the default store has it.
        for most_bytes in (1000, 1 << 30):
            await bus.ensure_stream(subjects.READINGS_STREAM, ["readings.>"], max_bytes=most_bytes)
        load.go_on.set()
        paused_at = load.sent
        await _resume(server)
        await _until(bus, lambda state: state.sequence > paused_at and not state.problem)
        if server.disk:
            _fill(server.disk / "ballast")
            await _until(bus, lambda state: server.full in state.problem)
            if not server.goes_on:
                server.kill()
            (server.disk / "ballast").unlink()
            if not server.goes_on:
                await _resume(server)
            await _until(bus, lambda state: not state.problem)
        load.is_over = True
        await sending
        await _until(bus, lambda state: state.sequence == load.sent and state.behind_since_ns is None)
        await _until_kept(bus, load.sent)
    finally:
        for task in (sending, service):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    total = load.sent * POINTS
    store = DuckStore(file, read_only=True)
    kept = store.samples(tuple(store.points()), 0, 2**62, limit=2**62)
    store.close()
    assert (len(kept), *server.found()) == (total, total, float(kept.number.sum()))


def _small_disk(*, user: str = "", at: Path | None = None) -> Path | None:
    """A small file system of this user; None where it cannot be mounted. It is not below `tmp_path`: there only the
    user of the tests may look."""
    if os.geteuid():
        return None
    folder = at or Path(tempfile.mkdtemp(prefix="countingroom-disk-"))
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        return None
    if user:
        shutil.chown(folder, user)
    return folder


def _unmount(disk: Path | None) -> None:
    if disk:
        subprocess.run(["umount", "-l", disk], check=True)


def _fill(file: Path) -> None:
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


class Load:
    """Sends messages of POINTS values, about 50 a second."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.sent = 0
        self.is_over = False
        """Nothing more is sent. A cancelled task could have counted a message that it did not send."""
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def run(self) -> None:
        while await self.go_on.wait() and not self.is_over:
            self.sent += 1
            await self._bus.append(subjects.readings("caen", full=False), encode(_message(self.sent)))
            await asyncio.sleep(0.02)


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


async def _until_kept(bus: MemoryBus, number: int) -> None:
    """Wait until the default store has this message too: each store takes messages in its own time."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            query = encode(LastQuery(points=("caen.p0",), at_ns=2**62))
            answer = await bus.request(subjects.query("history", "last"), query, timeout_s=PATIENCE_S)
            if decode(answer.data, LastAnswer).last.readings["caen.p0"].value == number:
                return
            await asyncio.sleep(0.02)


async def _resume(server: Site) -> None:
    """Its other processes may still be ending."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncio.to_thread(server.resume)
            except RuntimeError:
                await asyncio.sleep(0.1)
