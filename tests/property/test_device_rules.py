"""The pure rules of the device host hold for any input."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import RequestError
from countingroom.core.messages import Command, Link
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.host import quality
from countingroom.devices.host.admission import Situation, admit, find
from countingroom.devices.host.backoff import pause_s
from countingroom.devices.host.confirmation import holds
from countingroom.devices.host.deadband import moved
from countingroom.devices.host.points import PointTable
from countingroom.devices.host.states import StateTracker
from countingroom.devices.port import Sample
from countingroom.testing.fake_device import FakeBehaviour, supply_points

anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
numbers = st.floats(min_value=-1e6, max_value=1e6)
NOW = 1_700_000_000_000_000_000


def good(value: Scalar) -> Reading:
    return Reading(value=value, quality=Quality.GOOD, device_ns=0, received_ns=0)


@given(st.integers(min_value=1, max_value=10_000), st.floats(0.01, 10), st.floats(10, 1000))
def test_pauses_never_shrink_and_never_pass_the_cap(failures: int, first: float, most: float) -> None:
    pause = pause_s(failures, first_s=first, most_s=most)
    assert first <= pause <= most
    assert pause_s(failures + 1, first_s=first, most_s=most) >= pause


@given(st.sampled_from(Type), anything, st.sampled_from(Quality))
def test_any_sample_makes_a_reading_that_keeps_the_rules(kind: Type, value: Scalar, said: Quality) -> None:
    point = Point(name="p", type=kind)
    sample = Sample(point="p", value=value, quality=said)
    reading = quality.read(point, sample, good(1.0), NOW)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reading), type=Reading) == reading
    assert (reading.value is None) == (reading.quality == Quality.BAD)
    if isinstance(reading.value, float):
        assert math.isfinite(reading.value)
    if said == Quality.STALE:
        assert reading.value == 1.0


@given(st.lists(numbers, min_size=1, max_size=50), st.floats(0, 100))
def test_what_is_published_is_never_further_from_the_truth_than_the_deadband(values: list[float], band: float) -> None:
    table = PointTable("d", [Point(name="p", deadband=band)], NOW)
    published: Scalar = None
    for value in values:
        table.take([Sample(point="p", value=value)], now_ns=NOW, monotonic=0.0)
        message = table.message(full=False, boot="b", sent_ns=NOW)
        if message:
            assert published is None or not abs(message.values[0] - published) <= band  # type: ignore[operator]
            published = message.values[0]
        assert isinstance(published, float)
        assert abs(value - published) <= band


@given(st.lists(st.tuples(st.sampled_from("ab"), numbers), max_size=50), st.lists(st.booleans(), max_size=50))
def test_whatever_was_published_and_when_the_messages_add_up_to_the_present(
    samples: list[tuple[str, float]], publish: list[bool]
) -> None:
    table = PointTable("d", [Point(name="a"), Point(name="b")], NOW)
    seen: dict[str, Scalar] = {"a": None, "b": None}
    sequences: list[int] = []
    for (name, value), now in zip(samples, [*publish, *[True] * len(samples)], strict=False):
        table.take([Sample(point=name, value=value)], now_ns=NOW, monotonic=0.0)
        message = table.message(full=False, boot="b", sent_ns=NOW) if now else None
        if message:
            seen.update(zip(message.points, message.values, strict=True))
            sequences.append(message.sequence)
    last = table.message(full=False, boot="b", sent_ns=NOW)
    seen.update(zip(last.points, last.values, strict=True) if last else ())
    assert seen == {name: reading.value for name, reading in table.readings.items()}
    assert sequences == list(range(1, len(sequences) + 1))


@given(numbers, numbers)
def test_any_change_counts_without_a_deadband(one: float, other: float) -> None:
    assert moved(0.0, good(one), good(other)) == (one != other)


@given(numbers, st.floats(0.001, 10))
def test_a_setpoint_holds_within_its_tolerance_and_not_beyond(value: float, tolerance: float) -> None:
    point = Point(name="p", tolerance=tolerance)
    assert holds(point, value, good(value + tolerance * 0.99))
    assert not holds(point, value, good(value + tolerance * 1.01 + abs(value) * 2e-6))
    assert not holds(point, value, Reading(value=value, quality=Quality.STALE, device_ns=0, received_ns=0))


@pytest.fixture(scope="module")
def situation() -> Situation:
    behaviour = FakeBehaviour()
    table = PointTable("supply", supply_points(), NOW)
    table.take(
        [Sample(point=p.name, value=False if p.type == Type.BOOL else 0.0) for p in supply_points()],
        now_ns=NOW,
        monotonic=0.0,
    )
    states = StateTracker("supply", behaviour, behaviour.commands, "boot")
    states.observe((), table.readings, link=Link.CONNECTED, cause=None, now_ns=NOW)
    return Situation(
        device="supply",
        now_ns=NOW,
        behaviour=behaviour,
        commands=behaviour.commands,
        points=table.points,
        readings=table.readings,
        states=states.now,
    )


@given(
    action=st.sampled_from(("set", "ramp", "switch_on", "switch_off", "explode")),
    channel=st.sampled_from(("", "a", "spare", "z")),
    arguments=st.dictionaries(st.sampled_from(("point", "value", "volts", "mode", "x")), anything, max_size=3)
    | st.fixed_dictionaries(
        {"point": st.sampled_from(("a.v_set", "a.v_mon", "spare.v_set", "a.on")), "value": anything}
    )
    | st.fixed_dictionaries({"volts": st.floats(-5, 20)}),
)
def test_only_what_is_allowed_and_in_range_is_ever_written(
    *,
    situation: Situation,
    action: str,
    channel: str,
    arguments: dict[str, Scalar],
) -> None:
    command = Command(
        id="1",
        action=action,
        channel=channel,
        arguments=arguments,
        issued_ns=NOW,
        deadline_ns=NOW,
    )
    try:
        admitted = admit(command, find(command, situation), situation)
    except RequestError as refusal:
        assert refusal.cause.message
        return
    assert channel in ("", "a")
    assert action in ("set", "ramp", "switch_on")
    for write in admitted.writes:
        point = situation.points[write.point]
        assert point.writable
        assert point.channel in ("a", "b")
        if point.column == "v_set":
            assert isinstance(write.value, float)
            assert 0.0 <= write.value <= 15.0
