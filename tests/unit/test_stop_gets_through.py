"""Stop and abort always get through: no lock, hold, look round or earlier order stands against them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import RECORDING, Action
from countingroom.runs.planner.events import GoalFailed, GoalMet, GoalSet, HookOver, LockSet, RunHook, RunOver
from countingroom.runs.planner.legality import refusal
from countingroom.runs.planner.template import Hook, Template
from tests.unit.plant import CBM, SECOND, Plant


def with_hook() -> Template:
    hook = Hook(name="farewell", command=("true",), trigger="before stop", awaited="before stop")
    return msgspec.structs.replace(CBM, hooks=(hook,))


def locked(plant: Plant) -> None:
    plant.step(LockSet(locked=True))


def looking(plant: Plant) -> None:
    plant.partition = plant.restart()


@pytest.mark.parametrize("command", ["stop", "abort"])
@pytest.mark.parametrize("hinder", [locked, looking], ids=lambda one: one.__name__)
def test_neither_a_lock_nor_the_first_look_of_an_owner_refuses(hinder: Callable[[Plant], None], command: str) -> None:
    plant = Plant().reach("Recording")
    hinder(plant)
    assert refusal(plant.partition, command) is None


def test_an_abort_that_is_asked_for_during_the_first_look_is_carried_out_after_it() -> None:
    plant = Plant().reach("Recording")
    plant.partition = plant.restart()
    plant.ask("Idle", at_once=True, command_id="a")
    assert plant.told == []
    plant.now_ns += 2 * SECOND
    plant.step(*plant.hear())
    plant.run(60)
    assert plant.partition.state == "Idle"
    assert not any(system.common == RECORDING for system in plant.systems.values())


def test_an_abort_does_not_wait_for_a_stop_that_hangs() -> None:
    plant = Plant().reach("Recording")
    plant.systems["QA"].ends_in[Action.STOP] = ""
    plant.ask("QA_Active", stop=True)
    plant.run(1)
    assert plant.told == [("QA", "stop")]
    plant.ask("Idle", at_once=True)
    assert ("QA", "abort") in plant.told
    plant.run(1)
    assert plant.partition.state == "Idle"
    assert all(system.common == "Unconfigured" for system in plant.systems.values())


def test_a_partition_is_not_idle_while_a_recorder_records() -> None:
    plant = Plant().reach("Recording")
    plant.systems["QA"].ends_in = {Action.ABORT: "", Action.STOP: ""}
    plant.ask("Idle", at_once=True)
    plant.run(CBM.abort_s - 1)
    assert plant.systems["QA"].common == RECORDING
    assert (plant.partition.state, plant.partition.run) == ("Recording", 1)
    plant.run(60)
    assert plant.partition.state != "Idle"
    assert [type(end) for end in plant.ends()] == [GoalFailed]
    plant.step(plant.become("QA", "Unconfigured"))
    assert plant.partition.state == "Idle"
    assert [type(run) for run in plant.runs()] == [RunOver]


def test_the_same_stop_joins_the_one_under_way() -> None:
    plant = Plant(with_hook()).reach("Recording")
    plant.systems["FLES"].takes_s = 5.0
    plant.effects.clear()
    for name in ("one", "two", "three", "four"):
        goal = Goal(state="QA_Active", stop=True, command_id=name, requested_by=name)
        plant.step(GoalSet(goal=goal))
        plant.run(0.01)
    hooks = [effect for effect in plant.effects if isinstance(effect, RunHook)]
    assert len(hooks) == 1
    plant.step(HookOver(hook="farewell"))
    plant.run(60)
    (end,) = plant.ends()
    assert isinstance(end, GoalMet)
    assert (end.goal.command_id, end.goal.requested_by) == ("one", "one")
    assert end.goal.joined == ("two", "three", "four")
    (over,) = [run for run in plant.runs() if isinstance(run, RunOver)]
    assert over.end is RunEnd.STOPPED


def test_a_command_that_comes_twice_joins_once() -> None:
    plant = Plant().reach("Recording")
    plant.systems["FLES"].takes_s = 5.0
    for name in ("one", "two", "two", "one"):
        plant.step(GoalSet(goal=Goal(state="QA_Active", stop=True, command_id=name)))
    assert plant.partition.goal is not None
    assert plant.partition.goal.joined == ("two",)


def test_an_abort_is_no_stop_and_takes_its_place() -> None:
    plant = Plant().reach("Recording")
    plant.systems["FLES"].takes_s = 5.0
    plant.ask("QA_Active", stop=True, command_id="stop")
    plant.ask("Idle", at_once=True, command_id="abort")
    plant.ask("Idle", at_once=True, command_id="again")
    plant.run(60)
    first, second = plant.ends()
    assert isinstance(first, GoalFailed)
    assert first.goal.command_id == "stop"
    assert isinstance(second, GoalMet)
    assert (second.goal.command_id, second.goal.joined) == ("abort", ("again",))


def test_another_goal_ends_all_that_joined_as_superseded() -> None:
    plant = Plant()
    plant.systems["TFC"].takes_s = 5.0
    for name in ("one", "two"):
        plant.step(GoalSet(goal=Goal(state="QA_Active", command_id=name)))
    plant.ask("Idle", at_once=True, command_id="abort")
    (failed, *_) = plant.ends()
    assert isinstance(failed, GoalFailed)
    assert (failed.goal.command_id, failed.goal.joined) == ("one", ("two",))
