"""The client of nats-py with what its options cannot change, for the pinned version of nats-py."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.aio.client import Client, Srv
from nats.aio.transport import TcpTransport

from countingroom.core.clock import pause_to_multiple, timeout

if TYPE_CHECKING:
    from urllib.parse import ParseResult


PING_S = 1.0
"""Interval of pings to the server. After two without an answer the connection counts as lost."""
_END_S = 1.0
"""Time for an attempt to connect again to end, and for a connection to close."""
_BLANK = " \t\n\r\x0b\f"
"""What `strip` removes from bytes. From texts it removes more."""


class PinnedTransport(TcpTransport):
    """The connection to a server, which is closed when its opening is cancelled, or another one takes its place.

    That of nats-py opens it in a task of its own. A close of the client at that moment leaves the socket open. So does
    an attempt to connect again whose handshake fails: nats-py opens the next connection in the same transport.
    """

    _is_new = True

    def __bool__(self) -> bool:
        # nats-py makes another transport where this is False.
        return self._is_new or super().__bool__()

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open the connection. TimeoutError after `connect_timeout`, in s."""
        self._is_new = False
        for former in (self._io_writer, self._bare_io_writer):
            if former is not None:
                former.transport.abort()
        async with timeout(connect_timeout):
            reader, writer = await asyncio.open_connection(uri.hostname, uri.port, limit=buffer_size)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer


class PinnedClient(Client):
    """The client of nats-py with eight changes: it never closes itself, it can discard unsent messages, a server that
    closes the connection during the handshake does not count as connected, with TLS files it uses no plain link,
    PinnedTransport, pings of all processes at the same times, `close` leaves no connection open, and headers are read
    in a third of the time."""

    _reading_task: asyncio.Task[None] | None
    _ping_interval_task: asyncio.Task[None] | None
    _flusher_task: asyncio.Task[None] | None

    async def _connect_to_server(self, s: Srv) -> None:
        present = self._transport
        if s.uri.scheme not in ("ws", "wss") and not (isinstance(present, PinnedTransport) and present):
            self._transport = PinnedTransport()
        await super()._connect_to_server(s)

    async def _process_connect_init(self) -> None:
        await super()._process_connect_init()
        # A server that closes the socket instead of answering the handshake leaves the status as it was, without an
        # exception, and nats-py then reports a connection that does not exist.
        if self._status != Client.CONNECTED:
            for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                if task:
                    task.cancel()
            raise ConnectionResetError("the server closed the connection before it answered")

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # That of nats-py encrypts the link where the server requires it, and else sends the password as it is.
        if initial_connection and "tls" in self.options and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise nats.errors.Error("nats: the server offers no TLS, which the description asks for")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        # nats-py closes the client for good on most errors that a server sends, such as an authorization error while
        # the server restarts with another configuration. `_process_op_err` reconnects instead.
        if "permissions violation" in err_msg:
            await super()._process_err(err_msg)
        else:
            await self._process_op_err(nats.errors.Error(f"nats: {err_msg}"))

    async def close(self) -> None:
        """Close the client, also the connection that an attempt to connect again has just opened."""
        await super().close()
        again = self._reconnection_task
        if again and not again.done():
            again.cancel()
            await asyncio.wait([again], timeout=_END_S)
        if self._transport is not None:
            self._transport.close()
            # In a task of its own: a wait that was cancelled earlier, by the deadline of a connect, has cancelled what
            # later waits wait for as well.
            closing = asyncio.create_task(self._transport.wait_closed())
            await asyncio.wait([closing], timeout=_END_S)
            if closing.done() and not closing.cancelled():
                closing.exception()  # the reason why it had ended, which is known
            closing.cancel()

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        await super()._send_ping(future)  # pyright: ignore[reportUnknownMemberType]
        # The task that sends pings reads it before each pause.
        self.options["ping_interval"] = pause_to_multiple(time.monotonic(), PING_S)

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        # As that of nats-py, which looks at each character of a name: a quarter of all that a message costs.
        found: dict[str, str] = {}
        for line in raw.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon and name.isascii():
                key = name.decode().strip(_BLANK)
                if not key or key.split() == [key]:
                    found[key] = value.strip().decode("utf-8", "replace")
        return found

    def discard_unsent(self) -> None:
        """Drop the send buffer, which nats-py would send after the reconnection."""
        self._pending: list[bytes] = []
        self._pending_data_size = 0
