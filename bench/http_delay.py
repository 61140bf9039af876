"""How long a small request of one user waits beside the large requests of another, and on an idle console.

A console with 20,000 configurations and 200 devices is a child process with a web server; this process asks for the
small thing, and one more process for the large one. The raw limit is the same small request on the idle console.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import httpx
from msgspec import structs

from bench.row import Row
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.configurations import ConfigurationSet, Parameters
from countingroom.core.messages import Catalogue, encode
from countingroom.core.points import Point
from countingroom.core.series import Series, SeriesAnswer
from countingroom.storage.database import Database

_READ = """
import sys, urllib.request
for _ in range(int(sys.argv[2])):
    with urllib.request.urlopen(sys.argv[1], timeout=60) as answer:
        while answer.read(1 << 16):
            pass
"""
CONFIGURATIONS = 20_000
DEVICES = 200
ROWS = 50_000
SMALL = "/api/v1/devices/d0/points/p0"
GOAL = "<= 50 ms"
_MOST_S = 60.0
_POINT = "point=d0.p0&from=-1d"
LARGE = {
    "the export of 20,000 configurations": "/api/v1/configurations/export",
    "the list of 20,000 configurations": "/api/v1/configurations",
    "a history of 50,000 rows as CSV": f"/api/v1/history?{_POINT}&max_points={ROWS}&format=csv",
    "a history of 4 x 50,000 rows as JSON": f"/api/v1/history?{_POINT}&max_points={ROWS}&" + "&".join([_POINT] * 3),
    "the overview of 200 devices": "/",
    "the page of trends of 8,000 points": "/trends",
    "the list of 200 devices": "/api/v1/devices",
}


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder, _console(Path(folder)) as url:
        return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Row]:
    async with httpx.AsyncClient(base_url=url, timeout=_MOST_S) as small:
        for path in LARGE.values():  # templates are compiled, and files read, once
            await _ask(url + path, times=1)
        gc.collect()
        gc.freeze()  # a full collection of this process would look like a delay of 50 ms
        idle = await _delays(small, asyncio.create_task(asyncio.sleep(2.0)))
        rows = [Row(name="a small request, idle: worst", value=max(idle), unit="ms")]
        for name, path in LARGE.items():
            begin = perf_counter()
            delays = await _delays(small, asyncio.create_task(_ask(url + path, times=2)))
            whole_s = (perf_counter() - begin) / 2
            worst = max(delays) if delays else 0.0
            title = f"a small request beside {name} ({whole_s:.1f} s): worst"
            rows.append(
                Row(name=title, value=worst, unit="ms", raw_limit=max(idle), ratio=worst / max(idle), goal=GOAL)
            )
        return rows


async def _ask(url: str, *, times: int) -> None:
    """The large request, from a process of its own: reading the answer here would delay the small requests."""
    asking = await asyncio.create_subprocess_exec(sys.executable, "-c", _READ, url, str(times))
    if await asking.wait():
        raise RuntimeError(f"{url} was not answered")


async def _delays(client: httpx.AsyncClient, beside: asyncio.Task[None]) -> list[float]:
    """How long each small request took, in ms, until the task is done."""
    found: list[float] = []
    while not beside.done():
        begin = perf_counter()
        (await client.get(SMALL)).raise_for_status()
        found.append((perf_counter() - begin) * 1000)
        await asyncio.sleep(0.002)
    await beside
    return found


@contextmanager
def _console(folder: Path) -> Iterator[str]:
    words = [sys.executable, "-m", "bench.http_delay", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            yield line.strip()
        finally:
            child.terminate()


async def _serve(folder: Path) -> None:
    from countingroom.app.garbage_collection import collect
    from countingroom.app.listening_socket import listen
    from countingroom.app.web_server import serve
    from countingroom.console.app import create

    clock = SystemClock()
    database = Database(f"sqlite:///{folder / 'console.sqlite'}")
    await database.open()
    for system in range(20):
        tags: dict[str, Parameters] = {
            f"t{n}": {f"p{k}": k * 1.5 for k in range(4)} for n in range(CONFIGURATIONS // 20)
        }
        given = ConfigurationSet(configurations={f"S{system}": tags}, tags={}, schemas={})
        await database.configurations.put(given, "anna")
    answer = encode(SeriesAnswer(series=_series()))

    async def history(message: Message) -> bytes:
        del message
        return answer

    bus = MemoryBus(clock)
    await prepare(bus)
    for number in range(DEVICES):
        catalogue = structs.replace(_CATALOGUE, device=f"d{number}", title=f"Device {number}")
        key = subjects.catalogue_key(catalogue.device)
        await bus.put(subjects.STATE_BUCKET, key, encode(catalogue))
    app = create(bus.client(), clock, title="bench", version="0", database=database)
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    sys.setswitchinterval(0.0005)  # as the console's role does
    collecting = asyncio.create_task(collect(clock))  # as each role does
    async with bus.client().respond(subjects.query("history", "range"), history):
        await serve(app, listening, lambda: print(f"http://127.0.0.1:{port}", flush=True))
    collecting.cancel()


_CATALOGUE = Catalogue(
    device="d",
    title="",
    driver="none",
    group="Bench",
    points=tuple(Point(name=f"p{n}", label=f"Point {n}") for n in range(40)),
)


def _series() -> Series:
    values: list[float | None] = [n * 1.1 for n in range(ROWS)]
    return Series(
        point="d0.p0",
        resolution="raw",
        time_ns=[1_790_000_000_000_000_000 + n * 1_000_000_000 for n in range(ROWS)],
        mean=values,
        low=values,
        high=values,
        quality=[0] * ROWS,
        count=[1] * ROWS,
    )


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
