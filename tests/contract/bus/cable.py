"""A TCP relay between one client and the server, which a test can cut and mend."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import cast


class Cable:
    """A TCP relay on a port of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self.port = 0

    async def plug(self) -> None:
        """Connect what comes with the server. The port stays the same."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        """Break every connection and refuse new ones."""
        if self._server:
            self._server.close()
            for end in tuple(self._ends):
                end.transport.abort()
            await self._server.wait_closed()
            while self._relays:  # also those that still connect to the server
                await asyncio.wait(self._relays)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = cast("asyncio.Task[None]", asyncio.current_task())
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        await self._connected(reader, writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._server or not self._server.is_serving():  # accepted just before it was pulled
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.close()
            return
        self._ends |= {writer, far_writer}
        if not self._server.is_serving():  # pulled while the far end was connected
            far_writer.transport.abort()
            writer.transport.abort()
        try:
            await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            self._ends -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()
                with suppress(OSError):
                    await end.wait_closed()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
