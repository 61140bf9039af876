"""How many pings a second one connection to a door does, each after the answer to the last, and what stays of them.

The door is a child process. The raw limit is a server of asyncio that sends each line back, in a child process too.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter

import psutil

from bench.row import Row

PINGS = 20_000
MEMORY_PINGS = 100_000
BATCH = 50
_DOOR = """
import asyncio
from tests.unit.door_stand import doors

async def main():
    async with doors() as stand:
        print(stand.door().port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
_ECHO = """
import asyncio

async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line)

async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def _server(code: str) -> Generator[tuple[int, int]]:
    """(port, process) of a server."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


class _Client:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")

    def ping(self, number: int, end: bytes, count: int = 1) -> None:
        """Send so many pings at once and read up to their answers."""
        self._socket.sendall(b"%d ping\n" % number * count)
        while count:
            count -= end in self._lines.readline()


def _rate(client: _Client, end: bytes) -> float:
    for number in range(1000):
        client.ping(number, end)
    began_s = perf_counter()
    for number in range(PINGS):
        client.ping(number, end)
    return PINGS / (perf_counter() - began_s)


def run() -> list[Row]:
    """The rows."""
    with _server(_ECHO) as (port, _):
        raw = _rate(_Client(port), b"ping")
    with _server(_DOOR) as (port, pid):
        client = _Client(port)
        rate = _rate(client, b"Pong")
        before = psutil.Process(pid).memory_info().rss
        for number in range(MEMORY_PINGS // BATCH):
            client.ping(number, b"Pong", BATCH)
        grown = psutil.Process(pid).memory_info().rss - before
    return [
        Row(
            name="pings of one connection to a door",
            value=rate,
            unit="/s",
            raw_limit=raw,
            ratio=rate / raw,
            goal=">= 3000 /s",
        ),
        Row(name="memory of a door after 100,000 more commands", value=grown / 1024, unit="KiB", goal="<= 1024 KiB"),
    ]
