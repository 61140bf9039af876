"""How often the state of a channel, or a link, may move. A sensor board that sends a value and nonsense in turn, or
that it is there and not, has no event for each: they would push those of others out of the store. Pure."""

from __future__ import annotations

AT_ONCE = 20
"""Moves that are told at once, after a quiet time."""
EVERY_S = 1.0
"""Beyond, there is one move in such a time."""


class MoveLimit:
    """The moves of the channels of one device; of its link, under the empty name."""

    def __init__(self) -> None:
        self._free_s: dict[str, float] = {}

    def may_move(self, channel: str, now_s: float) -> bool:
        """Whether the state may move now; `now_s`: monotonic."""
        return self._free_s.get(channel, now_s) <= now_s + (AT_ONCE - 1) * EVERY_S

    def moved(self, channel: str, now_s: float) -> None:
        """Count a move."""
        self._free_s[channel] = max(self._free_s.get(channel, now_s), now_s) + EVERY_S
