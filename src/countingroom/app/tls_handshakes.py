"""Limits for connections whose TLS handshake is not finished.

asyncio tells a protocol of a connection after its handshake, which may take 60 s. 1,100 connections of a stranger that
sent three bytes each took all files of a console that may have 1,024, and it ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

MOST = 128
"""Handshakes at a time. Beyond it the oldest one is closed, of the address that has most."""
HANDSHAKE_S = 10.0


class TlsHandshakes:
    """The handshakes that are not finished."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open: dict[asyncio.Transport, str] = {}
        """The address of each, the oldest first."""

    def __len__(self) -> int:
        return len(self._open)

    def limit(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count those of servers of this loop from now on."""
        make = getattr(loop, "_make_ssl_transport", None)
        if make is None:  # another loop than those of asyncio
            return

        def counted(rawsock: Any, protocol: Any, sslcontext: Any, waiter: Any = None, **options: Any) -> Any:
            if not options.get("server_side") or waiter is None:
                return make(rawsock, protocol, sslcontext, waiter, **options)
            options["ssl_handshake_timeout"] = HANDSHAKE_S
            transport = make(rawsock, protocol, sslcontext, waiter, **options)
            address = ""
            with suppress(OSError):  # the client has gone already
                address = str(rawsock.getpeername()[0])
            self._begun(transport, address)
            waiter.add_done_callback(partial(self._ended, transport))
            return transport

        loop._make_ssl_transport = counted  # pyright: ignore[reportAttributeAccessIssue]

    def _ended(self, transport: asyncio.Transport, _: object) -> None:
        self._open.pop(transport, None)

    def _begun(self, transport: asyncio.Transport, address: str) -> None:
        self._open[transport] = address
        if len(self._open) > self._most:
            most, _ = Counter(self._open.values()).most_common(1)[0]
            oldest = next(one for one, of in self._open.items() if of == most)
            del self._open[oldest]
            oldest.abort()
