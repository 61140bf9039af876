"""How many samples of 1,000 variables at 10 Hz are stored while other programs take the processors.

`python -m bench ca_stored load=25 seconds=150`: an IOC, the device host, the server and the history, each a process of
its own, beside `load` busy loops. Each variable counts, so a number that is not in the history is a lost sample.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from bench.ca_field import bus, child
from bench.row import Row
from countingroom.bus.nats.bus import NatsBus
from countingroom.core import subjects
from countingroom.core.messages import Event, decode

VARIABLES, HZ = 1000, 10.0
DEVICE = "field"
SETTLE_S = 5.0
"""For the first changes under load."""
START_S = 10.0
"""For the first sample of every variable."""
STORED_S = 10.0
"""For the history to take the last messages of the stream."""


def run(load: str = "25", seconds: str = "60") -> list[Row]:
    """The rows of this benchmark: every change, then the newest only."""
    rows: list[Row] = []
    for every_change in (True, False):
        rows += asyncio.run(_measure(int(load), float(seconds), every_change=every_change))
    return [*rows, Row(name="load of the machine at the end", value=os.getloadavg()[0], unit="processes")]


async def _measure(load: int, seconds: float, *, every_change: bool) -> list[Row]:
    async with _ioc() as (ioc, address), bus() as (url, client):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "history.duckdb"
            parameters = {"url": url, "file": str(file)}
            async with child("bench.history_child", parameters=parameters):
                values = {f"v{n}": {"pv": f"count:{n}", "every_change": every_change} for n in range(VARIABLES)}
                section = {"driver": "epics", "address_list": [address], "values": values}
                host = {"url": url, "devices": {DEVICE: section}}
                async with child("bench.ca_host", parameters=host):
                    with _busy(load):
                        await asyncio.sleep(START_S + SETTLE_S + seconds)
                        last = await _end(ioc)
                told = await _told(client)
                await asyncio.sleep(STORED_S)
            return _rows(file, last, load, told, every_change=every_change)


@asynccontextmanager
async def _ioc() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.ca_counter",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode({"variables": VARIABLES, "hz": HZ}) + b"\n")
        answer = await _answer(process)
        yield process, answer["address"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return msgspec.json.decode(await process.stdout.readline())


async def _end(ioc: asyncio.subprocess.Process) -> int:
    assert ioc.stdin is not None
    ioc.stdin.write(b"\n")
    return int((await _answer(ioc))["last"])


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """That many loops of nice 0, each a process."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


async def _told(client: NatsBus) -> int:
    """Changes that events say were not published."""
    count = 0
    async with client.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        async for one in stored:
            event = decode(one.data, Event)
            if "were not published" in event.message:
                count += int(event.data["changes"])
    return count


def _rows(file: Path, last: int, load: int, told: int, *, every_change: bool) -> list[Row]:
    with duckdb.connect(file) as store:
        (begin,) = store.execute("SELECT min(number) FROM raw WHERE quality = 0").fetchall()[0]
        first = int(begin + (START_S + SETTLE_S) * HZ)
        found = store.execute(
            "SELECT count(DISTINCT number), max(number) FROM raw JOIN point ON point.id = raw.point"
            f" WHERE name LIKE '{DEVICE}.v%' AND quality = 0 AND number >= {first} AND number <= {last} GROUP BY name"
        ).fetchall()
    wanted = last - first + 1
    kept = sum(row[0] for row in found)
    lost = wanted * VARIABLES - kept
    kind = "every change" if every_change else "the newest"
    where = f"{VARIABLES:,} variables at {HZ:g} Hz, load {load}, {kind}"
    return [
        Row(name=f"{where}: samples of each", value=kept / VARIABLES, unit="samples", raw_limit=wanted),
        Row(name=f"{where}: lost", value=lost, unit="samples", goal="0" if every_change else ""),
        Row(name=f"{where}: told", value=told, unit="samples"),
    ]


if __name__ == "__main__":
    for row in run(*sys.argv[1:]):
        print(row)
