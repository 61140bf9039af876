"""The clocks of the senders of commands: how far they are from the one here, and commands that were long under way.

A wrong clock must not refuse a command, so a command is judged by the time that passes here since it came. But a
command that waited in a frozen process must not begin late either. Both look alike in one message; the earlier messages
of the sender tell them apart. Pure.
"""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.clock_watch import DIFFERENCE_S, difference

SENDERS = 256
"""Senders that are remembered; the oldest is forgotten first."""
DOUBT_S = 3.0
"""Messages that a frozen process finds waiting come together. A clock that was set back stays so for longer."""


class _Known(Struct):
    ahead_s: float
    doubted_s: float | None = None
    """Since when messages seem to be late."""
    told: bool = False


class Judgement(Struct, frozen=True, kw_only=True):
    """What the times of one command say."""

    late_s: float = 0.0
    """So long it was under way, as far as the earlier messages of its sender show."""
    difference: str = ""
    """A sentence when the clock of the sender is found to differ, or to agree again; else empty."""


class SenderClocks:
    """The clocks of the senders of one receiver."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def heard(self, sender: str, ahead_s: float, now_s: float) -> Judgement:
        """Judge a command that was sent when the clock of its sender was `ahead_s` ahead of the time of its receipt;
        `now_s`: monotonic."""
        known = self._known.get(sender)
        if known is None:
            if len(self._known) >= SENDERS:
                del self._known[next(iter(self._known))]
            known = self._known[sender] = _Known(ahead_s)
        late_s = max(0.0, known.ahead_s - ahead_s)
        if late_s >= DIFFERENCE_S:
            known.doubted_s = now_s if known.doubted_s is None else known.doubted_s
            if now_s - known.doubted_s <= DOUBT_S:
                return Judgement(late_s=late_s)
        known.ahead_s = ahead_s
        known.doubted_s = None
        differs = abs(ahead_s) >= DIFFERENCE_S
        if differs == known.told:
            return Judgement()
        known.told = differs
        return Judgement(difference=difference(sender, ahead_s if differs else 0.0))
