"""The statistics of random alarm histories agree with a plain model that looks at all rows at once."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.alarms.floods import SECOND_NS
from countingroom.core.alarms.history import HistoryKind
from countingroom.core.alarms.states import BaseState
from countingroom.core.alarms.statistics import (
    ACKNOWLEDGE_EDGES_S,
    AlarmStatistics,
    CountedRow,
    StatisticsCounter,
    bin_width_ns,
    rounded,
)
from tests.examples import examples

FROM_NS = 1_790_000_000_000_000_000 + 123_456_789
ANNOUNCEMENTS = ("announced", "announced_again")
KINDS = [kind.value for kind in HistoryKind]
LIKELY = ["announced"] * 4 + ["returned", "acknowledged", "announced_again", "shelved"]


def row(time_ns: int, alarm: str, kind: str, base: str, priority: int) -> CountedRow:
    return CountedRow(time_ns, 0, alarm, "area", alarm.upper(), kind, base, priority)


STEPS = st.one_of(st.integers(0, 5 * SECOND_NS), st.integers(0, 90 * SECOND_NS), st.sampled_from([0, 600 * SECOND_NS]))
LENGTHS, ALARMS, PRIORITIES = st.integers(0, 60), st.sampled_from("abc"), st.integers(1, 4)
LIKELY_KINDS, ALL_KINDS, OF_TEN = st.sampled_from(LIKELY), st.sampled_from(KINDS), st.integers(0, 9)
BASES = st.sampled_from([base.value for base in BaseState])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[CountedRow], int]:
    """Rows in bursts and pauses, and the end of the range."""
    time_ns = FROM_NS
    rows: list[CountedRow] = []
    for _ in range(draw(LENGTHS)):
        time_ns += draw(STEPS)
        kinds = LIKELY_KINDS if draw(OF_TEN) else ALL_KINDS
        rows.append(row(time_ns, draw(ALARMS), draw(kinds), draw(BASES), draw(PRIORITIES)))
    return rows, time_ns + draw(st.integers(1, 3600 * SECOND_NS))


def count(rows: Sequence[CountedRow], to_ns: int) -> AlarmStatistics:
    counter = StatisticsCounter(FROM_NS, to_ns)
    for one in rows:
        counter.add(one)
    return counter.result()


def told(rows: Sequence[CountedRow]) -> list[CountedRow]:
    return [one for one in rows if one.kind in ANNOUNCEMENTS]


def of(rows: Sequence[CountedRow], alarm: str) -> list[CountedRow]:
    return [one for one in rows if one.alarm == alarm]


@given(histories())
def test_announcements_are_counted_by_priority_bin_and_period(history: tuple[list[CountedRow], int]) -> None:
    rows, to_ns = history
    found = count(rows, to_ns)
    announced = told(rows)
    assert found.announced == len(announced)
    assert found.priorities == tuple(sum(one.priority == priority for one in announced) for priority in range(1, 5))
    width = bin_width_ns(FROM_NS, to_ns)
    assert found.bins[0].begin_ns <= FROM_NS < found.bins[0].begin_ns + width
    assert all(one.begin_ns % width == 0 for one in found.bins)
    assert found.bins[-1].begin_ns < to_ns <= found.bins[-1].begin_ns + width
    for one in found.bins:
        inside = [row_ for row_ in announced if one.begin_ns <= row_.time_ns < one.begin_ns + width]
        assert one.counts == tuple(sum(row_.priority == priority for row_ in inside) for priority in range(1, 5))
    periods = Counter(one.time_ns // (600 * SECOND_NS) for one in announced)
    assert found.busy_periods == sum(number > 10 for number in periods.values())
    numbers = Counter(one.alarm for one in announced)
    ranked = sorted(numbers.items(), key=lambda one: (-one[1], one[0]))
    assert [(one.id, one.count) for one in found.actors] == ranked
    assert found.alarms == len(numbers)


@settings(max_examples=examples(60, part=2))
@given(histories())
def test_floods_are_those_of_a_look_at_every_second(history: tuple[list[CountedRow], int]) -> None:
    rows, to_ns = history
    seconds = [one.time_ns // SECOND_NS for one in told(rows)]
    expected: list[tuple[int, int | None, int, int]] = []
    begin, number, peak, ended = None, 0, 0, -1
    highest = 0
    for now in range(FROM_NS // SECOND_NS, math.ceil(to_ns / SECOND_NS) + 1):
        window = [one for one in seconds if now - 600 < one <= now]
        before = sum(one < now for one in window)
        highest = max(highest, len(window))
        if begin is not None and before < 5:
            expected.append((begin, now, number, peak))
            begin, ended = None, now
        if begin is not None:
            number += window.count(now)
            peak = max(peak, len(window))
        elif len(window) >= 10 and window.count(now):
            fresh = [one for one in window if one >= ended]
            begin, number, peak = min(fresh), len(fresh), len(window)
    if begin is not None:
        expected.append((begin, None, number, peak))
    found = count(rows, to_ns)
    assert found.peak == highest
    shown = [
        (one.begin_ns // SECOND_NS, one.end_ns and one.end_ns // SECOND_NS, one.count, one.peak) for one in found.floods
    ]
    assert shown == expected
    assert found.flood_count == len(expected)


@given(histories())
def test_chattering_and_fleeting_alarms_are_those_of_the_times_of_each(history: tuple[list[CountedRow], int]) -> None:
    rows, to_ns = history
    found = count(rows, to_ns)
    chattering, fleeting = Counter[str](), Counter[str]()
    for alarm in "abc":
        times = [one.time_ns for one in of(rows, alarm) if one.kind == "announced"]
        chattering[alarm] = sum(third - first <= 60 * SECOND_NS for first, third in zip(times, times[2:], strict=False))
        deciding = [one for one in of(rows, alarm) if one.kind in ("announced", "returned", "acknowledged")]
        fleeting[alarm] = sum(
            (first.kind, second.kind) == ("announced", "returned") and second.time_ns - first.time_ns <= 10 * SECOND_NS
            for first, second in itertools.pairwise(deciding)
        )
    assert {one.id: one.count for one in found.chattering} == dict(+chattering)
    assert {one.id: one.count for one in found.fleeting} == dict(+fleeting)
    assert (found.chattering_count, found.fleeting_count) == (len(+chattering), len(+fleeting))


@given(histories())
def test_times_to_acknowledge_are_those_from_the_first_announcement(history: tuple[list[CountedRow], int]) -> None:
    rows, to_ns = history
    taken: list[int] = []
    without = waiting = 0
    for alarm in "abc":
        part: list[CountedRow] = []
        for one in of(rows, alarm):
            part.append(one)
            is_end = one.kind in ("acknowledged", "closed") or not BaseState(one.base).needs_acknowledgement
            if not is_end:
                continue
            if begins := told(part):
                if one.kind == "acknowledged":
                    taken.append(one.time_ns - begins[0].time_ns)
                else:
                    without += 1
            part = []
        waiting += bool(told(part))
    found = count(rows, to_ns).acknowledged
    assert (found.count, found.without, found.waiting) == (len(taken), without, waiting)
    times = sorted(rounded(one / SECOND_NS) for one in taken)
    if times:
        assert found.median_s == times[math.ceil(len(times) * 0.5) - 1]
        assert found.within_s == times[math.ceil(len(times) * 0.9) - 1]
        assert found.longest_s == times[-1]
    edges = (*ACKNOWLEDGE_EDGES_S, math.inf)
    bins = [sum(low < one / SECOND_NS <= high for one in taken) for low, high in zip((-1, *edges), edges, strict=False)]
    assert list(found.histogram) == bins


def test_an_alarm_is_listed_with_its_last_title_area_and_priority() -> None:
    rows = [
        CountedRow(FROM_NS, 1, "a", "hall", "Too warm", "announced", "unacknowledged", 1),
        CountedRow(FROM_NS + 1, 2, "a", "cooling", "Water too warm", "announced_again", "unacknowledged", 2),
        CountedRow(FROM_NS + 2, 3, "a", "cooling", "Water too warm", "announced_again", "unacknowledged", 3),
    ]
    (actor,) = count(rows, FROM_NS + SECOND_NS).actors
    assert (actor.title, actor.area, actor.priority, actor.count) == ("Water too warm", "cooling", 3, 3)
