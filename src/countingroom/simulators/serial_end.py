"""The device's end of a serial line: a pseudo terminal with a fixed address, or the socket of a serial server."""

from __future__ import annotations

import asyncio
import errno
import os
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from countingroom.simulators.line_folder import LineFolder

Arrived = Callable[[bytes], None]


class SerialEnd(Protocol):
    """Receives and sends bytes. May be closed and opened again at the same address."""

    async def open(self) -> str:
        """The address a driver is given."""
        ...

    def send(self, data: bytes) -> None:
        """Send to every client; without a client the bytes are lost."""
        ...

    async def close(self) -> None:
        """Close the line, like a pulled cable."""
        ...

    async def forget(self) -> None:
        """Close the line and free its address."""
        ...


class PtyEnd:
    """A pseudo terminal behind a symbolic link, so that a new one can take its place."""

    def __init__(self, arrived: Arrived, link: str = "") -> None:
        """`link`: the address of an earlier process, to be used again."""
        self._arrived = arrived
        self._folder = LineFolder(link)
        self._ours = -1
        self._theirs = -1

    async def open(self) -> str:
        self._folder.take()
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        asyncio.get_running_loop().add_reader(self._ours, self._readable)
        return self._folder.link(self._theirs)

    def _readable(self) -> None:
        try:
            data = os.read(self._ours, 4096)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EAGAIN):
                raise
            return
        self._arrived(data)

    def send(self, data: bytes) -> None:
        if self._ours >= 0:
            with suppress(BlockingIOError):
                os.write(self._ours, data)

    async def close(self) -> None:
        if self._ours >= 0:
            self._folder.unlink()
            asyncio.get_running_loop().remove_reader(self._ours)
            os.close(self._ours)
            os.close(self._theirs)
            self._ours = -1

    async def forget(self) -> None:
        await self.close()
        self._folder.remove()


class TcpEnd:
    """A serial server on loopback: any number of clients share the line behind it, as they do on a real one."""

    def __init__(self, arrived: Arrived, port: int = 0) -> None:
        """`port`: that of an earlier process, to be used again."""
        self._arrived = arrived
        self._port = port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return f"socket://127.0.0.1:{self._port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while data := await reader.read(4096):
                self._arrived(data)
        except ConnectionError:
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    def send(self, data: bytes) -> None:
        for client in self._clients:
            client.write(data)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            for client in list(self._clients):
                client.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def forget(self) -> None:
        await self.close()


def end_for(parameters: Mapping[str, Any], arrived: Arrived) -> SerialEnd:
    """A line of the kind that the section describes; after a restart at the address of the earlier process."""
    again: Mapping[str, Any] = parameters.get("again") or {}
    former = str(again.get("port", ""))
    if str(parameters.get("port", "")).startswith("socket://") or former.startswith("socket://"):
        return TcpEnd(arrived, int(former.rpartition(":")[2] or 0))
    return PtyEnd(arrived, former)
