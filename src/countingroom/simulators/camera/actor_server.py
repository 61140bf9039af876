"""An actor on TCP: takes commands as lines, in the JSON or the legacy form, and sends replies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from countingroom.core.actor import json_lines, legacy
from countingroom.core.actor.messages import (
    BROADCAST,
    LONGEST_LINE,
    ActorCommand,
    ActorReply,
    ActorSyntaxError,
    MessageCode,
)

MOST_COMMANDS = 256
"""Of one connection at the same time; more are refused."""


class ActorRequest:
    """A command with the connection that it came from."""

    def __init__(self, command: ActorCommand, connection: _Connection) -> None:
        self.command = command
        self._connection = connection
        self.is_over = False

    def reply(self, code: MessageCode, keywords: Mapping[str, Any] | None = None) -> None:
        """Send a reply. After the last one it has no effect."""
        if not self.is_over:
            self.is_over = code.is_final
            self._connection.send(code, self.command.id, keywords or {})


Serve = Callable[[ActorRequest], Awaitable[None]]
"""Carries out a command. It ends it by its last reply."""


class ActorServer:
    """Serves one actor on a port."""

    def __init__(self, name: str, form: str, serve: Serve) -> None:
        """`form`: `json` or `legacy`."""
        self.name = name
        self.form = form
        self._serve = serve
        self._server: asyncio.Server
        self._connections: set[_Connection] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. OSError where it is taken."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=LONGEST_LINE)
        return self._server.sockets[0].getsockname()[1]

    def drop(self) -> None:
        """Close all connections."""
        for one in self._connections:
            one.close()

    async def stop(self) -> None:
        """End."""
        self._server.close()
        self.drop()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = max((one.number for one in self._connections), default=0) + 1
        connection = _Connection(self, writer, number)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._serve)
        finally:
            self._connections.discard(connection)
            connection.close()


class _Connection:
    def __init__(self, server: ActorServer, writer: asyncio.StreamWriter, number: int) -> None:
        self.number = number
        self._server = server
        self._writer = writer
        self._id = uuid4().hex if server.form == "json" else str(number)

    async def run(self, reader: asyncio.StreamReader, serve: Serve) -> None:
        """Take commands until the other side has closed."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            # ValueError: a line without an end. Nothing after it could be told apart.
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    request = self._request(line.decode(errors="replace"))
                    if request is None:
                        continue
                    if len(tasks) >= MOST_COMMANDS:
                        request.reply(MessageCode.FAILED, {"error": f"{MOST_COMMANDS} commands are under way"})
                        continue
                    task = asyncio.ensure_future(serve(request))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                    with suppress(OSError):
                        await self._writer.drain()
        finally:
            for task in tasks:
                task.cancel()

    def _request(self, line: str) -> ActorRequest | None:
        try:
            command = (json_lines if self._server.form == "json" else legacy).parse_command(line)
        except ActorSyntaxError as error:
            self.send(MessageCode.FAILED, BROADCAST, {"error": error.cause.message})
            return None
        return None if command is None else ActorRequest(command, self)

    def send(self, code: MessageCode, number: int, keywords: Mapping[str, Any]) -> None:
        """Send a reply."""
        form = json_lines if self._server.form == "json" else legacy
        reply = ActorReply(
            code=code, keywords=keywords, command_id=number, commander=self._id, sender=self._server.name
        )
        if not self._writer.is_closing():
            self._writer.write(f"{form.format_reply(reply)}\n".encode())

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
