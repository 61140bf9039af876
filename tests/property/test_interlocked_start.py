"""An interlock forbids a start at any moment of it: from then on no recorder is told to start."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.errors import Cause
from countingroom.core.systems import RECORDING, Action
from countingroom.runs.planner.events import GoalFailed, RunOver, StartForbidden
from tests.unit.plant import CBM, SECOND, Plant

TRIPPED = Cause(code="interlocked", message="the interlock Cooling has tripped", suggestion="reset it")
UNKNOWN = Cause(code="interlock_unknown", message="no alarm engine is heard", suggestion="wait")


def _kind(cause: Cause | None) -> tuple[str, str] | None:
    """Without the time since when it holds."""
    return cause and (cause.code, cause.message)


@given(st.floats(0, 3), st.booleans(), st.integers(0, 1000))
def test_no_recorder_is_told_to_start_after_the_trip(at_s: float, is_resumed: bool, chance: int) -> None:
    template = replace(CBM, recovery=replace(CBM.recovery, resume=is_resumed))
    plant = Plant(template, chance=random.Random(chance), jitter_s=0.3)
    plant.ask("Recording")
    plant.run(at_s)
    plant.step(StartForbidden(cause=TRIPPED))
    before, has_begun = len(plant.orders), plant.partition.began
    all_told = sum(order.step.action is Action.START for order in plant.orders) == len(template.recorders)
    plant.run(120)
    assert Action.START not in {order.step.action for order in plant.orders[before:]}
    if has_begun or all_told:
        assert plant.partition.state == "Recording", "it forbids a start, and does not stop a run"
        return
    assert [_kind(end.cause) for end in plant.ends() if isinstance(end, GoalFailed)] == [_kind(TRIPPED)]
    assert [_kind(end.cause) for end in plant.runs() if isinstance(end, RunOver)] == [_kind(TRIPPED)]
    assert RECORDING not in {system.common for system in plant.systems.values()}
    assert plant.partition.run == 0


def test_a_new_owner_waits_for_the_alarm_engine_as_long_as_it_looks_round() -> None:
    plant = Plant()
    plant.ask("Recording")
    plant.run(0.05)
    plant.partition = replace(plant.restart(), forbidden=UNKNOWN)
    plant.now_ns += SECOND // 2
    plant.step(*plant.hear())
    assert not plant.ends()
    plant.step(StartForbidden(cause=None))
    plant.run(120)
    assert plant.partition.state == "Recording"


def test_a_new_owner_that_hears_no_alarm_engine_lets_the_start_fail() -> None:
    plant = Plant()
    plant.ask("Recording")
    plant.run(0.05)
    plant.partition = replace(plant.restart(), forbidden=UNKNOWN)
    plant.step(*plant.hear())
    plant.run(120)
    assert [end.cause for end in plant.ends() if isinstance(end, GoalFailed)] == [UNKNOWN]
    assert Action.START not in {order.step.action for order in plant.orders}
