"""Alarms are chosen, folded and counted from the published states alone; the argument of their commands names many."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.console.present import alarm_views
from countingroom.console.present.alarm_views import AlarmChoice, AlarmFilter
from countingroom.core.alarms.states import AlarmState, BaseState, OutOfService, Shelf
from countingroom.core.commands.alarms import MOST_ALARMS, listed, named
from countingroom.core.errors import OutOfRange

SHELF = Shelf(by="ben", reason="door open", since_ns=1, until_ns=9)


def alarm(name: str, **more: Any) -> AlarmState:
    told: dict[str, Any] = {
        "title": name,
        "base": BaseState.UNACKNOWLEDGED,
        "priority": 2,
        "text": f"{name} is too high",
        "occurrence": 1,
        "since_ns": 100,
        "changed_ns": 100,
    }
    return AlarmState(id=name, **(told | more))


def published(*alarms: AlarmState) -> dict[str, AlarmState]:
    return {one.id: one for one in alarms}


def test_the_list_is_by_priority_then_newest_first() -> None:
    alarms = [
        alarm("old", since_ns=1),
        alarm("urgent", priority=1, since_ns=0),
        alarm("new", since_ns=5),
        alarm("low", priority=3, since_ns=9),
    ]
    assert [one.id for one in alarm_views.ordered(alarms)] == ["urgent", "new", "old", "low"]


def test_a_shelved_alarm_is_not_open_and_not_counted() -> None:
    alarms = published(alarm("a"), alarm("b", shelf=SHELF), alarm("c", suppressed="off by intention"))
    assert alarm_views.counts(alarms) == {1: 0, 2: 1, 3: 0, 4: 0}
    found = {
        wanted: [one.id for one in alarms.values() if AlarmFilter(state=wanted).matches(one)] for wanted in AlarmChoice
    }
    assert found == {"open": ["a"], "unacknowledged": ["a"], "shelved": ["b", "c"], "all": ["a", "b", "c"]}


def test_a_consequence_is_counted_under_its_cause() -> None:
    alarms = published(
        alarm("trip", priority=1), alarm("device", cause_id="trip"), alarm("partition", cause_id="device")
    )
    assert [alarm_views.cause_of(one, alarms) for one in alarms.values()] == ["", "trip", "trip"]
    assert alarm_views.counts(alarms) == {1: 1, 2: 0, 3: 0, 4: 0}


@pytest.mark.parametrize(
    "cause",
    [
        alarm("trip", base=BaseState.NORMAL, shelf=SHELF),
        alarm("trip", service=OutOfService(by="a", owner="b", reason="c", since_ns=1, due_ns=2)),
    ],
)
def test_a_cause_that_is_not_in_the_list_hides_nothing(cause: AlarmState) -> None:
    alarms = published(cause, alarm("device", cause_id="trip"))
    assert alarm_views.cause_of(alarms["device"], alarms) == ""
    assert alarm_views.counts(alarms)[2] == 1


def test_alarms_that_name_each_other_as_cause_are_not_lost() -> None:
    alarms = published(alarm("a", cause_id="b"), alarm("b", cause_id="a"), alarm("c", cause_id="c"))
    assert alarm_views.counts(alarms)[2] == 3


def test_the_bar_has_the_newest_that_waits_for_a_person() -> None:
    alarms = published(
        alarm("seen", base=BaseState.ACKNOWLEDGED, since_ns=9),
        alarm("returned", base=BaseState.RETURNED, since_ns=3, announced_ns=8),
        alarm("first", since_ns=4, announced_ns=5),
    )
    newest, waiting = alarm_views.newest_unacknowledged(alarms)
    assert newest is not None
    assert (newest.id, waiting) == ("returned", 2)
    assert alarm_views.newest_unacknowledged({}) == (None, 0)


def test_an_area_includes_those_below_it_and_no_other_of_a_longer_name() -> None:
    alarms = [alarm("a", area="cooling"), alarm("b", area="cooling/chiller"), alarm("c", area="coolingwater")]
    found = [one.id for one in alarms if AlarmFilter(area="cooling").matches(one)]
    assert found == ["a", "b"]
    assert alarm_views.areas(alarms) == ["cooling", "cooling/chiller", "coolingwater"]


def test_a_reason_is_found_without_case() -> None:
    assert AlarmFilter(state=AlarmChoice.ALL, text="DOOR").matches(alarm("a", shelf=SHELF))
    assert not AlarmFilter(state=AlarmChoice.ALL, text="window").matches(alarm("a", shelf=SHELF))


def test_the_alarms_of_a_command_are_read_as_they_were_written() -> None:
    alarms: dict[str, int | None] = {"point.chiller.bath": 3, "device.caen.link": None}
    assert named(listed(alarms)) == alarms


@pytest.mark.parametrize("text", ["", "a,b", "[1]", '{"a": "b"}', '{"a": 1.5}', "[" * 5000, "\ud800"])
def test_another_text_than_an_object_of_occurrences_is_refused(text: str) -> None:
    with pytest.raises(OutOfRange, match="not a JSON object"):
        named(text)


def test_a_command_names_a_bounded_number_of_alarms() -> None:
    with pytest.raises(OutOfRange, match=str(MOST_ALARMS + 1)):
        named(listed({f"point.a.{number}": None for number in range(MOST_ALARMS + 1)}))
