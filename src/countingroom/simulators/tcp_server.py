"""A TCP server of a simulator on loopback. Its port stays the same when it is closed and opened again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from countingroom.core.errors import LinkError

HOST = "127.0.0.1"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TcpServer:
    """Runs `serve` for each connection, and ends the connection when that returns."""

    def __init__(self, serve: Serve, port: int = 0) -> None:
        """`port`: 0 takes any free one at the first opening."""
        self._serve = serve
        self._port = port
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def open(self, port: int = 0) -> int:
        """Listen, where it does not already; the port. LinkError where the port is in use."""
        if self._server is None:
            try:
                self._server = await asyncio.start_server(self._accept, HOST, port or self._port)
            except OSError as error:
                raise LinkError(f"cannot listen on port {port or self._port}: {error.strerror}") from error
            self._port = self._server.sockets[0].getsockname()[1]
        return self._port

    async def close(self) -> None:
        """Refuse new connections and end those that are open."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        tasks = list(self._clients.values())
        for writer, task in list(self._clients.items()):
            writer.transport.abort()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of the stream server itself would be logged as failed when `close` cancels it (Python 3.11).
        self._clients[writer] = asyncio.get_running_loop().create_task(self._run(reader, writer))

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            self._clients.pop(writer, None)
            writer.close()
