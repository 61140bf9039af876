"""Limits the events about refusals: a client that repeats a mistake each second must not fill the events. Pure."""

from __future__ import annotations

EVENT_S = 10.0
"""Between two events of one kind and code."""
ERRORS_PER_S = 20
"""Messages about refusals in a second; further ones are dropped."""


class RefusalReports:
    """Counts the reported refusals."""

    def __init__(self) -> None:
        self._told_s: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}
        self._second = 0
        self._in_second = 0

    def event(self, kind: str, code: str, now_s: float) -> int | None:
        """None if this refusal gets no event; otherwise the number of similar refusals without an event before it.

        Kinds and codes are words of this program, so there are few."""
        key = kind, code
        if now_s - self._told_s.get(key, float("-inf")) < EVENT_S:
            self._untold[key] = self._untold.get(key, 0) + 1
            return None
        self._told_s[key] = now_s
        return self._untold.pop(key, 0)

    def message(self, now_s: float) -> bool:
        """Whether a message on an error topic may be published."""
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._in_second = 0
        self._in_second += 1
        return self._in_second <= ERRORS_PER_S
