"""Details of the words of a message: each case in which they differ."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.states import BaseState
from countingroom.core.notify.messages import NotificationKind
from countingroom.core.notify.texts import LISTED, compose, page_of
from countingroom.core.notify.tracks import Track
from tests.unit.test_notify_texts import BEGIN, ID, STATE, WORDS, S, find, planned, track


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acknowledged_by": "anna"}, "It was acknowledged by anna."),
        ({}, "It was not acknowledged."),
        ({"is_closed": True}, "It ended because the description has no such alarm any more."),
    ],
)
def test_a_follow_up_says_how_the_alarm_ended(changes: dict[str, Any], said: str) -> None:
    over = track(returned_ns=BEGIN + 90 * S, **changes)
    assert said in compose(planned(NotificationKind.FOLLOW_UP, over), find, {}, WORDS).text.splitlines()


@pytest.mark.parametrize("changes", [{"base": BaseState.RETURNED}, {"occurrence": 4}])
def test_the_text_of_the_announcement_counts_where_the_state_is_another(changes: dict[str, Any]) -> None:
    other = structs.replace(STATE, text="Bath 20 °C", **changes)
    message = compose(planned(NotificationKind.FIRST, track()), find, {ID: other}, WORDS)
    assert message.title.endswith("Bath 36 °C is above its alarm limit 35.0 °C")


def test_the_first_message_of_a_thread_names_no_earlier_one() -> None:
    first = structs.replace(planned(NotificationKind.FIRST, track()), thread="11" * 16)
    assert compose(first, find, {}, WORDS).thread_id == ""


def _many(count: int, **changes: Any) -> tuple[Track, ...]:
    return tuple(track(number, **changes) for number in range(1, count + 1))


def test_a_group_names_as_many_as_it_lists() -> None:
    full = compose(planned(NotificationKind.GROUP, *_many(LISTED)), find, {}, WORDS)
    assert "more" not in full.text
    assert full.text.startswith(f"{LISTED} alarms, all of priority 1:")


def test_a_group_waited_since_the_first_of_its_messages() -> None:
    tracks = (track(first_ns=BEGIN + 300 * S), track(1, first_ns=BEGIN))
    message = compose(planned(NotificationKind.ESCALATION, *tracks, after_s=600), find, {}, WORDS)
    assert message.text.startswith("Not acknowledged for 10 min after the first message.")


def test_a_group_of_returns_has_the_time_of_each_return() -> None:
    over = _many(2, returned_ns=BEGIN + 90 * S)
    lines = compose(planned(NotificationKind.FOLLOW_UP, *over), find, {}, WORDS).text.splitlines()
    assert lines[0] == "2 alarms, all of priority 1 are normal again:"
    assert lines[2] == "- priority 1, 2026-11-29 01:33:33 CET: HV ch 1"


def test_a_group_names_whom_to_call_also_without_guidance() -> None:
    definition = AlarmDefinition(id=ID, title="Bath", contact="4711")
    message = compose(planned(NotificationKind.GROUP, track(), track(1)), lambda _: definition, {}, WORDS)
    assert message.text.endswith(f"The most urgent one is Julabo chiller / Bath ({ID}, occurrence 3).\nCall: 4711\n")


def test_the_page_of_an_alarm_is_an_address_whatever_its_name() -> None:
    assert page_of("https://c.example.org", "point.a b#1") == "https://c.example.org/alarms#point.a%20b%231"
