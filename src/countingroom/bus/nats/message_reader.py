"""Takes the messages of a connection to NATS out of what comes, at once. All other lines are left to nats-py.

nats-py reads in a task that is woken for each piece, and looks for each line by a regular expression. That was a third
of what a message cost its receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

Receive = Callable[[int, bytes, bytes, bytes, bytes], bool]
"""Gets number of the subscription, subject, reply subject, headers and data of a message. False: it is not taken."""

_LARGE = 1 << 16
"""The beginning of a larger message is left to nats-py, whose buffer grows without copying it for each piece."""


class MessageReader(asyncio.StreamReader):
    """The reader of a connection. With `receive` set, it gives each whole message to it."""

    receive: Receive | None = None
    """None: all is left to nats-py, as during the handshake."""
    is_free: Callable[[], bool] = staticmethod(lambda: True)
    """Whether nats-py has handled all that was left to it."""
    _begun = b""
    """The beginning of a message."""
    _buffer: bytearray

    def feed_data(self, data: bytes) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Take what has come."""
        if self.receive is None or self._buffer or not self.is_free():
            super().feed_data(data)
            return
        data, self._begun = self._begun + data, b""
        end, is_begun = self._take(data, self.receive)
        if end == len(data):
            return
        if is_begun and len(data) - end < _LARGE:
            self._begun = data[end:]
        else:
            super().feed_data(data[end:])

    def feed_eof(self) -> None:
        """Take in that nothing more comes."""
        if self._begun:
            super().feed_data(self._begun)
            self._begun = b""
        super().feed_eof()

    @staticmethod
    def _take(data: bytes, receive: Receive) -> tuple[int, bool]:
        """Take whole messages from the beginning; returns where the rest begins, and whether it is a message that has
        not come as a whole. One that came and is not taken must not wait for more: all that follows would wait too."""
        at = 0
        while True:
            has_headers = data.startswith(b"HMSG ", at)
            if not has_headers and not data.startswith(b"MSG ", at):
                return at, False
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                return at, True
            # MSG subject number [reply] size, HMSG subject number [reply] size-of-headers size
            fields = data[at:line_end].split()
            has_reply = len(fields) == (6 if has_headers else 5)
            begin = line_end + 2
            end = begin + int(fields[-1])
            if len(data) < end + 2:
                return at, True
            head = begin + int(fields[-2]) if has_headers else begin
            reply = fields[3] if has_reply else b""
            if not receive(int(fields[2]), fields[1], reply, data[begin:head], data[head:end]):
                return at, False
            at = end + 2
