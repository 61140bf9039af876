"""The web server of the console (uvicorn). It serves until cancelled, then shuts down gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import uvicorn

from countingroom.app.bounded_protocols import bounded
from countingroom.app.connection_table import ConnectionLimits, ConnectionTable
from countingroom.app.tls_handshakes import TlsHandshakes
from countingroom.core.clock import timeout

ACCEPTED_AT_ONCE = 8
"""Connections accepted before the requests of earlier ones are read; asyncio takes the backlog for it. With uvicorn's
2048, a burst closed all connections of its address before any of them was read."""
WAITING_IN_KERNEL = 2048
"""Connections that wait to be accepted, in their order; one more must try again after a second."""


_TICK_S = 1.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: serve.py handles signals. It calls `serves` when it is ready."""

    def __init__(self, config: uvicorn.Config, serves: Callable[[], None]) -> None:
        super().__init__(config)
        self._serves = serves
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def end(self) -> None:
        """Begin to shut down."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        # That of uvicorn wakes ten times a second to see whether it shall exit.
        while not await self.on_tick(0):  # renews the time in the headers of answers
            with contextlib.suppress(TimeoutError):
                async with timeout(_TICK_S):
                    await self._ending.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for one in sockets or ():
                one.listen(WAITING_IN_KERNEL)
            self._serves()


async def serve(
    app: Any,
    listening: socket.socket,
    serves: Callable[[], None],
    *,
    tls: tuple[Path, Path] | None = None,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008
    has_lifespan: bool = False,
) -> None:
    """Serve an ASGI application on this socket until cancelled. Calls `serves` once it accepts connections.

    `tls`: paths of the certificate and the key. `has_lifespan`: the application begins and ends work of its own by the
    lifespan protocol of ASGI.
    """
    certificate, key = tls or (None, None)
    http, websocket = bounded(ConnectionTable(limits))
    settings = uvicorn.Config(
        app,
        lifespan="on" if has_lifespan else "off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=http,
        ws=websocket,
        backlog=ACCEPTED_AT_ONCE,
        ws_max_size=262_144,
        ws_ping_interval=5,
        ws_ping_timeout=10,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    if tls:
        TlsHandshakes().limit(asyncio.get_running_loop())
    server = _Server(settings, serves)
    with listening:
        serving = asyncio.ensure_future(server.serve([listening]))
        try:
            await asyncio.shield(serving)
        finally:  # a request to exit, not a cancellation, so that the server closes its connections
            server.end()
            await serving
