"""Law: the console is served until the process is told to end; then it closes what it opened."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """Signals are the process's business; readiness is told."""

    def __init__(self, config: uvicorn.Config, serves: Callable[[], None]) -> None:
        super().__init__(config)
        self._serves = serves

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._serves()


async def serve(
    app: Any, listening: socket.socket, serves: Callable[[], None], *, tls: tuple[Path, Path] | None = None
) -> None:
    """Serve an ASGI application on this socket; `serves` is called when it does. `tls`: certificate and key."""
    certificate, key = tls or (None, None)
    settings = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=262_144,
        ws_ping_interval=5,
        ws_ping_timeout=10,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = _Server(settings, serves)
    with listening:
        serving = asyncio.ensure_future(server.serve([listening]))
        try:
            await asyncio.shield(serving)
        finally:  # asked to end, not cancelled: so that it closes what it opened
            server.should_exit = True
            await serving
