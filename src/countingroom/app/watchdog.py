"""The watchdog of a child process: finds that its event loop does not run any more.

A child writes a line (TICK) in its event loop every TICK_S. The watchdog counts only time in which this process ran
itself: neither a suspended computer nor a stopped or late supervisor makes a child look hung.

Silence alone is weak evidence: on a machine with 25 processes for each processor a healthy child is silent for many
seconds. So a child that is only silent is killed after HUNG_S. The kernel (core/process_activity.py) shows for how much
of that time the child hung: it was stopped, or its event loop used the processor without a tick. After PROVEN_HUNG_S of
such time it is killed. Time in which it waits for a processor or for a disk does not count as hung.
"""

from __future__ import annotations

from countingroom.core.clock import Clock
from countingroom.core.process_activity import ASLEEP, STOPPED, ProcessActivity

TICK = b'{"tick":true}\n'
TICK_S = 2.0
LOOK_S = 1.0
LATE_S = 10.0
"""A child that does not tick for this time is reported."""
HUNG_S = 20.0
"""A child that does not tick for this time is killed."""
PROVEN_LATE_S = 3.0
"""A child that hung for this time is reported."""
PROVEN_HUNG_S = 8.0
"""A child that hung for this time is killed. A process may be stopped for a moment, by a debugger for example; the
drill stops each for 5 s."""
_MOST_S = 1.5
"""What counts of the time between two looks."""
_ASLEEP_WEIGHT = 0.5
"""What counts of the time in which it slept. A call that blocks the event loop, the look-up of a host name for example,
is a fault of its driver, but ends by itself after 10 s; that must not restart the devices beside it."""
_BUSY_WEIGHT = 0.8
"""What counts of its CPU time. A long computation in the event loop ends by itself, too: it gets 10 s of CPU time."""


class Watchdog:
    """Counts the time since the last tick of one process. It begins with the first tick: other programs send none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock.monotonic()
        self._ticks = False
        self._before: ProcessActivity | None = None
        """The last look since the last tick."""
        self.silent_s = 0.0
        """Time without a tick, s."""
        self.proven_s = 0.0
        """The part of it in which the process hung, s."""

    def tick(self) -> None:
        """The process has ticked."""
        self._ticks = True
        self._before = None
        self.silent_s = 0.0
        self.proven_s = 0.0

    def look(self, activity: ProcessActivity | None = None) -> None:
        """Count the time since the last look. Call it every LOOK_S, with what the kernel tells of the process now."""
        now = self._clock.monotonic()
        elapsed_s = min(now - self._looked, _MOST_S)
        self._looked = now
        if not self._ticks:
            return
        self.silent_s += elapsed_s
        if activity and self._before:
            self.proven_s += _hung_s(self._before, activity, elapsed_s)
        self._before = activity

    @property
    def is_late(self) -> bool:
        """Whether it must be reported."""
        return self.silent_s >= LATE_S or self.proven_s >= PROVEN_LATE_S

    @property
    def is_hung(self) -> bool:
        """Whether it must be killed."""
        return self.silent_s >= HUNG_S or self.proven_s >= PROVEN_HUNG_S


def _hung_s(before: ProcessActivity, after: ProcessActivity, elapsed_s: float) -> float:
    """The part of the time between two looks, without a tick, in which the process hung."""
    if before.state == after.state == STOPPED:
        return elapsed_s
    is_idle = after.process_s == before.process_s  # otherwise another thread may hold the interpreter lock (GIL)
    if before.state == after.state == ASLEEP and is_idle:
        return elapsed_s * _ASLEEP_WEIGHT
    return min(max(after.thread_s - before.thread_s, 0.0), elapsed_s) * _BUSY_WEIGHT
