"""A Modbus TCP server with the faults of real ones. Its registers hold their own address plus 1000 times their unit."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import Struct, field


class OddServer(Struct):
    """What it does with requests; set while it runs."""

    silent: set[int] = field(default_factory=set)
    """Requests that touch these addresses are never answered."""
    missing: set[int] = field(default_factory=set)
    """Requests that touch these addresses are refused."""
    exception: int = 2
    """With which."""
    most: int = 125
    """More registers in one request are refused."""
    units: set[int] = field(default_factory=lambda: {1})
    closes: bool = False
    """After each answer."""
    accepts: bool = True
    """Otherwise each connection is closed at once."""
    one_client: bool = False
    """A second connection is closed at once."""
    spoil: Callable[[int, bytes], bytes | None] = lambda transaction, frame: frame
    """Changes an answer, or drops it."""
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Unit, address and count of every read."""
    written: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    port: int = 0

    def answer(self, transaction: int, unit: int, request: bytes) -> bytes | None:
        function, address, count = struct.unpack(">BHH", request[:5])
        if function not in (3, 4):
            self.written.append(request)
            pdu = request[:5]
        else:
            self.asked.append((unit, address, count))
            touched = set(range(address, address + count))
            if touched & self.silent:
                return None
            if unit not in self.units:
                pdu = bytes((function | 0x80, 11))
            elif count > self.most or touched & self.missing:
                pdu = bytes((function | 0x80, self.exception))
            else:
                pdu = struct.pack(f">BB{count}H", function, 2 * count, *(1000 * unit + one for one in sorted(touched)))
        return self.spoil(transaction, struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                while self.accepts and not (self.one_client and self.open_now > 1):
                    transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                    answer = self.answer(transaction, unit, await reader.readexactly(length - 1))
                    if answer is not None:
                        writer.write(answer)
                        if self.closes:
                            break
        finally:
            self.open_now -= 1
            with suppress(OSError):
                await writer.drain()
            writer.close()


@asynccontextmanager
async def odd_server(odd: OddServer) -> AsyncIterator[OddServer]:
    """Serves on a free port of loopback."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(odd.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    odd.port = server.sockets[0].getsockname()[1]
    try:
        yield odd
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
