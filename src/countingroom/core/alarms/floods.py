"""Alarm floods by ISA-18.2: 10 announcements or more in 10 minutes, until there are fewer than 5. Pure.

Announcements are counted in whole seconds, so that memory does not grow with their number.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

from msgspec import Struct

SECOND_NS = 1_000_000_000
WINDOW_S = 600
"""Rates and floods are counted over 10 minutes."""
FLOOD_BEGINS = 10
"""Announcements in 10 minutes with which a flood begins."""
FLOOD_ENDS = 5
"""It ends when there are fewer than these in 10 minutes."""
MOST_FLOODS = 100
"""Floods that are listed: the largest ones. All are counted."""


class Flood(Struct, frozen=True, kw_only=True):
    """Announcements came too fast to be dealt with: 10 in 10 minutes, until there were fewer than 5."""

    begin_ns: int
    end_ns: int | None
    """None: it goes on at the end of the range."""
    count: int
    peak: int
    """The most in 10 minutes."""


class FloodWindow:
    """The announcements of the last 10 minutes, in whole seconds, and the floods that they make."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()
        self._sum = 0
        self.peak = 0
        self.peak_s: int | None = None
        self._begin_s: int | None = None
        self._count = 0
        self._flood_peak = 0
        self._ended_s: int | None = None
        self.floods: list[tuple[int, int, Flood]] = []
        """The largest, as a heap."""
        self.flood_count = 0
        self.flood_s = 0

    @property
    def sum(self) -> int:
        """Announcements in the 10 minutes before the last `add` or `advance`."""
        return self._sum

    @property
    def is_flood(self) -> bool:
        """Whether a flood goes on."""
        return self._begin_s is not None

    def add(self, second: int) -> None:
        """One announcement; seconds never fall."""
        self.advance(second)
        seconds = self._seconds
        if seconds and seconds[-1][0] == second:
            seconds[-1][1] += 1
        else:
            seconds.append([second, 1])
        self._sum += 1
        if self._sum > self.peak:
            self.peak = self._sum
            self.peak_s = second
        if self._begin_s is not None:
            self._count += 1
            self._flood_peak = max(self._flood_peak, self._sum)
        elif self._sum >= FLOOD_BEGINS:
            # Announcements that belong to the flood before are not counted twice.
            fresh = [one for one in seconds if self._ended_s is None or one[0] >= self._ended_s]
            self._begin_s = fresh[0][0]
            self._count = sum(count for _, count in fresh)
            self._flood_peak = self._sum

    def advance(self, second: int) -> None:
        """Forget what is older than 10 minutes at this second."""
        seconds = self._seconds
        while seconds and seconds[0][0] <= second - WINDOW_S:
            old_s, count = seconds.popleft()
            self._sum -= count
            if self._begin_s is not None and self._sum < FLOOD_ENDS:
                self._end(old_s + WINDOW_S)

    def finish(self, to_ns: int) -> None:
        """The range ends here; a flood may go on."""
        self.advance(math.ceil(to_ns / SECOND_NS))
        if self._begin_s is not None:
            self._keep(to_ns, None)

    def _end(self, second: int) -> None:
        self._keep(second * SECOND_NS, second * SECOND_NS)
        self._ended_s = second
        self._begin_s = None

    def _keep(self, until_ns: int, end_ns: int | None) -> None:
        begin_ns = (self._begin_s or 0) * SECOND_NS
        flood = Flood(begin_ns=begin_ns, end_ns=end_ns, count=self._count, peak=self._flood_peak)
        self.flood_count += 1
        self.flood_s += (until_ns - begin_ns) // SECOND_NS
        heapq.heappush(self.floods, (flood.count, -begin_ns, flood))
        if len(self.floods) > MOST_FLOODS:
            heapq.heappop(self.floods)
