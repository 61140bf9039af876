"""Filters of a series of values: median, moving average, exponential smoothing. Pure but for what they remember.

A value that is missing empties the filter: what comes out never rests on values from before a gap. The quality is the
worst of the values in the window; of the exponential filter, that of the last one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from enum import StrEnum

from msgspec import Struct

from countingroom.core.times import duration
from countingroom.core.values import Quality

MOST_VALUES = 10_000
"""In one window; of a window of time that would have more, the newest so many."""


class FilterKind(StrEnum):
    """How values are smoothed."""

    MEDIAN = "median"
    MEAN = "mean"
    EXPONENTIAL = "exponential"


class FilterSpec(Struct, frozen=True, kw_only=True):
    """A filter: over the last `count` values, or over those of the last `over_s` seconds."""

    kind: FilterKind
    count: int = 0
    """0: by time."""
    over_s: float = 0.0
    """Of the exponential filter, its time constant."""

    @property
    def text(self) -> str:
        """For people: `median of the last 5 values`."""
        if self.kind is FilterKind.EXPONENTIAL:
            return f"exponential, time constant {duration(self.over_s)}"
        return f"{self.kind} of the last {f'{self.count} values' if self.count else duration(self.over_s)}"


class Filter:
    """The filter of one point."""

    def __init__(self, spec: FilterSpec) -> None:
        self._spec = spec
        self._window: deque[tuple[float, Quality, int]] = deque()
        """(value, quality, time), the oldest first."""
        self._sorted: list[float] = []
        """The values of the window in order, for the median."""
        self._uncertain = 0

    def reset(self) -> None:
        """Forget everything."""
        self._window.clear()
        self._sorted.clear()
        self._uncertain = 0

    def take(self, value: float, quality: Quality, time_ns: int) -> tuple[float, Quality]:
        """Take in a finite value that is GOOD or UNCERTAIN; the filtered one."""
        if self._spec.kind is FilterKind.EXPONENTIAL:
            return self._smooth(value, time_ns), quality
        self._window.append((value, quality, time_ns))
        self._uncertain += quality is not Quality.GOOD
        if self._spec.kind is FilterKind.MEDIAN:
            insort(self._sorted, value)
        self._drop_old(time_ns)
        return self._of_window(), Quality.UNCERTAIN if self._uncertain else Quality.GOOD

    def _smooth(self, value: float, time_ns: int) -> float:
        if self._window:
            before, _, before_ns = self._window.pop()
            passed_s = max(0, time_ns - before_ns) / 1e9
            # Without `value - before`, which can overflow.
            kept = math.exp(-passed_s / self._spec.over_s)
            value = before * kept + value * (1.0 - kept)
        self._window.append((value, Quality.GOOD, time_ns))
        return value

    def _drop_old(self, now_ns: int) -> None:
        window, most, span_ns = self._window, self._spec.count or MOST_VALUES, self._spec.over_s * 1e9
        while len(window) > 1:
            # A time after now was given before the clock was set back.
            is_old = not self._spec.count and not 0 <= now_ns - window[0][2] < span_ns
            if len(window) <= most and not is_old:
                return
            value, quality, _ = window.popleft()
            self._uncertain -= quality is not Quality.GOOD
            if self._sorted:
                del self._sorted[bisect_left(self._sorted, value)]

    def _of_window(self) -> float:
        if self._spec.kind is FilterKind.MEAN:
            values = [value for value, _, _ in self._window]
            # Halves, because the sum of the largest numbers is beyond them by a rounding.
            mean = 2 * math.fsum(value / len(values) / 2 for value in values)
            return min(max(mean, min(values)), max(values))
        middle, is_odd = divmod(len(self._sorted), 2)
        if is_odd:
            return self._sorted[middle]
        return self._sorted[middle - 1] / 2 + self._sorted[middle] / 2
