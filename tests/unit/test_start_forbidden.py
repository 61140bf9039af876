"""An interlock forbids a start in every doubt: it acts, it will act, a cause of it is present, or it is not known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.interlocks.chart import TIME_PASSED, initial, step
from countingroom.core.interlocks.events import BypassCause, InputReading, Inputs, InterlockEvent
from countingroom.core.interlocks.legality import told
from countingroom.core.interlocks.permissive import start_forbidden
from countingroom.core.interlocks.specs import InterlockSpec, permissives
from countingroom.core.interlocks.states import CauseState, InputState, InterlockState, Truth
from countingroom.core.policy import Role
from tests.unit.interlock_specs import cause, interlock

SECOND = 1_000_000_000
HEARD = 0.5
SPEC = interlock(
    cause("warm", on_ns=2 * SECOND, unknown_ns=5 * SECOND),
    cause("pump"),
    cause("other"),
    cells={("warm", "no_start"): 0, ("pump", "no_start"): 30 * SECOND, ("other", "off"): 0},
)


def inputs(**truths: Truth) -> Inputs:
    given_truths = {one.name: truths.get(one.name, Truth.FALSE) for one in SPEC.causes}
    return {(name, 0): InputReading(truth) for name, truth in given_truths.items()}


def after(
    state: InterlockState, at_s: float, event: InterlockEvent = TIME_PASSED, /, **truths: Truth
) -> InterlockState:
    return step(SPEC, state, inputs(**truths), round(at_s * SECOND), event)[0]


def why(state: InterlockState | None, silent_s: float = HEARD, spec: InterlockSpec = SPEC) -> str:
    """Code of the cause; empty: a start is allowed."""
    ((one,),) = permissives([spec]).values()
    cause = start_forbidden(one, state, silent_s)
    assert cause is None or (one.interlock in cause.source and cause.suggestion)
    return cause.code if cause else ""


QUIET = after(initial(SPEC), 1)


def test_it_is_allowed_while_all_is_known_and_nothing_is_present() -> None:
    assert why(QUIET) == ""


@pytest.mark.parametrize("truth", [one for one in Truth if one.counts])
def test_a_cause_that_waits_for_its_delay_forbids(truth: Truth) -> None:
    state = after(QUIET, 2, warm=truth)
    assert not state.is_tripped
    assert why(state) == "cause_present"
    assert why(after(state, 3)) == ""


def test_a_trip_whose_cell_waits_for_its_delay_forbids_also_when_its_cause_is_gone() -> None:
    state = after(after(QUIET, 2, pump=Truth.TRUE), 3)
    no_start = state.effect("no_start")
    assert no_start is not None
    assert no_start.acting_ns is None
    assert why(state) == "interlocked"
    assert why(after(state, 40)) == "interlocked"


def test_a_cause_that_leads_to_another_effect_forbids_nothing() -> None:
    assert why(after(QUIET, 2, other=Truth.TRUE)) == ""


def test_a_bypassed_cause_does_not_forbid() -> None:
    bypass = BypassCause(cause="warm", by="eva", role=Role.EXPERT, reason="repair", until_ns=100 * SECOND)
    state = after(QUIET, 2, bypass, warm=Truth.TRUE)
    assert why(state) == ""
    state = after(state, 50, warm=Truth.TRUE)
    assert why(state) == ""
    assert why(after(state, 101, warm=Truth.TRUE)) == "interlocked"


@pytest.mark.parametrize(
    ("state", "silent_s", "said"),
    [
        (None, HEARD, "no alarm engine has published it"),
        (QUIET, 10.1, "no alarm engine was heard for 10 s"),
        (QUIET, float("inf"), "no alarm engine has been heard yet by this process"),
        (initial(SPEC), HEARD, "the alarm engine has not read its inputs yet"),
        (replace(QUIET, unread=True), HEARD, "the alarm engine has not read from the database whether it is tripped"),
        (replace(QUIET, effects=QUIET.effects[:2]), HEARD, "the alarm engine has another description"),
        (
            replace(QUIET, effects=tuple(replace(one, kind="stop") for one in QUIET.effects)),
            HEARD,
            "the alarm engine has another description, in which no_start forbids no start",
        ),
    ],
)
def test_what_is_not_known_forbids_and_says_why(state: InterlockState | None, silent_s: float, said: str) -> None:
    ((one,),) = permissives([SPEC]).values()
    cause = start_forbidden(one, state, silent_s)
    assert cause is not None
    assert (cause.code, cause.source) == ("interlock_unknown", "interlock.cooling")
    assert said in cause.message
    assert cause.suggestion


@given(
    st.lists(
        st.tuples(
            st.integers(0, 8), st.dictionaries(st.sampled_from(["warm", "pump", "other"]), st.sampled_from(list(Truth)))
        ),
        max_size=20,
    )
)
def test_a_start_that_was_allowed_is_never_followed_by_a_trip_without_a_new_input(
    history: list[tuple[int, dict[str, Truth]]],
) -> None:
    """Where a start is allowed, the same inputs for ever lead to no effect that forbids it."""
    state, now_s = QUIET, 1
    for wait_s, truths in history:
        now_s += wait_s
        state = after(state, now_s, **truths)
        later = after(after(state, now_s + 10, **truths), now_s + 100, **truths)
        acts = later.effect("no_start")
        assert acts is not None
        assert (why(state) != "") == (acts.acting_ns is not None)


def test_a_cause_whose_inputs_are_known_again_is_told_without_them() -> None:
    lost = CauseState(name="chiller_lost", title="Chiller lost", present_since_ns=1)
    assert told(lost) == "Chiller lost cannot be evaluated"
    stale = replace(lost, inputs=(InputState(text="state", truth=Truth.STALE),))
    assert told(stale) == "Chiller lost cannot be evaluated (its inputs are stale)"
