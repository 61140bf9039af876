"""Notices that the wall clock of the machine was set back, so that periods in wall time do not last longer."""

from __future__ import annotations

from countingroom.core.clock import Clock, monotonic_ns

LEAST_NS = 1_000_000_000
"""A smaller step is a correction by the time service, and is ignored."""


class SetBackWatch:
    """Compares the wall clock with the monotonic time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_ns = clock.now_ns()
        self._monotonic_ns = monotonic_ns(clock)

    def by_ns(self) -> int:
        """The step in ns by which the wall clock was set back since the last call; 0 if it was not."""
        wall_ns, time_ns = self._clock.now_ns(), monotonic_ns(self._clock)
        behind_ns = self._wall_ns + time_ns - self._monotonic_ns - wall_ns
        self._wall_ns = wall_ns
        self._monotonic_ns = time_ns
        return behind_ns if behind_ns >= LEAST_NS else 0
