"""A relay to a server of Channel Access that forgets its subscriptions and answers everything else."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

_HEADER = struct.Struct(">HHHHII")
_EVENT_ADD, _SEARCH = 1, 6
_LONG = 0xFFFF
"""A payload whose size and count follow the header, as 32 bits each."""


class ForgetfulServer:
    """Listens at `address` for a client that searches by TCP, in place of a server on this machine."""

    def __init__(self, port: int) -> None:
        """`port`: of the server."""
        self._port = port
        self._known: set[int] = set()
        self._forgotten: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.subscriptions = 0
        """Made so far."""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._own_port: int = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self._own_port}"

    async def stop(self) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self) -> None:
        """Send no change any more for the subscriptions that there are."""
        self._forgotten |= self._known

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream, out = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, out, self._asked))
                group.create_task(_pass_on(upstream, writer, self._answered))
        except asyncio.CancelledError:
            pass  # by `stop`; asyncio would log it as an error of the connection
        finally:
            self._tasks.discard(task)
            for one in (writer, out):
                one.close()
            for one in (writer, out):
                with suppress(ConnectionError):
                    await one.wait_closed()

    def _asked(self, header: list[int]) -> bool:
        if header[0] == _EVENT_ADD:
            self.subscriptions += 1
            self._known.add(header[5])
            self._forgotten.discard(header[5])
        return True

    def _answered(self, header: list[int]) -> bool:
        if header[0] == _SEARCH:
            header[2] = self._own_port
        return header[0] != _EVENT_ADD or header[5] not in self._forgotten or not header[1]


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wanted: Callable[[list[int]], bool]
) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            header = list(_HEADER.unpack(await reader.readexactly(_HEADER.size)))
            more = await reader.readexactly(8) if header[1] == _LONG else b""
            size = struct.unpack(">II", more)[0] if more else header[1]
            payload = await reader.readexactly(size)
            if wanted(header):
                writer.write(_HEADER.pack(*header) + more + payload)
                await writer.drain()
    writer.close()
