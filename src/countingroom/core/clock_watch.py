"""Finds steps of the wall clock, and differences between the clocks of computers."""

from __future__ import annotations

from msgspec import Struct

STEP_S = 1.0
"""A change of the wall clock against the monotonic clock that counts as a step. Slewing by NTP stays far below it."""
DIFFERENCE_S = 2.0
"""A difference of two clocks that is told."""
_SETTLED_S = 3.0
"""A late message looks like a clock that is behind, so the least delay of the messages within this time counts."""


class StepWatch:
    """Compares the wall clock with the monotonic clock."""

    def __init__(self, wall_ns: int, monotonic_s: float) -> None:
        self._offset_s = wall_ns / 1e9 - monotonic_s

    def look(self, wall_ns: int, monotonic_s: float) -> float:
        """By how many seconds the wall clock has been set since the last call; 0: it was not set."""
        offset_s = wall_ns / 1e9 - monotonic_s
        step_s = offset_s - self._offset_s
        self._offset_s = offset_s
        return step_s if abs(step_s) >= STEP_S else 0.0


class _Heard(Struct):
    since_s: float
    ahead_s: float


class ClockDifferences:
    """How far the clocks of other computers are from the one of this computer, from the times in their heartbeats."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self._told: dict[str, float] = {}

    @property
    def present(self) -> dict[str, float]:
        """Computer -> seconds by which its clock is ahead, negative: behind; only those that differ."""
        return dict(self._told)

    def heard(self, host: str, sent_ns: int, now_ns: int, now_s: float) -> float | None:
        """Evaluate a message. The difference when one has begun or ended (0) with it, otherwise None."""
        ahead_s = (sent_ns - now_ns) / 1e9
        known = self._heard.setdefault(host, _Heard(now_s, ahead_s))
        known.ahead_s = max(known.ahead_s, ahead_s)
        if now_s - known.since_s < _SETTLED_S:
            return None
        self._heard[host] = _Heard(now_s, ahead_s)
        differs = abs(known.ahead_s) >= DIFFERENCE_S
        if differs == (host in self._told):
            return None
        if differs:
            self._told[host] = known.ahead_s
        else:
            del self._told[host]
        return known.ahead_s if differs else 0.0


def difference(host: str, ahead_s: float) -> str:
    """A difference as a sentence."""
    if not ahead_s:
        return f"the clock of {host} agrees with the one of this computer again"
    where = "ahead of" if ahead_s > 0 else "behind"
    return f"the clock of {host} is {abs(ahead_s):.1f} s {where} the one of this computer"
