"""The public site: the timeline of 5,000 clients, a graph of 500 sections, answers 304, and news for 1,000 viewers.

All but the last two rows are the processor time in the process of the site, without a web server. The requests over
the network come from this process, whose own work is beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec

from bench.row import Row
from countingroom.core.clock import SystemClock
from countingroom.mirror.store.reader import PublicReader
from countingroom.site.making import Site
from countingroom.site.rendering import SiteSettings
from tests.public_records_of_a_farm import farm_of, filled_store

RUNS, CLIENTS, SECTIONS = 100, 50, 3
VIEWERS, TICKS = 1000, 10
REQUESTS, CONNECTIONS = 4000, 16
_MORE_SECTIONS = 500
"""Of the last run."""
_TIMELINE = "/api/v1/timeline"


def run() -> list[Row]:
    """The rows of this benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder) / "public.sqlite"))


async def _measure(store: Path) -> list[Row]:
    clock = SystemClock()
    farm = farm_of(RUNS, SECTIONS, clock.now_ns() / 1e9, clients=CLIENTS)
    for _ in range(_MORE_SECTIONS):
        farm.go_on(clock.now_ns() / 1e9)
    await (await filled_store(store, clock, farm)).close()
    reader = PublicReader(f"sqlite:///{store}")
    await reader.open()
    site = Site(reader, clock, SiteSettings(), version="0")
    await site.look()
    rows = [
        Row(name="timeline of 5,000 rows, first", value=await _ms(site, _TIMELINE, times=1), unit="ms"),
        Row(name="timeline of 5,000 rows, anew", value=await _ms(site, _TIMELINE), unit="ms", goal="<= 5 ms"),
        Row(name="page of the timeline, 5,000 cells, anew", value=await _ms(site, "/timeline"), unit="ms"),
        Row(name="page Now, anew", value=await _ms(site, "/"), unit="ms"),
        Row(name="page of a run, anew", value=await _ms(site, f"/run/{farm.run}"), unit="ms"),
        await _graph_row(site, store, farm.run),
        Row(name="answer 304, in the process", value=await _unchanged(site), unit="/s"),
        Row(name="1,000 viewers at 1 Hz", value=await _viewers(site), unit="cores", goal="<= 0.5"),
    ]
    await reader.close()
    for name, address, goal in (("answer 304", "/", ">= 5000"), ("page Now", "/", ">= 1000")):
        value = await asyncio.to_thread(_over_network, store, address, is_unchanged=name == "answer 304")
        rows.append(Row(name=f"{name}, over the network", value=value, unit="/s", goal=f"{goal} /s"))
    return rows


def _graph(run: int) -> str:
    return f"/api?what=get_graph&db=production&run={run}"


async def _graph_row(site: Site, store: Path, run: int) -> Row:
    """Beside it: the driver of SQLite reads the text, msgspec reads and writes its numbers, and the ETag is made."""
    query = "SELECT body FROM document WHERE \"set\" = 'production' AND kind = 'graph' AND run = ? ORDER BY at DESC"
    taken: list[float] = []
    text = ""
    with closing(sqlite3.connect(store)) as connection:
        for _ in range(20):
            begun = process_time()
            (text,) = connection.execute(query, (run,)).fetchone()
            hashlib.sha256(msgspec.json.encode(msgspec.json.decode(text))).hexdigest()
            taken.append((process_time() - begun) * 1000)
    value, raw = await _ms(site, _graph(run)), sorted(taken)[len(taken) // 2]
    name = f"graph of {_MORE_SECTIONS} sections, {len(text) / 1000:.0f} kB, anew"
    return Row(name=name, value=value, unit="ms", raw_limit=raw, ratio=value / raw, goal="<= 3 ms")


async def _ask(site: Site, address: str, *headers: tuple[bytes, bytes]) -> tuple[int, list[tuple[bytes, bytes]]]:
    path, _, query = address.partition("?")
    got: list[Any] = []

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": headers}
    await site.application(scope, _never, send)
    return got[0]["status"], got[0]["headers"]


async def _never() -> dict[str, Any]:
    return await asyncio.Future()


async def _ms(site: Site, address: str, times: int = 20) -> float:
    """Processor time of an answer that is made anew, as after news; the store has not changed for these runs."""
    taken: list[float] = []
    for _ in range(times):
        site.forget()
        begun = process_time()
        status, _ = await _ask(site, address)
        taken.append((process_time() - begun) * 1000)
        assert status == 200
    return sorted(taken)[len(taken) // 2]


async def _unchanged(site: Site) -> float:
    etag = dict((await _ask(site, "/"))[1])[b"etag"]
    begun = perf_counter()
    for _ in range(20_000):
        await _ask(site, "/", (b"if-none-match", etag))
    return 20_000 / (perf_counter() - begun)


async def _viewers(site: Site) -> float:
    """Share of a core that the news of a second cost for 1,000 viewers."""
    count = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal count
        count += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(site.live.serve(_never, send, is_head=False)) for _ in range(VIEWERS)]
        news = await _changed(site.look)
        await site.live.tell(news)
        await asyncio.sleep(0.2)
        begun, before = process_time(), count
        for _ in range(TICKS):
            await site.live.tell(news)
            await asyncio.sleep(0.2)
        used = process_time() - begun
        assert count - before == VIEWERS * TICKS
        for task in tasks:
            task.cancel()
    return used / TICKS


async def _changed(look: Callable[[], Awaitable[Any]]) -> Any:
    from countingroom.site.live import News

    return await look() or News(number=2, runs=(1,), fresh={"any": 1})


def _over_network(store: Path, address: str, *, is_unchanged: bool) -> float:
    command = [sys.executable, "-m", "countingroom", "mirror", "site", "--store", str(store), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1].strip().strip("/"))
        try:
            return _load(port, address, is_unchanged=is_unchanged)
        finally:
            process.terminate()


def _load(port: int, address: str, *, is_unchanged: bool) -> float:
    plain = f"GET {address} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n"
    links = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(CONNECTIONS)]
    links[0].sendall((plain + "\r\n").encode())
    head = _answer(links[0]).decode("latin-1")
    etag = next(line for line in head.split("\r\n") if line.startswith("etag: ")).partition(": ")[2]
    request = (plain + (f"If-None-Match: {etag}\r\n" if is_unchanged else "") + "\r\n").encode()
    begun = perf_counter()
    for _ in range(REQUESTS // CONNECTIONS):
        for one in links:
            one.sendall(request)
        for one in links:
            assert _answer(one).startswith(b"HTTP/1.1 304" if is_unchanged else b"HTTP/1.1 200")
    taken = perf_counter() - begun
    for one in links:
        one.close()
    return REQUESTS / taken


def _answer(link: socket.socket) -> bytes:
    """One whole answer."""
    got = link.recv(1 << 16)
    while b"\r\n\r\n" not in got:
        got += link.recv(1 << 16)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += link.recv(1 << 16)
    return head
