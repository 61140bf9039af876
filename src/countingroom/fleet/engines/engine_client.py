"""The client of a container engine. Imported with the first node that has containers, as aiodocker takes 0.3 s."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiodocker import Docker
from aiohttp import ClientConnectionError, ClientResponse


class EngineClient(Docker):
    """Closes what was not read to its end, such as a log that is followed: aiodocker leaves such a connection to the
    garbage collector, and until then the engine goes on writing into it. A call after the client was closed is one
    without an answer, as one in the same moment is, and no mistake of the caller."""

    @asynccontextmanager
    async def _query(self, path: Any, method: str = "GET", **asked: Any) -> AsyncGenerator[ClientResponse]:
        answer = await self._do_query(path, method=method, **asked)
        try:
            yield answer
        finally:
            answer.release()  # kept for the next call where it was read to its end

    async def _do_query(self, path: Any, method: str, **asked: Any) -> ClientResponse:
        if self.session.closed:
            raise ClientConnectionError("the connection was closed")
        return await super()._do_query(path, method, **asked)
