"""Which subjects cross between MQTT clients and the system: those that a topic names, in one direction and once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.bus.description import Mqtt
from countingroom.bus.memory.subjects import matches
from countingroom.bus.server import mqtt_account
from countingroom.bus.server.mqtt_account import account, crossing, distinct, overlap
from countingroom.core import subjects
from countingroom.core.subjects import ROOTS


def mqtt(*users: tuple[list[str], list[str]]) -> Mqtt:
    found = [
        {"name": f"u{number}", "password_env": "PATH", "publish": publish, "subscribe": subscribe}
        for number, (publish, subscribe) in enumerate(users)
    ]
    return Mqtt.model_validate({"users": found})


def permissions(publish: list[str], subscribe: list[str]) -> dict[str, Any]:
    (user,) = account(mqtt((publish, subscribe)), "HOUSE")["users"]
    return user["permissions"]


def is_allowed(of: dict[str, list[str]], subject: str) -> bool:
    allowed = any(matches(one, subject) for one in of.get("allow", [">"]))
    return allowed and not any(matches(one, subject) for one in of["deny"])


SYSTEM = [
    "command.local.runs.mCBM",
    "readings.full.caen",
    "agent.sts",
    "owner.mCBM",
    "events.devices.caen",
    "pulse.sts",
    "presence.devices.main",
    "query.history.range",
    "server.gone",
    "$KV.state.device.caen",
    "$JS.API.STREAM.PURGE.readings",
    "_INBOX.abc.1",
]


@pytest.mark.parametrize("topic", ["#", "+/#", "+/local/runs/mCBM", "+/+"])
def test_a_wildcard_reaches_nothing_of_the_system(topic: str) -> None:
    given_ = permissions([topic], [topic])
    assert not any(is_allowed(given_["publish"], subject) for subject in SYSTEM)
    assert not any(is_allowed(given_["subscribe"], subject) for subject in SYSTEM)
    assert crossing(mqtt(([topic], [topic]))) == ([], [])


def test_every_subject_of_the_system_begins_with_a_known_word() -> None:
    made = [
        subjects.agent("a"),
        subjects.owner("a"),
        subjects.readings("a", full=True),
        subjects.event("a", "b"),
        subjects.command("a", "b", "c"),
        subjects.query("a", "b"),
        subjects.presence("a", "b"),
        subjects.pulse("a"),
        subjects.echo("a"),
        subjects.DEPARTURES,
    ]
    assert {one.partition(".")[0] for one in made} == ROOTS


def test_a_topic_that_names_a_subject_of_the_system_reaches_that_one_alone() -> None:
    given_ = permissions(["command/board/devices/caen"], ["readings/full/caen"])
    assert is_allowed(given_["publish"], "command.board.devices.caen")
    assert not is_allowed(given_["publish"], "command.local.devices.caen")
    assert is_allowed(given_["subscribe"], "readings.full.caen")
    assert not is_allowed(given_["subscribe"], "readings.full.other")
    arriving, leaving = crossing(mqtt((["command/board/devices/caen"], ["readings/full/caen"])))
    assert (arriving, leaving) == (["readings.full.caen"], ["command.board.devices.caen"])


@pytest.mark.parametrize(
    ("publish", "message"),
    [(["#", "command/a/#"], "to another user"), (["server/mqtt/PURGE/x"], "for the server alone")],
)
def test_a_topic_that_would_open_more_than_it_names_is_refused(publish: list[str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mqtt((publish, []))


def test_a_subject_crosses_in_one_direction_and_once() -> None:
    shared = mqtt((["sensors/b1/#"], ["boards/b1/set"]), (["sensors/#"], ["boards/+/set", "sensors/#"]))
    assert crossing(shared) == (["boards.>"], ["sensors", "sensors.>"])


token = st.sampled_from(["a", "b", "*"])
subject = st.builds(
    lambda rest, tail: ".".join(["s", *rest, *tail]), st.lists(token, max_size=3), st.sampled_from([[], [">"]])
)
literal = st.lists(st.sampled_from(["a", "b"]), max_size=4).map(lambda rest: ".".join(["s", *rest]))


@given(st.lists(subject, max_size=5), literal)
def test_distinct_subjects_cover_the_same_and_none_twice(found: list[str], one: str) -> None:
    kept = distinct(found)
    if any(matches(pattern, one) for pattern in found):
        assert sum(matches(pattern, one) for pattern in kept) == 1
    assert not any(overlap(a, b) for number, a in enumerate(kept) for b in kept[number + 1 :])


def test_clients_have_no_share_of_the_disk_and_a_bound_in_memory() -> None:
    made = account(mqtt((["a/#"], [])), "HOUSE")
    assert made["jetstream"]["max_file"] == 0
    assert made["jetstream"]["max_memory"] == mqtt_account.MEMORY_BYTES
    assert made["limits"]["max_payload"] == 65_536
