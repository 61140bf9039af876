"""Limits the lines of an output for each second. Pure.

What is too much is dropped and counted, and the last lines before the end are always kept: they say why a program
failed. Dropping costs far less than keeping, so a program that writes without pause is not held up by its reader.
"""

from __future__ import annotations

LINES_PER_S = 200
_WINDOW_S = 1.0
_LAST = 5
"""Last lines that are kept although they are too many."""
LONGEST = 1 << 16
"""Bytes of a line; the rest of a longer one is dropped."""


class LineLimit:
    """The limit of one output."""

    def __init__(self, per_s: int = LINES_PER_S) -> None:
        self._per_s = per_s
        self._window_s = float("-inf")
        self._passed = 0
        self._partial = b""
        self._dropped = 0
        self._last: list[bytes] = []

    def take(self, data: bytes, now_s: float) -> list[bytes]:
        """The complete lines to keep of what was read now, without their ends. `now_s`: monotonic time."""
        told: list[bytes] = []
        if now_s - self._window_s >= _WINDOW_S:
            told = self._summary()
            self._window_s = now_s
            self._passed = 0
        text = self._partial + data
        end = text.rfind(b"\n") + 1
        self._partial = text[end : end + LONGEST]
        count = text.count(b"\n", 0, end)
        room = self._per_s - self._passed
        if count <= room:
            lines = text[:end].split(b"\n")[:-1]
        else:
            *lines, rest = text[:end].split(b"\n", room)
            self._dropped += count - room
            self._last = [*self._last, *rest[-LONGEST:].splitlines()[-_LAST:]][-_LAST:]
        self._passed += len(lines)
        return [*told, *(line[:LONGEST] for line in lines)]

    def rest(self) -> list[bytes]:
        """The last lines, at the end of the output."""
        partial, self._partial = self._partial, b""
        return [*self._summary(), *([partial] if partial else [])]

    def _summary(self) -> list[bytes]:
        """How many lines were dropped, and the last of them."""
        last, self._last = self._last, []
        dropped, self._dropped = self._dropped - len(last), 0
        if dropped > 0:
            told = f"... {dropped} lines were dropped here: there were more than {self._per_s} in a second"
            return [told.encode(), *last]
        return last
