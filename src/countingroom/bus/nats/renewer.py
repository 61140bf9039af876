"""A small process that renews the leases of others: `python -m countingroom.bus.nats.renewer [SOCKET]`.

On a busy machine an event loop comes seconds too late for a renewal. A process that only renews comes in time. It
renews only while the event loop of the holder runs. When the holder ends, it frees the leases at once.

Without SOCKET it has one client, its parent, by its standard input and output, and ends with it. With the path of a
Unix socket it has a client for each connection, and ends when its standard input has ended and no client is left.

A client sends JSON lines: `RenewerSettings`, then `Keep`, `Free`, `Abandon`. It gets `Ready`, `Over`, `Freed`.
renewal_process.py is the client's side.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.nats.lease_key import LeaseKey
from countingroom.bus.nats.renewal_messages import (
    TICK_AGE_S,
    Abandon,
    Free,
    Freed,
    Keep,
    Order,
    Over,
    Ready,
    RenewerSettings,
    Report,
)
from countingroom.bus.nats.renewal_page import RenewalPage, opened
from countingroom.bus.nats.store import JetStreamStore
from countingroom.core.clock import SystemClock, timeout
from countingroom.core.errors import CountingRoomError, LinkError

RETRY_S = 0.2
CONNECT_S = 10.0
FREE_S = 2.0
IDLE_S = 60.0
LINE_LIMIT = 1 << 20
_log = logging.getLogger(__name__)

Tell = Callable[[Report], None]
"""Sends a report to the client."""


class _Kept:
    """A key that is renewed."""

    def __init__(self, key: LeaseKey, slot: int) -> None:
        self.key = key
        self.slot = slot
        self.writing = asyncio.Lock()


class Renewer:
    """Renews the keys that a client names."""

    def __init__(self, connection: NatsConnection, page: RenewalPage, tell: Tell) -> None:
        self._tell = tell
        self._store = JetStreamStore(connection, 1)
        self._clock = SystemClock()
        self._page = page
        self._kept: dict[str, _Kept] = {}
        self._news = asyncio.Event()
        connection.news.add(self._news)
        self._freeing: set[asyncio.Task[None]] = set()

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Until the input ends; then delete the keys, unless the client has abandoned them."""
        renewing = asyncio.create_task(self._renew_all(), name="renewals")
        try:
            while line := await _line(orders):
                order: Order = msgspec.json.decode(line, type=Order)
                match order:
                    case Keep() as keep:
                        self._keep(keep)
                    case Free(name=name):
                        # Taken out now: the next line may be a `Keep` of the same name.
                        task = asyncio.create_task(self._free(name, self._kept.pop(name, None)), name=f"free {name}")
                        self._freeing.add(task)
                        task.add_done_callback(self._freeing.discard)
                    case Abandon():
                        self._kept.clear()
                        break
        finally:
            renewing.cancel()
        # Only at the end of the input: after an error the client is there, and has the leases.
        with suppress(TimeoutError):
            async with timeout(FREE_S):
                await asyncio.gather(*(self._free(name, kept) for name, kept in self._kept.items()))

    def _keep(self, order: Keep) -> None:
        key = LeaseKey(
            self._store,
            self._clock,
            order.name,
            order.data,
            ttl_s=order.ttl_s,
            revision=order.revision,
            until=order.until,
        )
        self._kept[order.name] = _Kept(key, order.slot)
        self._news.set()

    async def _free(self, name: str, kept: _Kept | None) -> None:
        done = False
        if kept:
            async with kept.writing:
                try:
                    await kept.key.free()
                    done = True
                except LinkError:
                    done = False  # it expires
        self._tell(Freed(name=name, done=done))

    async def _renew_all(self) -> None:
        while True:
            self._news.clear()
            is_alive = self._clock.monotonic() - self._page.tick <= TICK_AGE_S
            kept = [(name, one) for name, one in self._kept.items() if is_alive or one.key.is_over]
            reached = await asyncio.gather(*(self._renew(name, one) for name, one in kept))
            pause_s = min((one.key.pause_s for one in self._kept.values()), default=IDLE_S)
            with suppress(TimeoutError):
                async with timeout(pause_s if all(reached) else min(pause_s, RETRY_S)):
                    await self._news.wait()

    async def _renew(self, name: str, kept: _Kept) -> bool:
        """Whether the server was reached."""
        key = kept.key
        async with kept.writing:
            # Some other key has a shorter time, or there was news: this one was renewed just now.
            if not key.is_over and key.until - self._clock.monotonic() > key.ttl_s - key.pause_s / 2:
                return True
            try:
                await key.renew()
            except LinkError:
                return False
            if self._kept.get(name) is kept:
                if key.is_over:
                    del self._kept[name]
                    self._tell(Over(name=name))
                else:
                    self._page[kept.slot] = key.until
        return True


async def _line(orders: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end of the input."""
    try:
        return await orders.readline()
    except ConnectionError:  # how a socket ends whose client was killed before it had read all reports
        return b""


async def _serve(orders: asyncio.StreamReader, tell: Tell) -> None:
    """Serve one client until its input ends."""
    settings = msgspec.json.decode(await orders.readline(), type=RenewerSettings)
    page = opened(settings.page)
    connection = NatsConnection()
    try:
        await connection.connect(settings.url, name=settings.name, login=lambda: settings.login, timeout_s=CONNECT_S)
        tell(Ready())
        await Renewer(connection, page, tell).run(orders)
    finally:
        await connection.close()
        page.close()


async def _serve_parent() -> None:
    def tell(report: Report) -> None:
        with suppress(BrokenPipeError):  # the parent has ended, and so has the input
            os.write(1, msgspec.json.encode(report) + b"\n")

    await _serve(await _input(), tell)


async def _serve_clients(path: Path) -> None:
    """Serve each client that connects, until the parent has ended and no client is left."""
    clients: set[asyncio.Task[None]] = set()

    def accept(orders: asyncio.StreamReader, reports: asyncio.StreamWriter) -> None:
        # A task of the stream server itself would be logged when a client sends nonsense.
        task = asyncio.create_task(_serve_client(orders, reports), name="client")
        clients.add(task)
        task.add_done_callback(clients.discard)

    async with await asyncio.start_unix_server(accept, path, limit=LINE_LIMIT):
        parent = await _input()
        while await parent.read(1 << 16):
            pass
        while clients:  # the roles end with the same parent, a moment later
            await asyncio.wait(clients)


async def _serve_client(orders: asyncio.StreamReader, reports: asyncio.StreamWriter) -> None:
    def tell(report: Report) -> None:
        reports.write(msgspec.json.encode(report) + b"\n")

    try:
        await _serve(orders, tell)
    except (CountingRoomError, OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        _log.error("the leases of one process are not renewed here: %s", error)
    finally:
        reports.close()


async def _input() -> asyncio.StreamReader:
    orders = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), os.fdopen(0, "rb", buffering=0, closefd=False)
    )
    return orders


def main() -> None:
    """Serve until the input ends."""
    logging.basicConfig(
        level=logging.ERROR, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr
    )
    try:
        asyncio.run(_serve_clients(Path(sys.argv[1])) if len(sys.argv) > 1 else _serve_parent())
    except CountingRoomError as error:
        sys.exit(f"the process that renews leases ends: {error}")
    os._exit(0)  # skips the slow end of the interpreter: a new owner of the leases waits for this process to end


if __name__ == "__main__":
    main()
