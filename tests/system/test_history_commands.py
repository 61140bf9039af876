"""The commands show what the history holds, and an export takes all of it."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet
import pytest
import uvicorn

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.console import app
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Readings, encode
from countingroom.core.times import format_time
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.service import HistoryService
from tests.patience import PATIENCE_S

S = 1_000_000_000
COUNT = 60_000
BEGIN = SystemClock().now_ns() // S * S - 700 * S


def message(number: int, first: int, count: int) -> Readings:
    times = [BEGIN + k * 10_000_000 + 1 for k in range(first, first + count)]
    return Readings(
        device="caen",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=times[-1],
        points=["v"] * count,
        values=[float(k % 100) for k in range(first, first + count)],
        qualities=[0] * count,
        device_ns=times,
        received_ns=times,
    )


def words() -> Readings:
    return Readings(
        device="chiller",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=BEGIN,
        points=["mode", "pump"],
        values=["[bold]=1+1", True],
        qualities=[0, 1],
        device_ns=[BEGIN, BEGIN],
        received_ns=[BEGIN, BEGIN],
    )


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    service = asyncio.create_task(
        HistoryService(
            bus.client(), clock, HistorySection(flush=0.02), lambda: DuckStore(tmp_path / "history.duckdb")
        ).run()
    )
    asgi = app.create(bus.client(), clock, title="Test", version="0")
    server = uvicorn.Server(uvicorn.Config(asgi, log_level="error", ws="websockets-sansio", lifespan="on"))
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listening]))
    for number in range(COUNT // 1000):
        data = encode(message(number + 1, number * 1000, 1000))
        await bus.append(subjects.readings("caen", full=False), data)
    await bus.append(subjects.readings("chiller", full=False), encode(words()))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with asyncio.timeout(PATIENCE_S):
            while (await run("points", "chiller", "--url", address))[1] != "chiller.mode\nchiller.pump\n":
                pass
        yield address
    finally:
        server.should_exit = True
        await serving
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from countingroom.cli.main import main; main()",
        "history",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


async def test_what_was_recorded_is_shown_and_exported(url: str, tmp_path: Path) -> None:
    span = ("--from", format_time(BEGIN), "--to", format_time(BEGIN + 600 * S), "--url", url)

    code, out, _ = await run("query", "caen.v", "chiller.mode", *span, "--max-points", "31", "--json")
    assert code == 0
    reduced, mode = json.loads(out)["series"]
    assert (reduced["resolution"], sum(reduced["count"]), set(reduced["high"])) == ("raw/20s", COUNT, {99.0})
    assert mode["text"][0] == "[bold]=1+1"

    code, out, _ = await run("query", "caen.v", "chiller.mode", *span, "--max-points", "31")
    assert code == 0
    assert "caen.v  raw/20s" in out
    assert "[bold]=1+1" in out
    assert "▁" in out

    code, out, _ = await run("last", "caen.v", "chiller.pump", "--url", url, "--json")
    readings = json.loads(out)["readings"]
    assert (readings["caen.v"]["value"], readings["chiller.pump"]["value"]) == (99.0, True)

    parquet, sheet = tmp_path / "all.parquet", tmp_path / "all.csv"
    code, _, error = await run("export", "caen.v", "chiller.mode", "chiller.pump", *span, "-o", str(parquet))
    assert (code, "60,002 samples" in error) == (0, True)
    table = pyarrow.parquet.read_table(parquet)
    point, value = table.column("point").to_pylist(), table.column("value").to_pylist()
    numbers = [number for number, name in zip(value, point, strict=True) if name == "caen.v"]
    assert numbers == [float(k % 100) for k in range(COUNT)]
    assert table.column("time").cast("int64").to_pylist()[2:4] == [BEGIN + 1, BEGIN + 10_000_001]
    assert set(table.column("text").to_pylist()) == {None, "[bold]=1+1"}

    code, _, _ = await run("export", "chiller.pump", "chiller.mode", *span, "-o", str(sheet))
    assert code == 0
    time = format_time(BEGIN)
    assert sorted(csv.reader(sheet.read_text().splitlines()))[:2] == [
        ["chiller.mode", time, "[bold]=1+1", "GOOD", time, time],
        ["chiller.pump", time, "true", "UNCERTAIN", time, time],
    ]

    code, _, error = await run("export", "caen.none", *span, "-o", str(tmp_path / "none.csv"))
    assert (code, "not_found" in error) == (1, True)
    code, _, error = await run("export", "caen.v", *span, "-o", str(tmp_path / "all.xls"))
    assert (code, "wrong_format" in error) == (1, True)
    code, _, error = await run("query", "caen.v", "--from", "tuesday", "--url", url)
    assert (code, "wrong_time" in error) == (1, True)
    assert not list(tmp_path.glob("*none*")) + list(tmp_path.glob(".*"))
