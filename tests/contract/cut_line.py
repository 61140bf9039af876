"""A TCP line between a driver and a server that we did not write, which can be cut and joined at the same port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class CutLine:
    """Passes bytes on to a server on loopback."""

    def __init__(self, sent: Callable[[bytes], None], far: int) -> None:
        """`sent`: called with what the driver sends. `far`: the port of the server."""
        self.port = 0
        self._sent = sent
        self._far = far
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def until_served(self) -> None:
        """Wait until the server accepts connections."""
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._far)
                writer.close()
                return
            await asyncio.sleep(0.05)

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, far_writer, self._sent))
                both.create_task(self._pass(far_reader, writer, lambda data: None))
        except* OSError:
            pass
        finally:
            self._tasks.discard(task)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Callable[[bytes], None]
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                seen(data)
                writer.write(data)
        writer.close()
        self._writers.discard(writer)
