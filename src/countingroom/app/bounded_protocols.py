"""The protocols of the web server with limits of time and number. uvicorn has none for requests that are half sent.

Header and body of a request must arrive within a time, an answer must be read within a time, and every connection
stands in the table that limits their number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from countingroom.app.connection_table import ConnectionTable, OpenConnection

HEADER_S = 10.0
"""From the connection, or the end of the last answer, to the end of the header. An idle connection ends sooner."""
BODY_S = 30.0
"""From the end of the header to the end of the body, which has at most 1 MiB."""
READ_S = 30.0
"""How long a client may leave an answer unread."""

UNREAD = 64
"""Messages of a websocket that may wait. The parsing of thousands, read at once, took a tenth of a second."""
_PIECE = 4096
"""Bytes of a websocket parsed at once."""


def bounded(
    table: ConnectionTable, *, header_s: float = HEADER_S, body_s: float = BODY_S, read_s: float = READ_S
) -> tuple[type[H11Protocol], type[WebSocketsSansIOProtocol]]:
    """The protocols of HTTP and websockets for uvicorn, which makes an instance for each connection."""
    entries: dict[asyncio.BaseTransport, OpenConnection] = {}

    def leave(transport: asyncio.BaseTransport) -> None:
        if entry := entries.pop(transport, None):
            table.remove(entry)

    def identify(transport: asyncio.BaseTransport, scope: Mapping[str, Any] | None, now_s: float) -> None:
        """A request is answered, with or without a login."""
        found = scope.get("requester") if scope else None
        entry = entries.get(transport)
        if entry and found and found.name:
            table.identify(entry, found.name, operates=found.operates, now_s=now_s)
        elif entry:
            table.answered(entry, now_s=now_s)

    class BoundedHttp(H11Protocol):
        """HTTP/1.1. The scope of a request carries its `requester` once the application has found it."""

        _timer: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None
        _waits_for: object = None
        _is_websocket = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            entry = OpenConnection(self.client[0] if self.client else "", transport.abort)
            entries[transport] = entry
            table.add(entry, now_s=self.loop.time())
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            leave(self.transport)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()
            self._note_request()

        def on_response_complete(self) -> None:
            identify(self.transport, cast(Any, self.cycle.scope), self.loop.time())
            super().on_response_complete()
            self._watch()
            self._note_request()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            super().handle_websocket_upgrade(event)
            self._stop()
            self._is_websocket = True

        def pause_writing(self) -> None:
            super().pause_writing()
            if self.cycle:  # an answer that is left unread must not keep the place of a first request
                identify(self.transport, cast(Any, self.cycle.scope), self.loop.time())
            self._reading = self.loop.call_later(read_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._reading:
                self._reading.cancel()
                self._reading = None

        def _watch(self) -> None:
            """Start the time limit of what is awaited now; more data of the same part does not extend it."""
            state = cast(Any, self.conn.their_state)
            if self._is_websocket or state is self._waits_for:
                return
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._waits_for = state
            limit_s = header_s if state is h11.IDLE else body_s if state is h11.SEND_BODY else None
            if limit_s is not None:
                self._timer = self.loop.call_later(limit_s, self.transport.abort)

        def _note_request(self) -> None:
            entry = entries.get(self.transport)
            if entry and (self._is_websocket or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)):
                table.asks(entry, now_s=self.loop.time())

        def _stop(self) -> None:
            for timer in (self._timer, self._reading):
                if timer:
                    timer.cancel()

    class BoundedWebSocket(WebSocketsSansIOProtocol):
        """A websocket; its connection was taken in by BoundedHttp."""

        def connection_lost(self, exc: Exception | None) -> None:
            leave(self.transport)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            for first in range(0, len(data), _PIECE):
                super().data_received(data[first : first + _PIECE])
                if self.queue.qsize() > UNREAD and not self.transport.is_closing():
                    self.stop_keepalive()
                    self.conn.send_close(1008, f"more than {UNREAD} messages are unread")
                    self.transport.write(b"".join(self.conn.data_to_send()))
                    self.transport.close()
                if self.transport.is_closing():
                    return

        def handle_text(self, event: Any) -> None:
            identify(self.transport, cast(Any, self.scope), self.loop.time())
            super().handle_text(event)

    return BoundedHttp, BoundedWebSocket
