"""Every combination of inputs, votes, bypasses and latch has the one outcome that the matrix says."""

from __future__ import annotations

from itertools import product

import pytest

from countingroom.core.interlocks.chart import fitted, initial, next_due_ns, step
from countingroom.core.interlocks.events import (
    ActionKind,
    BypassCause,
    EndBypass,
    InputReading,
    RecordProofTest,
    ReportEffect,
    ResetInterlock,
)
from countingroom.core.interlocks.permissive import start_forbidden
from countingroom.core.interlocks.specs import CauseSpec, EffectSpec, InterlockSpec, permissives
from countingroom.core.interlocks.states import InterlockState, Truth
from countingroom.core.policy import Role
from tests.unit.interlock_specs import FORBID, OFF, cause, condition, interlock

CELLS = {("a", "off"): 0, ("a", "no_start"): 0, ("b", "stop"): 0, ("b", "no_start"): 0}
Given = dict[tuple[str, int], InputReading]


def reading(**truths: tuple[Truth, ...]) -> Given:
    return {(name, place): InputReading(truth) for name, some in truths.items() for place, truth in enumerate(some)}


def bypassed(spec: InterlockSpec, *names: str) -> InterlockState:
    """Before the first inputs, with these causes bypassed for a time."""
    state = initial(spec)
    calm = reading(**{one.name: (Truth.FALSE,) * len(one.inputs) for one in spec.causes})
    for name in names:
        event = BypassCause(cause=name, by="eva", role=Role.EXPERT, reason="repair", until_ns=10_000)
        state, _ = step(spec, state, calm, 1, event)
    return state


@pytest.mark.parametrize("latch", [True, False])
@pytest.mark.parametrize("vote", [1, 2, 3])
def test_all_combinations(vote: int, latch: bool) -> None:
    spec = interlock(cause("a", 3, vote=vote), cause("b"), cells=CELLS, latch=latch)
    calm = reading(a=(Truth.FALSE,) * 3, b=(Truth.FALSE,))
    ((permissive,),) = permissives([spec]).values()
    for past_a, past_b in product((False, True), repeat=2):
        start = bypassed(spec, *(["a"] if past_a else []), *(["b"] if past_b else []))
        for truths in product(Truth, repeat=4):
            a = sum(truth is not Truth.FALSE for truth in truths[:3]) >= vote
            b = truths[3] is not Truth.FALSE
            state, actions = step(spec, start, reading(a=truths[:3], b=truths[3:]), 100)
            trips = {name for name, is_there, past in (("a", a, past_a), ("b", b, past_b)) if is_there and not past}
            assert {one.name for one in state.causes if one.tripped_ns is not None} == trips
            assert [one.name for one in state.causes if one.would_trip] == ["a"] * (a and past_a) + ["b"] * (
                b and past_b
            )
            assert state.is_tripped is bool(trips)
            assert state.first_out == (min(trips) if trips else "")
            acting = {one.name for one in state.effects if one.acting_ns is not None}
            assert acting == {effect for one, effect in CELLS if one in trips}
            assert {one.name for one in actions if one.kind is ActionKind.ACT} == acting
            assert (start_forbidden(permissive, state, 0.0) is not None) is bool(trips)
            # It cannot be reset before the causes are gone, and then it can.
            _, refused = step(spec, state, reading(a=truths[:3], b=truths[3:]), 101, reset())
            codes = [one.refusal.code for one in refused if one.refusal]
            assert codes == (["cause_present"] if trips else ["not_tripped"])
            after, _ = step(spec, state, calm, 102)
            assert after.is_tripped is (latch and bool(trips))
            if after.is_tripped:
                after, done = step(spec, after, calm, 103, reset())
                assert ActionKind.RESET in [one.kind for one in done]
            assert not after.is_tripped
            assert all(one.acting_ns is None for one in after.effects)


def reset(role: Role = Role.SHIFTER) -> ResetInterlock:
    return ResetInterlock(by="ben", role=role)


def test_delays_and_the_cause_that_was_first() -> None:
    spec = interlock(
        cause("a", on_ns=50), cause("b", on_ns=10), cells={("a", "off"): 0, ("b", "stop"): 300, ("b", "off"): 5}
    )
    both = reading(a=(Truth.TRUE,), b=(Truth.TRUE,))
    state, actions = step(spec, initial(spec), both, 1000)
    assert (actions, next_due_ns(state)) == ((), 1010)
    state, actions = step(spec, state, both, 1010)
    assert [(one.kind, one.name) for one in actions] == [(ActionKind.TRIP, "b")]
    assert (state.first_out, next_due_ns(state)) == ("b", 1015)
    state, actions = step(spec, state, both, 1060)
    assert [(one.kind, one.name) for one in actions] == [(ActionKind.CAUSE, "a"), (ActionKind.ACT, "off")]
    off = state.effect("off")
    assert off is not None
    assert (off.acting_ns, off.cause, next_due_ns(state)) == (1015, "b", 1310)
    assert state.first_out == "b"


def test_an_input_that_is_lost_has_a_delay_of_its_own() -> None:
    spec = interlock(cause("a", on_ns=10, unknown_ns=100), cells={("a", "off"): 0})
    state, _ = step(spec, initial(spec), reading(a=(Truth.STALE,)), 1000)
    assert next_due_ns(state) == 1100
    state, _ = step(spec, state, reading(a=(Truth.TRUE,)), 1050)
    assert next_due_ns(state) == 1060
    state, _ = step(spec, state, reading(a=(Truth.BAD,)), 1055)
    assert next_due_ns(state) == 1100
    state, actions = step(spec, state, reading(a=(Truth.MISSING,)), 1100)
    assert [one.kind for one in actions] == [ActionKind.TRIP, ActionKind.ACT]
    assert "stale" not in actions[0].text


def test_a_delay_that_ends_before_the_cause_is_gone_trips_though_it_is_seen_late() -> None:
    spec = interlock(cause("a", on_ns=10), cells={("a", "off"): 0})
    state, _ = step(spec, initial(spec), reading(a=(Truth.TRUE,)), 1000)
    state, actions = step(spec, state, reading(a=(Truth.FALSE,)), 1020)
    assert state.tripped_ns == 1010
    assert ActionKind.TRIP in [one.kind for one in actions]


def test_no_delay_ends_while_no_process_evaluates() -> None:
    spec = interlock(cause("a", on_ns=10), cells={("a", "off"): 0})
    state, _ = step(spec, initial(spec), reading(a=(Truth.TRUE,)), 1000)
    state, actions = step(spec, fitted(spec, state), reading(a=(Truth.FALSE,)), 1020)
    assert (state.is_tripped, actions) == (False, ())


def test_what_is_tripped_bypassed_and_acting_outlives_the_process() -> None:
    spec = interlock(cause("a"), cause("b"), cells={("a", "off"): 0, ("a", "stop"): 100})
    state = bypassed(spec, "b")
    state, _ = step(spec, state, reading(a=(Truth.TRUE,), b=(Truth.FALSE,)), 500)
    state, actions = step(spec, fitted(spec, state), reading(a=(Truth.FALSE,), b=(Truth.FALSE,)), 550)
    assert (state.is_tripped, state.bypassed, actions) == (True, ("b",), ())
    state, actions = step(spec, fitted(spec, state), reading(a=(Truth.FALSE,), b=(Truth.FALSE,)), 600)
    assert [(one.kind, one.name) for one in actions] == [(ActionKind.ACT, "stop")]


def test_a_bypass_ends_at_its_time_and_what_it_held_back_happens() -> None:
    spec = interlock(cause("a"), cells={("a", "off"): 0})
    true = reading(a=(Truth.TRUE,))
    state = bypassed(spec, "a")
    state, actions = step(spec, state, true, 100)
    assert [one.kind for one in actions] == [ActionKind.WOULD_TRIP]
    assert next_due_ns(state) == 10_000
    state, actions = step(spec, state, true, 10_001)
    assert [one.kind for one in actions] == [ActionKind.END_BYPASS, ActionKind.TRIP, ActionKind.ACT]
    assert state.tripped_ns == 10_000


def test_commands_are_refused_with_the_cause() -> None:
    spec = interlock(cause("a"), cells={("a", "off"): 0})
    true, false = reading(a=(Truth.TRUE,)), reading(a=(Truth.FALSE,))
    state, _ = step(spec, initial(spec), true, 100)
    hour_ns = 3_600_000_000_000

    def code(event: ResetInterlock | BypassCause | EndBypass | RecordProofTest, given: Given = false) -> str:
        after, actions = step(spec, state, given, 200, event)
        assert after.is_tripped
        return next((one.refusal.code for one in actions if one.refusal), "")

    def bypass(name: str = "a", role: Role = Role.EXPERT, reason: str = "repair", length_ns: int = 10) -> BypassCause:
        return BypassCause(cause=name, by="eva", role=role, reason=reason, until_ns=200 + length_ns)

    assert code(reset(Role.VIEWER)) == "denied"
    assert code(reset(), true) == "cause_present"
    assert code(bypass(role=Role.SHIFTER)) == "denied"
    assert code(bypass("c")) == "not_found"
    assert code(bypass(reason=" ")) == "reason_missing"
    assert code(bypass(length_ns=9 * hour_ns)) == "bypass_too_long"
    assert code(bypass(length_ns=0)) == "time_over"
    assert code(EndBypass(cause="a", by="eva", role=Role.EXPERT)) == "not_bypassed"
    assert code(RecordProofTest(by="ben", role=Role.SHIFTER, passed=True)) == "denied"
    # A bypassed cause does not keep back the reset.
    held, _ = step(spec, state, true, 200, bypass())
    assert held.is_tripped
    after, _ = step(spec, held, true, 205, reset())
    assert (after.is_tripped, after.reset_by, after.reset_ns) == (False, "ben", 205)
    cause_a = after.cause("a")
    assert cause_a is not None
    assert cause_a.would_trip


def test_what_carrying_out_an_effect_led_to() -> None:
    spec = interlock(cause("a"), cells={("a", "off"): 0, ("a", "no_start"): 0})
    true = reading(a=(Truth.TRUE,))
    state, _ = step(spec, initial(spec), true, 100)
    forbid = state.effect(FORBID.name)
    assert forbid is not None
    assert forbid.reached_ns == 100
    state, actions = step(spec, state, true, 110, ReportEffect(effect="off", trip=1, trouble="caen.0 is not reached"))
    assert [(one.kind, one.text) for one in actions] == [(ActionKind.NOT_REACHED, "caen.0 is not reached")]
    state, actions = step(spec, state, true, 120, ReportEffect(effect="off", trip=1, trouble="caen.0 is not reached"))
    assert actions == ()
    state, actions = step(spec, state, true, 130, ReportEffect(effect="off", trip=1))
    off = state.effect(OFF.name)
    assert off is not None
    assert (off.attempts, off.reached_ns, off.trouble) == (3, 130, "")
    assert [one.kind for one in actions] == [ActionKind.REACHED]
    assert step(spec, state, true, 140, ReportEffect(effect="off", trip=0))[0] is state


def test_a_proof_test_has_a_period() -> None:
    plain = interlock(cause("a"), cells={("a", "off"): 0})
    spec = InterlockSpec(name="x", causes=plain.causes, effects=plain.effects, matrix=plain.matrix, proof_test_ns=1000)
    assert initial(spec).proof_due_ns is None
    assert fitted(spec, InterlockState(name="x", seen_ns=50)).proof_due_ns == 1050
    passed = RecordProofTest(by="eva", role=Role.EXPERT, passed=True, comment="all well")
    state, actions = step(spec, initial(spec), reading(a=(Truth.FALSE,)), 100, passed)
    assert (state.proof_due_ns, actions[0].kind) == (1100, ActionKind.PROOF_TEST)
    failed = RecordProofTest(by="eva", role=Role.EXPERT, passed=False)
    state, _ = step(spec, state, reading(a=(Truth.FALSE,)), 200, failed)
    assert state.proof_due_ns == 200


def test_specs_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="vote of 3 among 2"):
        cause("a", 2, vote=3)
    with pytest.raises(ValueError, match="exactly one"):
        EffectSpec(name="x")
    with pytest.raises(ValueError, match="the matrix names the cause c"):
        interlock(cause("a"), cells={("c", "off"): 0})
    with pytest.raises(ValueError, match="is no effect"):
        interlock(cause("a"), cells={("a", "x"): 0})
    shared = condition("plant.a")
    assert CauseSpec(name="x", inputs=(shared, shared)).points == ("plant.a",)
