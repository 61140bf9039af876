"""Each figure has the verdict that its target gives, and what is too little to judge by is not judged."""

from __future__ import annotations

import pytest

from countingroom.core.alarms.figures import Figure, PresentFigures, figures, present
from countingroom.core.alarms.floods import SECOND_NS
from countingroom.core.alarms.states import AlarmState, BaseState, Shelf
from countingroom.core.alarms.statistics import DAY_NS, HOUR_NS, AlarmStatistics, CountedRow, StatisticsCounter

NOW_NS = 1_790_000_000_000_000_000


def counted(times_s: list[float], *, hours: float = 24, alarms: int = 1, priority: int = 3) -> AlarmStatistics:
    """Announcements at these times, in turn of so many alarms."""
    counter = StatisticsCounter(NOW_NS, NOW_NS + round(hours * HOUR_NS))
    for number, time_s in enumerate(times_s):
        time_ns = NOW_NS + round(time_s * SECOND_NS)
        name = f"custom.a{number % alarms}"
        counter.add(CountedRow(time_ns, number, name, "", name, "announced", "unacknowledged", priority))
    return counter.result()


def figure(key: str, statistics: AlarmStatistics, now: PresentFigures | None = None, operators: int = 1) -> Figure:
    return next(one for one in figures(statistics, now or PresentFigures(), operators) if one.key == key)


@pytest.mark.parametrize(
    ("a_day", "operators", "verdict"),
    [
        (0, 1, "acceptable"),
        (144, 1, "acceptable"),
        (288, 1, "manageable"),
        (289, 1, "over-demanding"),
        (288, 2, "acceptable"),
    ],
)
def test_the_rate_is_judged_for_each_operator(a_day: int, operators: int, verdict: str) -> None:
    statistics = counted([number * 86_400 / max(1, a_day) for number in range(a_day)])
    for key in ("per_hour", "per_10min"):
        assert figure(key, statistics, operators=operators).verdict == verdict
    assert figure("per_hour", statistics, operators=operators).value == pytest.approx(a_day / 24 / operators)


def test_a_flood_is_counted_with_its_begin_end_and_peak() -> None:
    statistics = counted([1000 + 10 * number for number in range(12)] + [5000])
    (flood,) = statistics.floods
    assert flood.begin_ns == NOW_NS + 1000 * SECOND_NS
    assert flood.end_ns == NOW_NS + (1000 + 10 * 7 + 600) * SECOND_NS  # the fifth last leaves the 10 minutes
    assert (flood.count, flood.peak) == (12, 12)
    assert figure("floods", statistics).value == 1
    assert figure("peak_10min", statistics).verdict == "manageable"
    assert figure("flood_time", statistics).value == pytest.approx(100 * 670 / 86_400)


def test_shares_of_few_alarms_are_not_judged() -> None:
    for key in ("actors", "high"):
        assert figure(key, counted([60.0 * number for number in range(99)])).verdict == "not judged"
    many = counted([60.0 * number for number in range(100)], alarms=100)
    assert figure("actors", many).value == pytest.approx(10)
    assert figure("actors", many).verdict == "manageable"
    assert figure("low", many).value == 100
    assert figure("high", counted([0.0], priority=4)).value is None


def test_the_present_figures_count_what_is_announced() -> None:
    def alarm(name: str, base: BaseState, *, age_ns: int = HOUR_NS, **more: object) -> AlarmState:
        since_ns = NOW_NS - age_ns
        told = {
            "title": name,
            "priority": 2,
            "text": "",
            "occurrence": 1,
            "changed_ns": since_ns,
            "announced_ns": since_ns,
        }
        return AlarmState(id=name, base=base, since_ns=since_ns, **(told | more))  # type: ignore[arg-type]

    shelf = Shelf(by="ben", reason="door", since_ns=NOW_NS, until_ns=NOW_NS + HOUR_NS)
    alarms = [
        alarm("custom.new", BaseState.UNACKNOWLEDGED, area="cooling/chiller"),
        alarm("custom.old", BaseState.ACKNOWLEDGED, age_ns=DAY_NS + 1),
        alarm("custom.day", BaseState.ACKNOWLEDGED, age_ns=DAY_NS),
        alarm("custom.back", BaseState.RETURNED),
        alarm("custom.follows", BaseState.ACKNOWLEDGED, announced_ns=None),
        alarm("custom.shelved", BaseState.UNACKNOWLEDGED, shelf=shelf, age_ns=3 * DAY_NS),
    ]
    found = present(alarms, NOW_NS)
    assert (found.standing, found.stale_count, found.unacknowledged, found.shelved) == (3, 1, 2, 1)
    assert [one.id for one in found.stale] == ["custom.old"]
    assert present(alarms, NOW_NS, "cooling").standing == 1
    assert present(alarms, NOW_NS, "cool").standing == 0
    assert figure("stale", counted([]), PresentFigures(stale_count=5)).verdict == "manageable"
    assert figure("standing", counted([]), PresentFigures(standing=9)).verdict == "acceptable"
