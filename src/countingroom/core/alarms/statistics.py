"""Counts of the alarm history for the figures of EEMUA 191 and IEC 62682: rates, floods, worst actors. Pure.

Rows are added one by one in the order of their times. Memory grows with the number of alarms that have rows, and not
with the number of rows. Only announcements are counted: an alarm that is shelved, suppressed, out of service or follows
from another one is not announced, and is no load for the operator. Times are ns since the epoch.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from countingroom.core.alarms.floods import SECOND_NS, WINDOW_S, Flood, FloodWindow
from countingroom.core.alarms.history import HistoryKind
from countingroom.core.alarms.states import LOWEST_PRIORITY, BaseState

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
BUSY = 10
"""A period of 10 minutes with more announcements is one above the target."""
CHATTER = 3
"""An alarm chatters when it is announced so often within CHATTER_NS."""
CHATTER_NS = MINUTE_NS
FLEETING_NS = 10 * SECOND_NS
"""An alarm that returns so soon, and was not acknowledged, is a fleeting one: there was no time to act on it."""
STALE_NS = DAY_NS
"""An alarm that is active for longer is a stale one."""
MOST_ACTORS = 10
MOST_LISTED = 50
"""Alarms in a list, those with the highest counts."""
MOST_BINS = 366
ACKNOWLEDGE_EDGES_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 28800)
"""Upper ends of the histogram of the times to acknowledge; the last bin has no end."""

_ANNOUNCED = HistoryKind.ANNOUNCED.value
_ANNOUNCEMENTS = frozenset({_ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN.value})
_WAITING = frozenset(base.value for base in BaseState if base.needs_acknowledgement)
_WIDTHS_NS = (HOUR_NS, DAY_NS, 7 * DAY_NS, 28 * DAY_NS)
COUNTED_KINDS = (
    HistoryKind.ANNOUNCED,
    HistoryKind.ANNOUNCED_AGAIN,
    HistoryKind.RETURNED,
    HistoryKind.ACKNOWLEDGED,
    HistoryKind.RESET,
    HistoryKind.SHELVED,
    HistoryKind.SUPPRESSED,
    HistoryKind.OUT_OF_SERVICE,
    HistoryKind.CLOSED,
)
"""Kinds of rows that are counted; others need not be added."""


class CountedRow(NamedTuple):
    """What is needed of a row of the history."""

    time_ns: int
    sequence: int
    alarm: str
    area: str
    title: str
    kind: str
    base: str
    priority: int


class AlarmCount(Struct, frozen=True, kw_only=True):
    """An alarm and how often it did something."""

    id: str
    title: str
    area: str
    priority: int
    """Of its last row."""
    count: int
    share: float = 0.0
    """Of all announcements, 0 to 1."""


class AcknowledgeTimes(Struct, frozen=True, kw_only=True):
    """From the announcement to the acknowledgement, in s, with three significant digits. An alarm that is announced
    again before it is acknowledged counts once, from its first announcement."""

    count: int = 0
    median_s: float | None = None
    within_s: float | None = None
    """90 % were acknowledged within this time."""
    longest_s: float | None = None
    histogram: tuple[int, ...] = (0,) * (len(ACKNOWLEDGE_EDGES_S) + 1)
    """How many took at most each of ACKNOWLEDGE_EDGES_S, and longer."""
    waiting: int = 0
    """Announced in the range, and not acknowledged at its end."""
    without: int = 0
    """Ended without an acknowledgement: none was needed, or the alarm was taken out of the description."""


class RateBin(Struct, frozen=True, kw_only=True):
    """Announcements of one part of the range."""

    begin_ns: int
    """A multiple of the width, in UTC: the first bin may begin before the range."""
    counts: tuple[int, int, int, int]
    """By priority, 1 to 4."""


class AlarmStatistics(Struct, frozen=True, kw_only=True):
    """What happened from `from_ns` until before `to_ns`."""

    from_ns: int
    to_ns: int
    announced: int
    priorities: tuple[int, int, int, int]
    """Announcements by priority, 1 to 4."""
    peak: int
    """The most announcements in 10 minutes."""
    peak_ns: int | None
    """The end of those 10 minutes."""
    busy_periods: int
    """Periods of 10 minutes of the clock with more than 10 announcements."""
    bin_ns: int
    bins: tuple[RateBin, ...]
    """The whole range, also where nothing was announced."""
    flood_count: int
    flood_ns: int
    """Time in floods."""
    floods: tuple[Flood, ...]
    """The largest, in the order of time."""
    actors: tuple[AlarmCount, ...]
    """The ten alarms that were announced most often."""
    actors_share: float
    """Of all announcements, 0 to 1."""
    alarms: int
    """How many different alarms were announced."""
    chattering_count: int
    chattering: tuple[AlarmCount, ...]
    """`count`: announcements that were the third or a later one within a minute."""
    fleeting_count: int
    """How many alarms were fleeting at least once."""
    fleeting: tuple[AlarmCount, ...]
    acknowledged: AcknowledgeTimes
    shelved: int
    """Alarms that were shelved at least once."""
    suppressed: int
    out_of_service: int

    @property
    def per_hour(self) -> float:
        """Announcements per hour."""
        return self.announced * HOUR_NS / (self.to_ns - self.from_ns)

    @property
    def flood_share(self) -> float:
        """Part of the time in floods, 0 to 1."""
        return self.flood_ns / (self.to_ns - self.from_ns)

    @property
    def busy_share(self) -> float:
        """Part of the periods of 10 minutes with more than 10 announcements, 0 to 1."""
        return min(1.0, self.busy_periods * WINDOW_S * SECOND_NS / (self.to_ns - self.from_ns))


class _OfAlarm(Struct, gc=False):
    title: str = ""
    area: str = ""
    priority: int = LOWEST_PRIORITY
    announced: int = 0
    last_ns: int | None = None
    before_ns: int | None = None
    """The announcements before."""
    chattering: int = 0
    fleeting: int = 0
    fresh_ns: int | None = None
    """Announced then, and neither returned nor acknowledged since."""
    waiting_ns: int | None = None
    was_shelved: bool = False
    was_suppressed: bool = False
    was_out_of_service: bool = False


class StatisticsCounter:
    """Takes the rows of a range, and gives its statistics."""

    def __init__(self, from_ns: int, to_ns: int) -> None:
        """`from_ns` is before `to_ns`."""
        self._from_ns = from_ns
        self._to_ns = to_ns
        self._alarms: dict[str, _OfAlarm] = {}
        self._window = FloodWindow()
        self._bin_ns = bin_width_ns(from_ns, to_ns)
        self._bins: dict[int, list[int]] = {}
        self._priorities = [0] * LOWEST_PRIORITY
        self._period = (-1, 0)
        self._busy = 0
        self._times: Counter[float] = Counter()
        self._histogram = [0] * (len(ACKNOWLEDGE_EDGES_S) + 1)
        self._without = 0

    def add(self, row: CountedRow) -> None:
        """One row of the range. Rows come in the order of their times."""
        alarm = self._alarms.get(row.alarm)
        if alarm is None:
            alarm = self._alarms[row.alarm] = _OfAlarm()
        if alarm.title != row.title:
            alarm.title = row.title
        if alarm.area != row.area:
            alarm.area = row.area
        alarm.priority = row.priority
        kind = row.kind
        if kind in _ANNOUNCEMENTS:
            self._announce(alarm, row)
        elif kind == HistoryKind.RETURNED:
            if alarm.fresh_ns is not None and row.time_ns - alarm.fresh_ns <= FLEETING_NS:
                alarm.fleeting += 1
            alarm.fresh_ns = None
        elif kind == HistoryKind.ACKNOWLEDGED:
            alarm.fresh_ns = None
            if alarm.waiting_ns is not None:
                self._acknowledge(row.time_ns - alarm.waiting_ns)
                alarm.waiting_ns = None
        elif kind == HistoryKind.SHELVED:
            alarm.was_shelved = True
        elif kind == HistoryKind.SUPPRESSED:
            alarm.was_suppressed = True
        elif kind == HistoryKind.OUT_OF_SERVICE:
            alarm.was_out_of_service = True
        if alarm.waiting_ns is not None and (row.base not in _WAITING or kind == HistoryKind.CLOSED):
            alarm.waiting_ns = None
            self._without += 1

    def result(self) -> AlarmStatistics:
        """The statistics of the whole range, after its last row."""
        window = self._window
        window.finish(self._to_ns)
        self._close_period(-1)
        announced = sum(self._priorities)
        alarms = self._alarms
        flagged = alarms.values()
        actors = _listed(alarms, "announced", MOST_ACTORS, announced)
        return AlarmStatistics(
            from_ns=self._from_ns,
            to_ns=self._to_ns,
            announced=announced,
            priorities=_four(self._priorities),
            peak=window.peak,
            peak_ns=None if window.peak_s is None else window.peak_s * SECOND_NS,
            busy_periods=self._busy,
            bin_ns=self._bin_ns,
            bins=tuple(self._all_bins()),
            flood_count=window.flood_count,
            flood_ns=min(window.flood_s * SECOND_NS, self._to_ns - self._from_ns),
            floods=tuple(sorted((flood for _, _, flood in window.floods), key=lambda one: one.begin_ns)),
            actors=actors,
            actors_share=sum(one.count for one in actors) / announced if announced else 0.0,
            alarms=sum(one.announced > 0 for one in flagged),
            chattering_count=sum(one.chattering > 0 for one in flagged),
            chattering=_listed(alarms, "chattering", MOST_LISTED, announced),
            fleeting_count=sum(one.fleeting > 0 for one in flagged),
            fleeting=_listed(alarms, "fleeting", MOST_LISTED, announced),
            acknowledged=self._acknowledged(sum(one.waiting_ns is not None for one in flagged)),
            shelved=sum(one.was_shelved for one in flagged),
            suppressed=sum(one.was_suppressed for one in flagged),
            out_of_service=sum(one.was_out_of_service for one in flagged),
        )

    def _announce(self, alarm: _OfAlarm, row: CountedRow) -> None:
        time_ns = row.time_ns
        alarm.announced += 1
        if row.kind == _ANNOUNCED:
            if alarm.before_ns is not None and time_ns - alarm.before_ns <= CHATTER_NS:
                alarm.chattering += 1
            alarm.before_ns = alarm.last_ns
            alarm.last_ns = time_ns
            alarm.fresh_ns = time_ns
        if alarm.waiting_ns is None:
            alarm.waiting_ns = time_ns
        priority = row.priority - 1
        self._priorities[priority] += 1
        counts = self._bins.setdefault(time_ns // self._bin_ns, [0] * LOWEST_PRIORITY)
        counts[priority] += 1
        second = time_ns // SECOND_NS
        self._window.add(second)
        period, count = self._period
        if second // WINDOW_S == period:
            self._period = (period, count + 1)
        else:
            self._close_period(second // WINDOW_S)

    def _close_period(self, following: int) -> None:
        self._busy += self._period[1] > BUSY
        self._period = (following, 1)

    def _acknowledge(self, taken_ns: int) -> None:
        seconds = taken_ns / SECOND_NS
        self._histogram[bisect_left(ACKNOWLEDGE_EDGES_S, seconds)] += 1
        self._times[rounded(seconds)] += 1

    def _acknowledged(self, waiting: int) -> AcknowledgeTimes:
        times = self._times
        return AcknowledgeTimes(
            count=times.total(),
            median_s=_quantile(times, 0.5),
            within_s=_quantile(times, 0.9),
            longest_s=max(times, default=None),
            histogram=tuple(self._histogram),
            waiting=waiting,
            without=self._without,
        )

    def _all_bins(self) -> Iterable[RateBin]:
        for number in range(self._from_ns // self._bin_ns, (self._to_ns - 1) // self._bin_ns + 1):
            counts = _four(self._bins.get(number, [0] * LOWEST_PRIORITY))
            yield RateBin(begin_ns=number * self._bin_ns, counts=counts)


def bin_width_ns(from_ns: int, to_ns: int) -> int:
    """The width of a bar: 10 minutes up to half a day, then an hour, a day or more, so that there are at most
    MOST_BINS."""
    span_ns = to_ns - from_ns
    if span_ns <= 12 * HOUR_NS:
        return 10 * MINUTE_NS
    return next((one for one in _WIDTHS_NS if -(-span_ns // one) <= MOST_BINS), -(-span_ns // MOST_BINS))


def rounded(seconds: float) -> float:
    """The time with three significant digits: of any number of times only some thousands are different."""
    return float(f"{seconds:.3g}")


def _quantile(times: Counter[float], share: float) -> float | None:
    """The shortest time within which this share of all is done; None: there are none."""
    needed = math.ceil(times.total() * share)
    done = 0
    for seconds in sorted(times):
        done += times[seconds]
        if done >= needed:
            return seconds
    return None


def _listed(alarms: dict[str, _OfAlarm], what: str, most: int, announced: int) -> tuple[AlarmCount, ...]:
    """The alarms with the highest counts, highest first, then by identity."""
    counted = ((-getattr(one, what), name) for name, one in alarms.items() if getattr(one, what))
    found = heapq.nsmallest(most, counted)
    return tuple(
        AlarmCount(
            id=name,
            title=alarms[name].title,
            area=alarms[name].area,
            priority=alarms[name].priority,
            count=-count,
            share=-count / announced,
        )
        for count, name in found
    )


def _four(counts: list[int]) -> tuple[int, int, int, int]:
    high, medium, low, information = counts
    return high, medium, low, information
