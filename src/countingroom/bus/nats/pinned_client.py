"""The client of nats-py with what its options cannot change, for the pinned version of nats-py."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import nats.errors
from nats.aio import transport
from nats.aio.client import Client, ServerVersion, Srv
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE

from countingroom.bus.nats.message_reader import MessageReader, Receive
from countingroom.core.clock import pause_to_multiple, timeout

if TYPE_CHECKING:
    from urllib.parse import ParseResult


_log = logging.getLogger(__name__)

PING_S = 1.0
"""Interval of pings to the server. After two without an answer the connection counts as lost."""
_LATE_S = 0.25
"""A ping that goes out later than this shows that the process is held up."""
_HELD_UP = 10
"""So many of these pings need no answer in time: a server that is really gone is noticed in the end."""
_END_S = 1.0
"""Time for an attempt to connect again to end, and for a connection to close."""
_BLANK = " \t\n\r\x0b\f"
"""What `strip` removes from bytes. From texts it removes more."""
_UNWRITTEN_BYTES = 1 << 16
_NO_LINES = str.maketrans("\r\n", "  ")


def compile_pattern() -> None:
    """Compile the pattern with which each connection reads the version of its server. It stays in the cache of `re`."""
    ServerVersion("2.12.0").parse_version()


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
        loop = asyncio.get_running_loop()
        reader = MessageReader(limit=buffer_size, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        async with timeout(connect_timeout):
            transport, _ = await loop.create_connection(lambda: protocol, str(uri.hostname), uri.port or 0)
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    def give(self, receive: Receive, is_free: Callable[[], bool]) -> None:
        """Give messages to `receive` from now on, over a link without TLS."""
        if isinstance(self._io_reader, MessageReader):
            self._io_reader.is_free = is_free
            self._io_reader.receive = receive

    @property
    def unwritten(self) -> int:
        """Bytes that the socket has not taken yet."""
        return self._io_writer.transport.get_write_buffer_size() if self._io_writer else 0


class PinnedClient(Client):
    """The client of nats-py with ten changes: it never closes itself, it can discard unsent messages, a server that
    closes the connection during the handshake does not count as connected, with TLS files it uses no plain link,
    PinnedTransport, pings of all processes at the same times, `close` leaves no connection open, headers are read
    in a third of the time, and `send` and `take_each` cost half of `publish` and `subscribe` with a callback."""

    _reading_task: asyncio.Task[None] | None
    _ping_interval_task: asyncio.Task[None] | None
    _flusher_task: asyncio.Task[None] | None
    _flush_queue: asyncio.Queue[asyncio.Future[Any]] | None

    def __init__(self) -> None:
        super().__init__()
        self._takers: dict[int, Callable[[Msg], None]] = {}
        """Number of a subscription -> what takes its messages."""
        self._will_write = False

    def send(self, subject: str, data: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Publish while connected, without the coroutines and the future of `publish`. BadSubjectError for a subject
        with blanks, MaxPayloadError for too many bytes."""
        if subject.split() != [subject]:
            raise nats.errors.BadSubjectError
        if len(data) > self._max_payload:
            raise nats.errors.MaxPayloadError
        if headers:
            lines = "".join(f"{name}: {value.translate(_NO_LINES)}\r\n" for name, value in headers.items())
            head = f"NATS/1.0\r\n{lines}\r\n".encode()
            command = b"".join(
                (f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n".encode(), head, data, b"\r\n")
            )
        else:
            command = b"".join((f"PUB {subject} {reply} {len(data)}\r\n".encode(), data, b"\r\n"))
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._will_write:
            self._will_write = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        """Write what waits. While the socket takes nothing, the task of nats-py does it, which waits for the socket."""
        self._will_write = False
        transport = self._transport
        if isinstance(transport, PinnedTransport) and self.is_connected and transport.unwritten < _UNWRITTEN_BYTES:
            waiting, self._pending = self._pending, []
            self._pending_data_size = 0
            if waiting:
                transport.write(waiting[0] if len(waiting) == 1 else b"".join(waiting))
        elif self._flush_queue is not None and self._flush_queue.empty():
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            self._flush_queue.put_nowait(done)

    async def take_each(self, subject: str, take: Callable[[Msg], None], *, queue: str = "") -> Subscription:
        """Subscribe; `take` is called with each message as it is read, without a queue and a task in between."""
        self._takers[self._sid + 1] = take  # the number that the next line gives; a message may come during its wait
        return await self.subscribe(subject, queue=queue)  # pyright: ignore[reportUnknownMemberType]

    def _remove_sub(self, sid: int, max_msgs: int = 0) -> None:
        super()._remove_sub(sid, max_msgs)
        self._takers.pop(sid, None)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if not self._receive(sid, subject, reply, headers, data):
            await super()._process_msg(sid, subject, reply, data, headers)

    def _is_free(self) -> bool:
        return not self._ps.buf and self._ps.state == AWAITING_CONTROL_LINE

    def _receive(self, sid: int, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> bool:
        take = self._takers.get(sid)
        if take is None:
            return False
        found = self._read_headers(headers) if headers else None
        self._pings_outstanding = 0  # the server is there, although its answer to a ping may come later
        try:
            take(Msg(self, subject.decode(), reply.decode(), data, found))
        except Exception:  # one that leaves here would end the reading of this connection
            _log.exception("a message on %s could not be taken", subject.decode())
        return True

    def _read_headers(self, raw: bytes) -> dict[str, str] | None:
        # It is a coroutine, and waits only to report headers that cannot be read.
        reading = self._process_headers(raw)  # pyright: ignore[reportUnknownMemberType]
        try:
            reading.send(None)
        except StopIteration as end:
            return end.value
        reading.close()
        return None

    async def _connect_to_server(self, s: Srv) -> None:
        present = self._transport
        if s.uri.scheme in ("ws", "wss"):
            # It was imported without, see `__init__`.
            transport.__dict__["aiohttp"] = importlib.import_module("aiohttp")
        elif not (isinstance(present, PinnedTransport) and present):
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
        if isinstance(self._transport, PinnedTransport):
            self._transport.give(self._receive, self._is_free)

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

    async def _ping_interval(self) -> None:
        # As that of nats-py, but for the times of the pings, and for a process that is held up: the answer of the
        # server may wait to be read. On an overloaded computer processes lost their links by that.
        held_up = 0
        while True:
            pause_s = pause_to_multiple(time.monotonic(), PING_S)
            due_s = time.monotonic() + pause_s
            await asyncio.sleep(pause_s)
            if not self.is_connected:
                continue
            if self._pings_outstanding == 0:
                held_up = 0
            if time.monotonic() - due_s > _LATE_S:
                held_up = min(held_up + 1, _HELD_UP)
            self._pings_outstanding += 1
            if self._pings_outstanding > self.options["max_outstanding_pings"] + held_up:
                await self._process_op_err(nats.errors.StaleConnectionError())
                return
            try:
                await self._send_ping()  # pyright: ignore[reportUnknownMemberType]
            except (RuntimeError, AttributeError):  # it is being closed
                return

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
