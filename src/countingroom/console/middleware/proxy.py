"""Takes address and scheme of the client from the headers of a trusted proxy. Outermost middleware where there is one.

`X-Forwarded-For` and `X-Forwarded-Proto` of any other sender are ignored. A request that reaches the console without
passing the proxy is refused, except from this machine, because the proxy alone speaks TLS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, cast

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from countingroom.console.middleware.rejection import reject
from countingroom.core.errors import Cause


class ProxyMiddleware:
    """ASGI middleware. `trusted`: addresses or networks of the proxies."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str]) -> None:
        self._app = app
        self._through = ProxyHeadersMiddleware(cast(Any, app), trusted_hosts=list(trusted))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on as from the client; or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        client = HTTPConnection(scope).client
        peer = client.host if client else ""
        if peer in self._through.trusted_hosts:
            await self._through(cast(Any, scope), cast(Any, receive), cast(Any, send))
        elif _is_loopback(peer):
            await self._app(scope, receive, send)
        else:
            cause = Cause(
                code="denied",
                message=f"{peer} is no trusted proxy, and this console is reached through its proxy only",
                source="console.proxy",
                suggestion="open the address of the proxy, or add the proxy to console.behind_proxy",
            )
            await reject(scope, receive, send, cause, 403)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
