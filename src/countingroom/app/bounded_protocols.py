"""The protocols of the web server with limits of time and number. uvicorn has none for requests that are half sent.

Header and body of a request must arrive within a time, an answer must be read within a time, and every connection
stands in the table that limits their number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, cast

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from countingroom.app.connection_table import ConnectionRank, ConnectionTable, OpenConnection
from countingroom.app.request_turns import RequestTurns

HEADER_S = 10.0
"""From the connection, or the end of the last answer, to the end of the header. An idle connection ends sooner."""
BODY_S = 30.0
"""From the end of the header to the end of the body, which has at most 1 MiB."""
READ_S = 30.0
"""How long a client may leave an answer unread."""
HEADER_BYTES = 65_536
"""The most of a request without its body: first line, header, sizes of chunks, trailers."""
PIPELINED = 4
"""The most requests that may wait for the answer of an earlier one on their connection. Browsers send none. With 16 of
them, 2,500 connections of strangers that came at once delayed an operator by 2.4 s."""

UNREAD = 64
"""Messages of a websocket that may wait. The parsing of thousands, read at once, took a tenth of a second."""
CONTROL_FRAMES = 128
"""Pings, pongs and fragments that a websocket may receive at once. 40,000 of them fit into what is read at once; they
held the loop for 2 s, again and again. A browser sends a pong each 5 s, and its messages have one frame."""
CONTROL_FRAMES_PER_S = 16.0
_PIECE = 4096
"""Bytes parsed at once."""
_FRAMES_PIECE = 1024
"""The same of a websocket. The smallest frame has 6 bytes."""


class _Part(Enum):
    """The part of a request for which a connection waits."""

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()


def bounded(
    table: ConnectionTable, *, header_s: float = HEADER_S, body_s: float = BODY_S, read_s: float = READ_S
) -> tuple[type[HttpToolsProtocol], type[WebSocketsSansIOProtocol]]:
    """The protocols of HTTP and websockets for uvicorn, which makes an instance for each connection."""
    entries: dict[asyncio.BaseTransport, OpenConnection] = {}
    turns = RequestTurns()

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

    class BoundedHttp(HttpToolsProtocol):
        """HTTP/1.1. The scope of a request carries its `requester` once the application has found it."""

        parser: Any  # None after the end of the connection
        cycle: Any  # None before the first request
        _timer: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None
        _waits_for: _Part | None = None
        _header_bytes = 0
        """Of this request so far, without its body: the parser keeps them all."""
        _is_in_body = False
        _is_websocket = False
        _answered: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` is the last one that arrived."""

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
            for first in range(0, len(data), _PIECE):
                piece = data[first : first + _PIECE]
                self._header_bytes += len(piece)
                self._parse(piece)
                if self._is_websocket or self.transport.is_closing():
                    return
                if self._header_bytes > HEADER_BYTES:
                    self.send_400_response(f"The header of the request has more than {HEADER_BYTES} bytes.")
                    return
            self._watch()
            self._note_request()

        def _parse(self, piece: bytes) -> None:
            self._unset_keepalive_if_required()
            try:
                self.parser.feed_data(piece)
            except HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                else:
                    self._parse(self._without_upgrade() + piece[upgrade.args[0] :])
            except HttpParserError:
                self.send_400_response("This is no valid HTTP request.")

        def _without_upgrade(self) -> bytes:
            """The header again. Java asks for HTTP/2 with each request; the parser would pass over the body of it."""
            first = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            rest = (b"%b: %b\r\n" % one for one in self.headers if one[0] != b"upgrade")
            return b"".join((first, *rest, b"\r\n"))

        def _is_declined(self) -> bool:
            return self.parser.should_upgrade() and not self._should_upgrade()

        def on_headers_complete(self) -> None:
            # The parser takes it for an upgrade without a header of that name, so `_parse` would call itself for ever.
            # In the depth of the recursion the loop keeps a closed file, and hangs the next connection that gets it.
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")  # the parser tells it as an HttpParserError
            if self._is_declined():
                return
            if sum(name == b"host" for name, _ in self.headers) != 1 and self.parser.get_http_version() != "1.0":
                raise ValueError("a request needs one Host")
            if len(self.pipeline) >= PIPELINED:
                raise ValueError("too many requests before an answer")
            super().on_headers_complete()
            self._is_in_body = True

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            self._header_bytes -= len(body)

        def on_message_complete(self) -> None:
            if self._is_declined():
                return
            super().on_message_complete()
            self._is_in_body = False
            self._header_bytes = 0

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            self._answered = cycle
            entry = entries.get(self.transport)
            if entry and entry.rank < ConnectionRank.VIEWER:
                app = _in_turn(turns, entry.address, cycle, app)
            super()._start_asgi_task(cycle, app)

        def on_response_complete(self) -> None:
            if self._answered:
                identify(self.transport, self._answered.scope, self.loop.time())
            super().on_response_complete()
            self._watch()
            self._note_request()

        def handle_websocket_upgrade(self) -> None:
            super().handle_websocket_upgrade()
            self._stop()
            self._is_websocket = True

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._answered:  # an answer that is left unread must not keep the place of a first request
                identify(self.transport, self._answered.scope, self.loop.time())
            self._reading = self.loop.call_later(read_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._reading:
                self._reading.cancel()
                self._reading = None

        def _part(self) -> _Part:
            if self._is_in_body:
                return _Part.BODY
            return _Part.HEADER if self.cycle is None or self.cycle.response_complete else _Part.ANSWER

        def _watch(self) -> None:
            """Start the time limit of what is awaited now; more data of the same part does not extend it."""
            part = self._part()
            if self._is_websocket or part is self._waits_for:
                return
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._waits_for = part
            limit_s = header_s if part is _Part.HEADER else body_s if part is _Part.BODY else None
            if limit_s is not None:
                self._timer = self.loop.call_later(limit_s, self.transport.abort)

        def _note_request(self) -> None:
            entry = entries.get(self.transport)
            if entry and self._part() is _Part.ANSWER:
                table.asks(entry, now_s=self.loop.time())

        def _stop(self) -> None:
            for timer in (self._timer, self._reading):
                if timer:
                    timer.cancel()

    class BoundedWebSocket(WebSocketsSansIOProtocol):
        """A websocket; its connection was taken in by BoundedHttp."""

        _reading: asyncio.TimerHandle | None = None
        _allowance = float(CONTROL_FRAMES)
        """So many pings, pongs and fragments may still come at `_counted_s`."""
        _counted_s = 0.0

        def connection_lost(self, exc: Exception | None) -> None:
            leave(self.transport)
            super().connection_lost(exc)
            self._stop()

        def data_received(self, data: bytes) -> None:
            for first in range(0, len(data), _FRAMES_PIECE):
                super().data_received(data[first : first + _FRAMES_PIECE])
                if self.transport.is_closing():
                    return
                if self.queue.qsize() > UNREAD:
                    self._refuse(f"more than {UNREAD} messages are unread")
                elif self._allowance < 0:
                    self._refuse("too many pings, pongs or fragments")

        def _refuse(self, reason: str) -> None:
            self.stop_keepalive()
            self.conn.send_close(1008, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

        def handle_text(self, event: Any) -> None:
            identify(self.transport, cast(Any, self.scope), self.loop.time())
            super().handle_text(event)

        def handle_cont(self, event: Any) -> None:
            self._count()
            super().handle_cont(event)

        def handle_ping(self) -> None:
            self._count()
            super().handle_ping()

        def handle_pong(self, event: Any) -> None:
            self._count()
            super().handle_pong(event)

        def _count(self) -> None:
            now_s = self.loop.time()
            more = (now_s - self._counted_s) * CONTROL_FRAMES_PER_S
            self._allowance = min(float(CONTROL_FRAMES), self._allowance + more) - 1
            self._counted_s = now_s

        def pause_writing(self) -> None:
            super().pause_writing()
            self._stop()
            self._reading = self.loop.call_later(read_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._stop()

        def _stop(self) -> None:
            if self._reading:
                self._reading.cancel()
                self._reading = None

    return BoundedHttp, BoundedWebSocket


def _in_turn(turns: RequestTurns, address: str, cycle: RequestResponseCycle, app: Any) -> Any:
    """The application, for a request on a connection that belongs to no user: it waits for its turn."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        place = await turns.begin(address)

        async def sending(message: Any) -> None:
            place.end()  # the answer may be long, and read slowly
            await send(message)

        try:
            if not cycle.disconnected:
                await app(scope, receive, sending)
        finally:
            place.end()

    return answer
