"""Collects the bytes of a line and splits them into answers."""

from __future__ import annotations

import asyncio
import re

from countingroom.core.errors import LinkError

ANY_LINE_END = b""
"""As a terminator: CR, LF, CR LF or LF CR, whichever the device uses."""

_MOST_BUFFERED = 1 << 16
_LINE_END = re.compile(rb"\r\n|\n\r|\r|\n")
_PARTNER = {b"\r": b"\n", b"\n": b"\r"}


class Receiver(asyncio.Protocol):
    """Collects received bytes, up to a bound."""

    def __init__(self) -> None:
        self.lost = ""
        """Why the connection was lost; empty while it is up."""
        self.has_answered = False
        """Whether a complete answer was ever received."""
        self._buffer = bytearray()
        self._skip = b""
        """The second half of a line end whose first half ended the last answer; it may still arrive."""
        self._news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if len(self._buffer) + len(data) > _MOST_BUFFERED:
            self._buffer.clear()
        self._buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = str(exc or "closed by the other side")
        self._news.set()

    def arrived(self, terminator: bytes) -> bytes | None:
        """The next answer without its terminator; None until it is complete."""
        answer = self._until_any_end() if terminator == ANY_LINE_END else self._until(terminator)
        self.has_answered = self.has_answered or answer is not None
        return answer

    async def line(self, terminator: bytes) -> bytes:
        """Wait for the next answer."""
        while (answer := self.arrived(terminator)) is None:
            if self.lost:
                raise LinkError(self.lost)
            self._news.clear()
            await self._news.wait()
        return answer

    def _until(self, terminator: bytes) -> bytes | None:
        end = self._buffer.find(terminator)
        return None if end < 0 else self._take(end, end + len(terminator))

    def _until_any_end(self) -> bytes | None:
        if self._skip and self._buffer:
            if self._buffer.startswith(self._skip):
                del self._buffer[:1]
            self._skip = b""
        found = _LINE_END.search(self._buffer)
        if found is None:
            return None
        # An empty line is an answer too, so the second half of a line end must not become one when it comes later.
        if found.end() == len(self._buffer):
            self._skip = _PARTNER.get(found[0], b"")
        return self._take(found.start(), found.end())

    def _take(self, end: int, after: int) -> bytes:
        answer = bytes(self._buffer[:end])
        del self._buffer[:after]
        return answer
