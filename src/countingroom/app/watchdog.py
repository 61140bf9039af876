"""The watchdog of a child process: finds that its event loop does not run any more.

A child writes a line (TICK) in its event loop every TICK_S. The watchdog counts only time in which this process ran
itself: neither a suspended computer nor a stopped or late supervisor makes a child look hung.
"""

from __future__ import annotations

from countingroom.core.clock import Clock

TICK = b'{"tick":true}\n'
TICK_S = 2.0
LOOK_S = 1.0
LATE_S = 10.0
"""A child that does not tick for this time is reported."""
HUNG_S = 20.0
"""A child that does not tick for this time is killed."""
_MOST_S = 1.5
"""What counts of the time between two looks."""


class Watchdog:
    """Counts the time since the last tick of one process. It begins with the first tick: other programs send none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock.monotonic()
        self._ticks = False
        self.silent_s = 0.0
        """Time without a tick, s."""

    def tick(self) -> None:
        """The process has ticked."""
        self._ticks = True
        self.silent_s = 0.0

    def look(self) -> float:
        """Count the time since the last look; the time without a tick, s. Call it every LOOK_S."""
        now = self._clock.monotonic()
        if self._ticks:
            self.silent_s += min(now - self._looked, _MOST_S)
        self._looked = now
        return self.silent_s
