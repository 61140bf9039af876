"""A websocket of the live feed without a server: the application is called as the server would call it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from tests.console.people import live_scope
from tests.patience import PATIENCE_S


class Socket:
    """What a client sends and what it has received."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[Message] = asyncio.Queue()
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self.accepted = asyncio.Event()
        self.is_open = True

    def send(self, text: str) -> None:
        """A message of the client."""
        self.to_server.put_nowait({"type": "websocket.receive", "text": text})

    async def take(self, message: Message) -> None:
        """A message of the server; OSError after the client has left, as a server raises it."""
        if not self.is_open:
            raise OSError("the client has left")
        self._received.put_nowait(message)
        if message["type"] == "websocket.accept":
            self.accepted.set()

    async def next(self) -> Message:
        """The next message of the server, without the answer to the handshake."""
        async with asyncio.timeout(PATIENCE_S):
            while (message := await self._received.get())["type"] == "websocket.accept":
                pass
            return message

    async def hear(self) -> dict[str, Any]:
        """The next message of the live feed, decoded."""
        told: dict[str, Any] = json.loads((await self.next())["text"])
        return told


@asynccontextmanager
async def opened(
    app: FastAPI, headers: Mapping[str, str], address: str = "10.1.2.3", path: str = "/api/v1/live"
) -> AsyncGenerator[Socket]:
    """A socket with the handshake done; closed at the end."""
    socket = Socket()
    socket.to_server.put_nowait({"type": "websocket.connect"})
    serving = asyncio.ensure_future(app(live_scope(headers, address, path), socket.to_server.get, socket.take))
    try:
        yield socket
    finally:
        socket.is_open = False
        socket.to_server.put_nowait({"type": "websocket.disconnect", "code": 1000})
        async with asyncio.timeout(PATIENCE_S):
            await serving
