"""In each state of a partition an abort or a stop ends it: no run stays open, and each system is stopped."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from countingroom.core.systems import RECORDING, UNCONFIGURED
from countingroom.runs.planner.events import GoalMet, RunBegan, RunOver
from tests.examples import examples
from tests.unit.plant import Plant

MOMENTS_S = st.floats(0, 15, allow_nan=False)


def slow(seed: int) -> Plant:
    plant = Plant(chance=random.Random(seed), jitter_s=0.5)
    for system in plant.systems.values():
        system.takes_s = plant.chance.choice((0.0, 0.1, 1.0, 3.0))
    return plant


def check_runs(plant: Plant) -> None:
    began = [one.run for one in plant.runs() if isinstance(one, RunBegan)]
    over = [one.run for one in plant.runs() if isinstance(one, RunOver)]
    assert sorted(set(over)) == sorted(over), "a run is over once"
    assert set(began) <= set(over)
    assert not plant.partition.run


@settings(max_examples=examples(60, part=3), deadline=None)
@example(seed=0, moment_s=0.0, goal="Recording")
@given(st.integers(0, 1000), MOMENTS_S, st.sampled_from(["Recording", "QA_Active", "Detectors_Active"]))
def test_an_abort_at_any_moment_of_a_way_brings_everything_down(seed: int, moment_s: float, goal: str) -> None:
    plant = slow(seed)
    plant.ask(goal)
    plant.run(moment_s)
    plant.ask("Idle", at_once=True)
    plant.run(120)
    assert {system.common for system in plant.systems.values()} == {UNCONFIGURED}
    assert isinstance(plant.ends()[-1], GoalMet)
    check_runs(plant)


@settings(max_examples=examples(60, part=3), deadline=None)
@given(st.integers(0, 1000), st.lists(MOMENTS_S, min_size=1, max_size=5))
def test_stops_at_any_moments_of_a_start_end_the_run(seed: int, pauses_s: list[float]) -> None:
    plant = slow(seed)
    plant.ask("QA_Active")
    plant.run(60)
    plant.ask("Recording")
    for pause_s in pauses_s:
        plant.run(pause_s / 5)
        plant.ask("QA_Active", stop=True)
    plant.run(120)
    assert not [system.name for system in plant.systems.values() if system.common == RECORDING]
    assert plant.partition.state == "QA_Active"
    check_runs(plant)
