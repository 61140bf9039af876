"""What must not keep an interlock from acting, or make it forget: odd values, a set clock, a changed description."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from countingroom.core.alarms.conditions.described import DescribedCondition
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.interlocks.chart import fitted, initial, next_due_ns, step
from countingroom.core.interlocks.events import AdoptTrip, BypassCause, InputReading, ResetInterlock
from countingroom.core.interlocks.inputs import InterlockInputs
from countingroom.core.interlocks.local_part import local_part
from countingroom.core.interlocks.specs import CauseSpec
from countingroom.core.interlocks.states import Bypass, InterlockState, Truth
from countingroom.core.interlocks.takeover import merged
from countingroom.core.messages import Readings
from countingroom.core.policy import Role
from countingroom.core.values import Scalar
from countingroom.devices.interlocks.hosted_part import TIME_PASSED, HostedPart
from tests.unit.interlock_specs import cause, interlock

S = 1_000_000_000
HOUR = 3600 * S
TRUE, FALSE = InputReading(Truth.TRUE, 36.0), InputReading(Truth.FALSE, 20.0)


def inputs_are(reading: InputReading, name: str = "a") -> dict[tuple[str, int], InputReading]:
    return {(name, 0): reading}


def message(full: bool = False, **values: Scalar) -> Readings:
    count = len(values)
    return Readings(
        device="plant",
        boot="b",
        sequence=1,
        full=full,
        sent_ns=0,
        points=list(values),
        values=list(values.values()),
        qualities=[0] * count,
        device_ns=[0] * count,
        received_ns=[0] * count,
    )


def acting(state: InterlockState) -> set[str]:
    return {one.name for one in state.effects if one.acting_ns is not None}


@pytest.mark.parametrize("value", ["hot", "36", True, False, float("nan"), None, [40.0]])
@pytest.mark.parametrize("limits", [LimitSpec(high=(AlarmLimit(35.0, 1),)), LimitSpec(low=(AlarmLimit(5.0, 1),))])
def test_a_value_that_is_no_number_is_no_value_for_a_limit(value: Scalar, limits: LimitSpec) -> None:
    one = CauseSpec(name="a", inputs=(DescribedCondition(spec=limits, inputs=("plant.x",), text="x"),))
    inputs = InterlockInputs([interlock(one, cells={("a", "off"): 0})], 0)
    assert inputs.read(message(x=20.0), S) == {"cooling"}
    assert inputs.of("cooling")["a", 0].truth is Truth.FALSE
    assert inputs.read(message(x=value), 2 * S) == {"cooling"}
    assert inputs.of("cooling")["a", 0].truth is Truth.BAD
    assert inputs.read(message(x=21.0), 3 * S) == {"cooling"}
    assert inputs.of("cooling")["a", 0].truth is Truth.FALSE


def test_a_point_that_its_device_does_not_carry_any_more_is_missing() -> None:
    inputs = InterlockInputs([interlock(cause("a"), cells={("a", "off"): 0})], 0)
    inputs.read(message(full=True, a0=20.0, other=1.0), S)
    assert inputs.read(message(other=2.0), 2 * S) == set()
    assert inputs.read(message(full=True, other=3.0), 3 * S) == {"cooling"}
    assert inputs.of("cooling")["a", 0].truth is Truth.MISSING
    assert inputs.read(message(full=True, other=3.0), 4 * S) == set()
    assert inputs.read(message(full=True, a0=20.0), 5 * S) == {"cooling"}


def test_a_cause_that_is_renamed_while_it_is_tripped_does_not_release_the_effects() -> None:
    old = interlock(cause("a"), cells={("a", "off"): 0, ("a", "stop"): 300 * S, ("a", "no_start"): 0})
    state, _ = step(old, initial(old), inputs_are(TRUE), S)
    assert acting(state) == {"off", "no_start"}
    new = interlock(cause("b"), cells={("b", "off"): 0, ("b", "stop"): 0, ("b", "no_start"): 0})
    state, actions = step(new, fitted(new, state), inputs_are(FALSE, "b"), 2 * S)
    assert (state.is_tripped, acting(state), actions) == (True, {"off", "no_start"}, ())
    due_ns = next_due_ns(state)
    assert due_ns == 301 * S
    state, _ = step(new, state, inputs_are(FALSE, "b"), due_ns)
    assert acting(state) == {"off", "no_start", "stop"}
    state, _ = step(new, state, inputs_are(FALSE, "b"), 302 * S, ResetInterlock(by="ben", role=Role.SHIFTER))
    assert (state.is_tripped, acting(state)) == (False, set[str]())


def test_a_cell_that_is_removed_or_delayed_while_it_acts_does_not_release_the_effect() -> None:
    old = interlock(cause("a"), cells={("a", "off"): 0, ("a", "no_start"): 0})
    state, _ = step(old, initial(old), inputs_are(TRUE), S)
    new = interlock(cause("a"), cells={("a", "off"): 3600 * S})
    state, actions = step(new, fitted(new, state), inputs_are(TRUE), 2 * S)
    assert (acting(state), actions) == ({"off", "no_start"}, ())


def test_a_delay_ends_though_the_clock_is_set_back() -> None:
    spec = interlock(cause("a", on_ns=2 * S), cells={("a", "off"): 5 * S})
    state, _ = step(spec, initial(spec), inputs_are(TRUE), HOUR)
    state, _ = step(spec, state, inputs_are(TRUE), S)
    assert next_due_ns(state) == 3 * S
    state, _ = step(spec, state, inputs_are(TRUE), 3 * S)
    assert (state.is_tripped, next_due_ns(state)) == (True, 8 * S)
    state, _ = step(spec, state, inputs_are(TRUE), 2 * S)  # once more
    assert next_due_ns(state) == 7 * S
    state, _ = step(spec, state, inputs_are(TRUE), 7 * S)
    assert acting(state) == {"off"}


def test_a_bypass_does_not_grow_when_the_clock_is_set_back() -> None:
    spec = interlock(cause("a"), cells={("a", "off"): 0})
    bypass = BypassCause(cause="a", by="eva", role=Role.EXPERT, reason="repair", until_ns=10 * HOUR + 600 * S)
    state, _ = step(spec, initial(spec), inputs_are(FALSE), 10 * HOUR, bypass)
    state, _ = step(spec, state, inputs_are(TRUE), HOUR)
    assert next_due_ns(state) == HOUR + 600 * S
    state, _ = step(spec, state, inputs_are(TRUE), HOUR + 600 * S)
    assert state.is_tripped


def test_a_reset_before_the_clock_was_set_back_ends_no_later_trip() -> None:
    spec = interlock(cause("a"), cells={("a", "off"): 0})
    state, _ = step(spec, initial(spec), inputs_are(TRUE), 10 * HOUR)
    reset = ResetInterlock(by="ben", role=Role.SHIFTER)
    state, _ = step(spec, state, inputs_are(FALSE), 10 * HOUR + S, reset)
    assert not state.is_tripped
    state, _ = step(spec, state, inputs_are(FALSE), HOUR, AdoptTrip(cause="a", tripped_ns=HOUR - S))
    assert state.is_tripped


def test_a_state_that_began_with_nothing_does_not_end_a_trip_that_it_did_not_know() -> None:
    spec = interlock(cause("a"), cause("b"), cells={("a", "off"): 0, ("b", "off"): 0})
    blank, _ = step(spec, initial(spec), inputs_are(FALSE) | inputs_are(FALSE, "b"), 9 * S)
    tripped, _ = step(spec, initial(spec), inputs_are(TRUE) | inputs_are(FALSE, "b"), S)
    tripped = replace(tripped, trip=7)
    for state in (merged(blank, tripped), merged(tripped, blank)):
        assert (state.is_tripped, state.trip, state.first_out, acting(state)) == (True, 7, "a", {"off"})
    other, _ = step(spec, initial(spec), inputs_are(FALSE) | inputs_are(TRUE, "b"), 9 * S)
    state = merged(tripped, other)
    assert [one.tripped_ns for one in state.causes] == [S, 9 * S]
    assert (state.trip, state.first_out) == (7, "b")
    reset, _ = step(
        spec,
        tripped,
        inputs_are(FALSE) | inputs_are(FALSE, "b"),
        5 * S,
        ResetInterlock(by="ben", role=Role.SHIFTER),
    )
    assert not merged(tripped, reset).is_tripped


def hosted() -> HostedPart:
    """A host that evaluates the interlock, at one hour, with no cause present."""
    found = local_part(interlock(cause("a"), cells={("a", "off"): 0}), {"plant", "caen"})
    assert found is not None
    part = HostedPart(found, None)
    part.serve(10 * HOUR)
    part.take(TIME_PASSED, inputs_are(FALSE), 10 * HOUR)
    return part


def test_a_host_takes_no_reset_before_the_clock_was_set_back_for_that_of_a_later_trip() -> None:
    part = hosted()
    part.published = replace(initial(part.spec), reset_ns=10 * HOUR, reset_by="ben")
    part.take(TIME_PASSED, inputs_are(FALSE), 10 * HOUR + S)
    part.take(TIME_PASSED, inputs_are(TRUE), HOUR)
    part.take(TIME_PASSED, inputs_are(FALSE), HOUR + S)
    assert part.state.is_tripped
    part.published = replace(initial(part.spec), reset_ns=HOUR + 2 * S, reset_by="ben")
    part.take(TIME_PASSED, inputs_are(FALSE), HOUR + 2 * S)
    assert not part.state.is_tripped


def test_a_bypass_that_has_ended_in_a_host_does_not_begin_again_when_the_engine_is_dead() -> None:
    part = hosted()
    bypass = Bypass(by="eva", reason="repair", since_ns=10 * HOUR, until_ns=10 * HOUR + 600 * S)
    theirs = initial(part.spec)
    part.published = replace(theirs, causes=tuple(replace(one, bypass=bypass) for one in theirs.causes))
    part.take(TIME_PASSED, inputs_are(FALSE), 10 * HOUR + S)
    assert part.state.bypassed == ("a",)
    part.take(TIME_PASSED, inputs_are(TRUE), HOUR)
    assert not part.state.is_tripped
    part.take(TIME_PASSED, inputs_are(TRUE), HOUR + 601 * S)
    assert (part.state.bypassed, part.state.is_tripped) == ((), True)
