"""The pure rules of the device host, case by case."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core.errors import Cause, ConfigurationError, RequestError
from countingroom.core.messages import Command, Link
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import Admitted, Situation, admit, find
from countingroom.devices.host.legality import OF_THE_HOST
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.staleness import stale
from countingroom.devices.host.states import StateTracker
from countingroom.devices.point_overrides import overridden
from countingroom.devices.port import Sample
from countingroom.devices.section import PointOverride
from countingroom.testing.fake_device import FakeBehaviour, supply_points

NOW = 1_700_000_000_000_000_000


def table(*points: Point) -> PointTable:
    return PointTable("d", points, NOW)


def say(into: PointTable, name: str, value: Scalar, quality: Quality = Quality.GOOD, at: float = 0.0) -> set[str]:
    return into.take([Sample(point=name, value=value, quality=quality)], now_ns=NOW + int(at * 1e9), monotonic=at)


def test_before_any_news_a_point_is_bad_and_has_no_value() -> None:
    reading = table(Point(name="p")).readings["p"]
    assert (reading.value, reading.quality) == (None, Quality.BAD)


def test_the_first_reading_is_published_however_small() -> None:
    it = table(Point(name="p", deadband=10.0))
    say(it, "p", 0.001)
    assert it.waiting


def test_nan_is_bad_and_its_return_is_published_within_the_deadband() -> None:
    it = table(Point(name="p", deadband=10.0))
    say(it, "p", 1.0)
    it.message(full=False, boot="b", sent_ns=NOW)
    say(it, "p", float("nan"))
    message = it.message(full=False, boot="b", sent_ns=NOW)
    assert message
    assert (message.values, message.qualities) == ([None], [Quality.BAD])
    say(it, "p", 1.0)
    assert it.waiting


def test_a_change_that_goes_back_before_it_was_published_is_not_published() -> None:
    it = table(Point(name="p"))
    say(it, "p", 1.0)
    it.message(full=False, boot="b", sent_ns=NOW)
    say(it, "p", 2.0)
    say(it, "p", 1.0)
    assert it.message(full=False, boot="b", sent_ns=NOW) is None


def test_a_full_message_carries_what_the_deadband_held_back() -> None:
    it = table(Point(name="p", deadband=1.0), Point(name="q"))
    say(it, "p", 1.0)
    it.message(full=False, boot="b", sent_ns=NOW)
    say(it, "p", 1.5)
    full = it.message(full=True, boot="b", sent_ns=NOW)
    assert full
    assert dict(zip(full.points, full.values, strict=True)) == {"p": 1.5, "q": None}


def test_silence_makes_a_point_stale_and_keeps_its_value_and_device_time() -> None:
    it = table(Point(name="p", channel="c", column="p", stale_after_s=5.0), Point(name="q", stale_after_s=0.0))
    say(it, "p", 1.0)
    say(it, "q", 2.0)
    assert it.age(now_ns=NOW + 5, monotonic=5.0) == set()
    assert it.age(now_ns=NOW + 9, monotonic=5.1) == {"c"}
    reading = it.readings["p"]
    assert (reading.value, reading.quality, reading.device_ns) == (1.0, Quality.STALE, NOW)
    assert it.readings["q"].quality == Quality.GOOD
    assert say(it, "p", 1.0, at=6.0) == {"c"}
    assert it.readings["p"].quality == Quality.GOOD


def test_a_stale_reading_stays_as_it_was_when_it_became_so() -> None:
    reading = Reading(value=5.0, quality=Quality.GOOD, device_ns=NOW, received_ns=NOW)
    first = stale(reading, NOW + 1, "silent")
    assert (first.value, first.quality, first.received_ns) == (5.0, Quality.STALE, NOW + 1)
    assert stale(first, NOW + 9) == first
    assert stale(first, NOW + 9, "link lost") == msgspec.structs.replace(first, reason="link lost")
    bad = msgspec.structs.replace(reading, quality=Quality.BAD, value=None)
    assert stale(bad, NOW + 9) == bad


def test_a_lost_link_makes_everything_stale_but_what_was_bad() -> None:
    it = table(Point(name="p"), Point(name="q"))
    say(it, "p", 1.0)
    it.lose(now_ns=NOW)
    assert {name: reading.quality for name, reading in it.readings.items()} == {"p": Quality.STALE, "q": Quality.BAD}
    assert not it.has_samples


def test_a_sample_of_a_point_nobody_declared_is_passed_over() -> None:
    it = table(Point(name="p"))
    assert say(it, "other", 1.0) == set()
    assert not it.waiting


def test_what_waits_is_bounded_by_the_points_and_the_latest_wins() -> None:
    it = table(Point(name="p"))
    for value in range(1000):
        say(it, "p", float(value))
    message = it.message(full=False, boot="b", sent_ns=NOW)
    assert message
    assert message.values == [999.0]


def test_exact_overrides_win_over_patterns_and_keep_what_they_do_not_name() -> None:
    points = (
        Point(name="a.v", channel="a", column="v", limits=Limits(warning_high=1.0)),
        Point(name="b.v", channel="b", column="v"),
    )
    first, second = overridden(
        points,
        {"a.v": PointOverride(deadband=0.5), "*.v": PointOverride(deadband=0.1, alarm_high=9.0, stale_after="1 min")},
    )
    assert (first.deadband, second.deadband) == (0.5, 0.1)
    assert first.limits == Limits(warning_high=1.0, alarm_high=9.0)
    assert second.stale_after_s == 60.0


def test_an_override_of_no_point_is_a_mistake_that_says_what_there_is() -> None:
    with pytest.raises(ConfigurationError) as caught:
        overridden((Point(name="a.v"),), {"a.w": PointOverride()})
    assert "a.v" in caught.value.cause.suggestion


class Desk:
    """A supply whose readings a test types in."""

    def __init__(self, **values: Scalar) -> None:
        self.behaviour = FakeBehaviour()
        self.commands = (*self.behaviour.commands, *OF_THE_HOST)
        self.table = PointTable("supply", supply_points(), NOW)
        self.states = StateTracker("supply", self.behaviour, self.commands, "boot")
        for point in supply_points():
            self.say(point.name, False if point.type == Type.BOOL else 0.0)
        self.observe()

    def say(self, name: str, value: Scalar) -> None:
        say(self.table, name, value)

    def observe(self, link: Link = Link.CONNECTED, cause: Cause | None = None, now_ns: int = NOW):
        return self.states.observe(self.behaviour.channels, self.table.readings, link=link, cause=cause, now_ns=now_ns)

    def give(self, action: str, channel: str = "", *, now_ns: int = NOW, **more: object) -> object:
        command = Command(id="1", action=action, channel=channel, issued_ns=NOW, deadline_ns=NOW + 10**10)
        command = msgspec.structs.replace(command, **more)
        situation = Situation(
            device="supply",
            now_ns=now_ns,
            behaviour=self.behaviour,
            commands=self.commands,
            points=self.table.points,
            readings=self.table.readings,
            states=self.states.now,
        )
        return admit(command, find(command, situation), situation)

    def refusal(self, action: str, channel: str = "", **more: object) -> Cause:
        with pytest.raises(RequestError) as caught:
            self.give(action, channel, **more)
        return caught.value.cause


def test_states_are_told_once_and_again_only_when_something_changed() -> None:
    desk = Desk()
    assert desk.observe() == []
    desk.say("a.on", True)
    changes = desk.observe(now_ns=NOW + 7)
    assert [(change.now.channel, change.now.state, change.moved) for change in changes] == [
        ("a", "ON", True),
        ("", "ON", True),
    ]
    assert changes[0].now.since_ns == NOW + 7
    assert changes[0].now.common == "on"


def test_without_a_link_everything_is_disconnected_and_says_why() -> None:
    desk = Desk()
    cause = Cause(code="link_lost", message="no answer")
    changes = desk.observe(Link.DISCONNECTED, cause)
    assert {change.now.channel for change in changes} == {"", "a", "b", "spare"}
    for change in changes:
        assert (change.now.state, change.now.common, change.now.cause) == ("DISCONNECTED", "no_link", cause)
    refused = desk.states.now[""].refusals
    assert refused["ramp"]
    assert refused["ramp"].causes == (cause,)
    assert refused["reconnect"] is None


def test_a_mistake_in_a_behaviour_is_an_error_state_and_not_the_end_of_the_host() -> None:
    desk = Desk()

    def divide(channel: str, readings: object) -> object:
        return 1 / 0

    desk.behaviour.observe_channel = divide  # type: ignore[method-assign,assignment]
    desk.observe()
    state = desk.states.now["a"]
    assert state.state == "ERROR"
    assert state.cause
    assert "ZeroDivisionError" in state.cause.message


def test_a_command_is_legal_where_the_chart_allows_its_event() -> None:
    desk = Desk()
    assert desk.states.now["a"].refusals["switch_on"] is None
    desk.give("switch_on", "a")
    assert desk.refusal("switch_off", "a").code == "nothing_to_do"
    desk.say("a.v_mon", 14.5)
    desk.observe()
    cause = desk.refusal("switch_on", "a")
    assert cause.code == "not_allowed"
    assert cause.suggestion == "it is possible in OFF"


def test_the_same_word_may_be_a_command_of_a_channel_and_of_the_device() -> None:
    desk = Desk()
    desk.say("a.on", True)
    desk.observe()
    one, both = desk.give("switch_off", "a"), desk.give("switch_off")
    assert [write.point for write in one.writes] == ["a.on"]  # type: ignore[attr-defined]
    assert [write.point for write in both.writes] == ["a.on", "b.on"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("action", "channel", "more", "code"),
    [
        ("explode", "", {}, "not_found"),
        ("switch_on", "", {}, "wrong_scope"),
        ("ramp", "a", {}, "wrong_scope"),
        ("switch_on", "z", {}, "not_found"),
        ("switch_on", "spare", {}, "inactive"),
        ("ramp", "", {}, "missing_argument"),
        ("ramp", "", {"arguments": {"volts": "much"}}, "wrong_type"),
        ("ramp", "", {"arguments": {"volts": 12.5}}, "out_of_range"),
        ("ramp", "", {"arguments": {"volts": 1.0, "mode": "wild"}}, "out_of_range"),
        ("ramp", "", {"arguments": {"volts": 1.0, "speed": 1}}, "unknown_argument"),
        ("set", "", {"arguments": {"point": "a.v_set"}}, "wrong_argument"),
        ("set", "", {"arguments": {"point": "q", "value": 1.0}}, "not_found"),
        ("set", "", {"arguments": {"point": "a.v_mon", "value": 1.0}}, "read_only"),
        ("set", "", {"arguments": {"point": "a.v_set", "value": 15.1}}, "out_of_range"),
        ("set", "b", {"arguments": {"point": "a.v_set", "value": 1.0}}, "not_found"),
        ("set", "", {"arguments": {"point": "spare.v_set", "value": 1.0}}, "inactive"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(action: str, channel: str, more: dict[str, object], code: str) -> None:
    cause = Desk().refusal(action, channel, **more)
    assert cause.code == code
    assert cause.suggestion or code in ("read_only", "wrong_type")


def test_a_setpoint_that_the_behaviour_forbids_now_is_refused() -> None:
    desk = Desk()
    desk.say("a.on", True)
    desk.observe()
    cause = desk.refusal("set", arguments={"point": "a.v_set", "value": 1.0})
    assert cause.suggestion == "switch a off first"
    assert desk.give("set", arguments={"point": "b.v_set", "value": 1.0})


def test_what_a_write_starts_has_its_time_on_top_of_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    writes = (Write(point="a.on", value=1, takes_s=300.0), Write(point="b.on", value=1, takes_s=20.0))
    monkeypatch.setattr(desk.behaviour, "writes", lambda *given: writes)
    admitted = desk.give("switch_on", "a")
    assert isinstance(admitted, Admitted)
    assert admitted.deadline_s == 305.0
    assert admitted.writes[0] == Write(point="a.on", value=True, takes_s=300.0)


def test_nothing_is_admitted_while_the_link_is_down() -> None:
    desk = Desk()
    desk.observe(Link.DISCONNECTED, Cause(code="link_lost", message="gone"))
    assert desk.refusal("set", arguments={"point": "a.v_set", "value": 1.0}).code == "link_lost"
    assert desk.refusal("ramp", arguments={"volts": 1.0}).code == "link_lost"
    assert desk.give("reconnect")
