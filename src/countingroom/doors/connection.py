"""One connection to a door: lines in and out, with limits.

A line that is too long or no UTF-8 is refused, and the connection continues. If a client does not read its replies, no
further line of it is read, and after a time it is disconnected. The other connections are not affected.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

LONGEST_LINE = 1 << 16
"""Bytes."""
AT_ONCE = 64
"""Lines of one connection that are handled before other connections get their turn."""
UNREAD_BYTES = 4 << 20
"""The most bytes that a client may leave unread; beyond that it is disconnected."""
UNREAD_S = 30.0
"""How long a client may leave data unread that do not fit into the network buffers."""


class LineTaker(Protocol):
    """The part of a connection's work that a door implements."""

    def joined(self, connection: DoorConnection) -> None:
        """The connection is open."""
        ...

    def left(self, connection: DoorConnection) -> None:
        """The connection has ended."""
        ...

    def line(self, connection: DoorConnection, line: str) -> None:
        """Take in a line."""
        ...

    def wrong_line(self, connection: DoorConnection, why: str) -> None:
        """Take in that a line cannot be read. `why`: the reason."""
        ...


class DoorConnection(asyncio.Protocol):
    """Made by the listening socket for each client."""

    def __init__(self, door: LineTaker) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._input = bytearray()
        self._is_skipping = False
        """Whether the rest of a line that is too long is dropped."""
        self._output: list[bytes] = []
        self._is_working = False
        self._is_blocked = False
        self._is_ending = False
        """Whether the client has closed its side, so that no more lines will come."""
        self._open_commands = 0
        self._timer: asyncio.TimerHandle | None = None
        self.host = ""
        self.user = 0
        """In the legacy protocol."""
        self.id = ""
        """In the JSON protocol."""
        self.is_multiline = False

    @property
    def is_open(self) -> bool:
        """Whether replies still reach it."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, text: str) -> None:
        """Send text that ends with a line end. Has no effect after the end of the connection."""
        if not self.is_open:
            return
        self._output.append(text.encode("utf-8", "surrogatepass"))
        if not self._is_working:
            self._flush()

    def began(self) -> None:
        """Take in that a command of this connection begins to run."""
        self._open_commands += 1

    def ended(self) -> None:
        """Take in that a command of this connection has ended."""
        self._open_commands -= 1
        self._end_if_idle()

    @property
    def open_commands(self) -> int:
        """Its commands that have not ended."""
        return self._open_commands

    def close(self) -> None:
        """Close the connection after the waiting replies are sent."""
        self._flush()
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.host = str(peer[0]) if peer else ""
        self._door.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._input.clear()
        self._output.clear()
        if self._timer:
            self._timer.cancel()
        self._door.left(self)

    def data_received(self, data: bytes) -> None:
        self._input += data
        if not self._is_working:
            self._work()

    def eof_received(self) -> bool:
        # For `echo status | nc HOST PORT`: commands from before the end of the input are still answered.
        self._is_ending = True
        self._end_if_idle()
        return True

    def pause_writing(self) -> None:
        self._is_blocked = True
        self._timer = asyncio.get_running_loop().call_later(UNREAD_S, self.abort)
        # A client that does not read its replies gets no further commands accepted, so its output stays bounded.
        if self._transport and not self._is_working:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_blocked = False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self._is_working:
            self._work()

    def _work(self) -> None:
        """Handle some lines, then let other connections get their turn."""
        if self._transport is None or self._is_blocked:
            self._is_working = False
            return
        self._is_working = True
        try:
            more = self._take(AT_ONCE)
        finally:
            self._is_working = False
            self._flush()
        if more and self.is_open:
            self._transport.pause_reading()
            if not self._is_blocked:
                self._is_working = True
                asyncio.get_running_loop().call_soon(self._work)
        elif self._transport and not self._is_blocked:
            self._transport.resume_reading()
            self._end_if_idle()

    def _take(self, most: int) -> bool:
        """Handle at most `most` lines. Returns whether there are more."""
        begin = 0
        for _ in range(most):
            end = self._input.find(b"\n", begin)
            if end < 0:
                break
            line = bytes(self._input[begin:end])
            begin = end + 1
            self._handle(line)
            if self._transport is None:
                return False
        del self._input[:begin]
        if self._input.find(b"\n") >= 0:
            return True
        if len(self._input) > LONGEST_LINE:
            if not self._is_skipping:
                self._is_skipping = True
                self._too_long()
            self._input.clear()
        return False

    def _handle(self, line: bytes) -> None:
        if self._is_skipping:
            self._is_skipping = False
            return
        if len(line) > LONGEST_LINE:
            self._too_long()
            return
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            self._door.wrong_line(self, f"the line is no UTF-8 text: byte {error.start + 1}")
            return
        self._door.line(self, text)

    def _too_long(self) -> None:
        self._door.wrong_line(self, f"the line is longer than {LONGEST_LINE} bytes")

    def _end_if_idle(self) -> None:
        if self._is_ending and self._transport and not (self._is_working or self._is_blocked or self._open_commands):
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        if self._output and self._transport:
            data, self._output = b"".join(self._output), []
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > UNREAD_BYTES:
                self._transport.abort()
