"""Commands that an acting interlock holds back, and whether a command is in force by the readback."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from countingroom.core.errors import Refused
from countingroom.core.interlocks.hold import AskedCommand, HeldCommand, refusal, undoes
from countingroom.core.interlocks.inputs import InterlockInputs
from countingroom.core.messages import Command, DeviceState, Link, Readings
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Write
from countingroom.devices.host.admission import SET, Situation, admit, find
from countingroom.devices.host.standing import standing
from countingroom.testing.fake_device import FakeBehaviour, supply_points
from tests.unit.interlock_specs import cause, interlock

OFF = HeldCommand(
    interlock="cooling_lost",
    title="Cooling lost",
    effect="HV off",
    cause="Bath too warm",
    channel="a",
    command="switch_off",
    done_in=("OFF",),
    writes={"a.on": False},
)


def asked(command: str, channel: str = "a", **fields: object) -> AskedCommand:
    return AskedCommand(command=command, channel=channel, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("command", "is_held"),
    [
        (asked("switch_on", writes={"a.on": True}), True),
        (asked("switch_on", done_in=("ON",)), True),
        (asked("switch_on", channel="", done_in=("ON",)), True),
        (asked("switch_on", channel="b", done_in=("ON",), writes={"b.on": True}), False),
        (asked("set", writes={"a.on": True}), True),
        (asked("set", writes={"a.on": False}), False),
        (asked("set", writes={"a.v_set": 5.0}), False),
        (asked("switch_off", done_in=("OFF",), writes={"a.on": False}), False),
        (asked("park", done_in=("PARKED",)), True),
        (asked("park", done_in=("PARKED",), is_safe=True), False),
        (asked("park", done_in=("PARKED",), is_safe=True, writes={"a.on": True}), True),
        (asked("refresh"), False),
    ],
)
def test_what_would_undo_an_effect_is_held_back(command: AskedCommand, is_held: bool) -> None:
    assert undoes(command, OFF) is is_held


def test_the_refusal_names_the_interlock_and_its_cause() -> None:
    cause = refusal(asked("switch_on", writes={"a.on": True}), [OFF], "devices.supply.a")
    assert cause
    assert (cause.code, cause.source) == ("interlock", "devices.supply.a")
    assert "HV off of the interlock Cooling lost, tripped by Bath too warm" in cause.message
    assert "interlock reset cooling_lost" in cause.suggestion


names = st.sampled_from(["", "a", "b"])
states = st.lists(st.sampled_from(["ON", "OFF", "ERROR"]), unique=True).map(tuple)
writes = st.dictionaries(st.sampled_from(["a.on", "b.on", "a.v_set"]), st.sampled_from([False, True, 1.5]))


@given(names, states, writes)
def test_a_command_never_holds_back_itself(channel: str, done_in: tuple[str, ...], written: dict[str, Scalar]) -> None:
    held = HeldCommand(
        interlock="i", title="I", effect="e", cause="c", channel=channel, command="x", done_in=done_in, writes=written
    )
    assert not undoes(AskedCommand(channel=channel, command="x", done_in=done_in, writes=written), held)


@given(names, states, names, states, writes)
def test_a_command_that_writes_nothing_and_leads_to_safety_passes(
    channel: str, done_in: tuple[str, ...], other: str, held_in: tuple[str, ...], written: dict[str, Scalar]
) -> None:
    held = HeldCommand(
        interlock="i", title="I", effect="e", cause="c", channel=other, command="y", done_in=held_in, writes=written
    )
    assert not undoes(AskedCommand(channel=channel, command="x", done_in=done_in, is_safe=True), held)


def situation(*, on: bool, link: Link = Link.CONNECTED, held: tuple[HeldCommand, ...] = ()) -> Situation:
    points = {point.name: point for point in supply_points()}
    values: dict[str, Scalar] = {**dict.fromkeys(points, 0.0), "a.on": on, "b.on": on}
    state = "ON" if on else "OFF"
    states = {
        channel: DeviceState(device="supply", channel=channel, state=state, link=link, since_ns=0)
        for channel in ("", "a", "b", "spare")
    }
    readings = {
        name: Reading(value=value, quality=Quality.GOOD, device_ns=0, received_ns=0) for name, value in values.items()
    }
    behaviour = FakeBehaviour()
    return Situation(
        device="supply",
        now_ns=0,
        behaviour=behaviour,
        commands=behaviour.commands,
        points=points,
        readings=readings,
        states=states,
        held=held,
    )


def command(action: str, channel: str = "", **arguments: Scalar) -> Command:
    return Command(id="1", action=action, channel=channel, arguments=arguments, issued_ns=0, deadline_ns=1)


@pytest.mark.parametrize(
    "refused", [command("switch_on", "a"), command("set", point="a.on", value=True)], ids=["command", "set"]
)
def test_the_host_admits_no_command_that_would_undo_an_effect(refused: Command) -> None:
    now = situation(on=False, held=(OFF,))
    with pytest.raises(Refused) as error:
        admit(refused, find(refused, now), now)
    assert error.value.cause.code == "interlock"
    free = situation(on=False)
    assert admit(refused, find(refused, free), free).writes


def test_the_host_admits_the_effect_itself_and_what_it_does_not_touch() -> None:
    now = situation(on=True, held=(OFF,))
    for one in (command("switch_off", "a"), command("ramp", volts=5.0), command("set", point="b.on", value=True)):
        assert admit(one, find(one, now), now).writes


def test_a_command_is_in_force_when_its_state_or_its_readback_shows_it() -> None:
    assert standing(command("switch_off", "a"), situation(on=False)).in_force is True
    assert standing(command("switch_off", "a"), situation(on=True)).in_force is False
    assert standing(command("switch_off", "a"), situation(on=False, link=Link.DISCONNECTED)).in_force is False
    assert standing(command("set", point="a.on", value=False), situation(on=False)).in_force is True
    assert standing(command("set", point="a.on", value=True), situation(on=False)).in_force is False
    assert standing(command("unknown"), situation(on=False)).in_force is False
    assert standing(command("switch_off", "a"), situation(on=True)).writes == {"a.on": False}
    assert SET.name == "set"


def test_an_interlock_is_told_what_a_command_writes_also_where_no_readback_or_no_link_tells() -> None:
    """Another command is held back by what this one writes and by the states it ends in."""

    class Pulses(FakeBehaviour):
        def writes(
            self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
        ) -> tuple[Write, ...]:
            return (Write(point="a.on", value=False, confirm=False),)

    found = standing(command("ramp", volts=5.0), structs.replace(situation(on=True), behaviour=Pulses()))
    assert (found.in_force, found.writes) == (None, {"a.on": False})
    lost = standing(command("switch_off", "a"), situation(on=False, link=Link.DISCONNECTED))
    assert lost.done_in == ("OFF",)


def test_a_host_that_has_no_values_yet_makes_no_input_known() -> None:
    inputs = InterlockInputs([interlock(cause("warm"), cells={("warm", "off"): 0})], 0)
    for value, quality, is_known in ((None, Quality.BAD, False), (20.0, Quality.GOOD, True)):
        inputs.read(
            Readings(
                device="plant",
                boot="b",
                sequence=1,
                full=True,
                sent_ns=1,
                points=["warm0"],
                values=[value],
                qualities=[int(quality)],
                device_ns=[1],
                received_ns=[1],
            ),
            1,
        )
        assert inputs.is_known("cooling") is is_known
