"""How long a small request of one user waits beside the large requests of another, and on an idle console.

A console with 20,000 configurations and 200 devices is a child process with a web server; this process asks for the
small thing, and one more process for the large one. The raw limit is the same small request on the idle console.
"""

from __future__ import annotations

import asyncio
import gc
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter, sleep

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
for url in sys.stdin:
    with urllib.request.urlopen(url.strip(), timeout=60) as answer:
        while answer.read(1 << 16):
            pass
    print("read", flush=True)
"""
CONFIGURATIONS = 20_000
DEVICES = 200
ROWS = 50_000
SMALL = "/api/v1/devices/d0/points/p0"
GOAL = "<= 50 ms"
_MOST_S = 60.0
REPEATS = 3
PAUSE_S = 0.002
Reader = subprocess.Popen[str]
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
    with tempfile.TemporaryDirectory() as folder, _console(Path(folder)) as url, _reader() as reader:
        return _measure(url, reader)


def _measure(url: str, reader: Reader) -> list[Row]:
    """Blocking calls only: an event loop here would add its own delays to those of the console."""
    small = HTTPConnection(url.removeprefix("http://"), timeout=_MOST_S)
    for path in LARGE.values():  # templates are compiled, and files read, once
        _read(reader, url + path)
    gc.collect()
    gc.freeze()  # a full collection of this process would look like a delay of 50 ms
    idle_until_s = perf_counter() + 2.0
    idle, _ = _delays(small, lambda: perf_counter() > idle_until_s)
    rows = [Row(name="a small request, idle: worst", value=max(idle), unit="ms")]
    most_late = 0.0
    for name, path in LARGE.items():
        worst, whole_s = 0.0, 0.0
        for _ in range(REPEATS):
            begin = perf_counter()
            _ask(reader, url + path)
            delays, late = _delays(small, lambda: _is_read(reader))
            whole_s += (perf_counter() - begin) / REPEATS
            worst, most_late = max(worst, *delays), max(most_late, late)
        title = f"a small request beside {name} ({whole_s:.1f} s): worst"
        rows.append(Row(name=title, value=worst, unit="ms", raw_limit=max(idle), ratio=worst / max(idle), goal=GOAL))
    rows.append(Row(name="this process itself continued late by, at most", value=most_late, unit="ms"))
    return rows


def _ask(reader: Reader, url: str) -> None:
    """The large request, from a process of its own: reading the answer here would delay the small requests."""
    assert reader.stdin is not None
    reader.stdin.write(f"{url}\n")
    reader.stdin.flush()


def _is_read(reader: Reader, wait_s: float = 0.0) -> bool:
    """Whether the large answer is read; the child's word is taken."""
    assert reader.stdout is not None
    if not select.select([reader.stdout], [], [], wait_s)[0]:
        return False
    if not reader.stdout.readline():
        raise RuntimeError("the large request was not answered")
    return True


def _read(reader: Reader, url: str) -> None:
    _ask(reader, url)
    if not _is_read(reader, _MOST_S):
        raise RuntimeError(f"{url} was not answered within {_MOST_S:g} s")


def _delays(client: HTTPConnection, is_over: Callable[[], bool]) -> tuple[list[float], float]:
    """How long each small request took until the end, and how late this process woke from its pauses at most; ms."""
    found: list[float] = []
    late = 0.0
    while not found or not is_over():
        begin = perf_counter()
        client.request("GET", SMALL)
        answer = client.getresponse()
        answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{SMALL}: {answer.status}")
        end = perf_counter()
        found.append((end - begin) * 1000)
        sleep(PAUSE_S)
        late = max(late, (perf_counter() - end - PAUSE_S) * 1000)
    return found, late


@contextmanager
def _reader() -> Generator[Reader]:
    """A process that reads large answers; it is started before, because its start would take the processor."""
    words = [sys.executable, "-c", _READ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


@contextmanager
def _console(folder: Path) -> Generator[str]:
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
