"""A console that is served from a thread of its own, for a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

import uvicorn

T = TypeVar("T")
_DEADLINE_S = 60.0


@contextmanager
def served(made: Callable[[], AbstractAsyncContextManager[tuple[Any, T]]]) -> Generator[tuple[str, T]]:
    """The address of the console, and what else the test looks at. `made` gives both, the console as an application, in
    the event loop that serves it."""
    ready, began = threading.Event(), list[tuple[uvicorn.Server, T]]()

    async def serve(listener: socket.socket) -> None:
        async with made() as (app, other):
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            began.append((server, other))
            serving = asyncio.create_task(server.serve([listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            ready.set()
            await serving

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(serve(listener)), name="served console")
        thread.start()
        try:
            assert ready.wait(_DEADLINE_S)
            host, port = listener.getsockname()
            yield f"http://{host}:{port}", began[0][1]
        finally:
            for server, _ in began:
                server.should_exit = True
            thread.join(_DEADLINE_S)
