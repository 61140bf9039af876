"""Changed parameters go to systems whose agents can take them in place; the partition stays in its state."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core.partitions import Goal
from countingroom.core.systems import ACTIVE, ERROR, RECORDING, Action
from countingroom.runs.planner.events import GoalFailed, GoalMet, MembersSet
from countingroom.runs.planner.fingerprint import Chosen, with_fingerprints
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.legality import refusal
from countingroom.runs.planner.members import resolve_members
from countingroom.runs.planner.template import RecoveryPolicy
from tests.unit.plant import CBM, Plant, configuration, members

ABLE = ("sts", "rich", "FLES")


def ready(state: str = "QA_Active", recovery: RecoveryPolicy | None = None) -> Plant:
    """A partition in this state whose detectors and FLES can be reconfigured in place."""
    template = msgspec.structs.replace(CBM, recovery=recovery) if recovery else CBM
    return Plant(template, members(template, in_place=ABLE)).reach(state)


def select(plant: Plant, *systems: str, base: str = "") -> None:
    """Select other parameters for these systems."""
    plant.step(
        MembersSet(
            members=tuple(
                msgspec.structs.replace(one, wanted=configuration(one.system, "noise"), base=base or one.base)
                if one.system in systems
                else one
                for one in plant.partition.members
            ),
            tag="noise",
        )
    )


def failure(plant: Plant) -> GoalFailed:
    (end,) = plant.ends()
    assert isinstance(end, GoalFailed)
    return end


@pytest.mark.parametrize("state", ["QA_Active", "Detectors_Active"])
@pytest.mark.parametrize("command", ["reconfigure", "configure", "goal"])
def test_exactly_what_differs_is_changed_and_the_partition_stays(state: str, command: str) -> None:
    plant = ready(state)
    select(plant, "sts")
    goal = plant.partition.template.rests[1] if command == "configure" else state
    plant.ask(goal, reconfigure=command == "reconfigure")
    plant.run(60)
    assert plant.told == [("sts", "reconfigure")]
    assert plant.rows == []
    assert plant.partition.state == state
    assert [type(end) for end in plant.ends()] == [GoalMet]
    assert (plant.systems["sts"].common, plant.systems["sts"].tag) == (ACTIVE, "noise")


def test_the_plan_shows_the_change_with_its_reason_and_what_stays() -> None:
    plant = ready()
    select(plant, "sts", "FLES")
    plan = forecast(plant.partition, Goal(state="QA_Active"), now_ns=plant.now_ns)
    (stage,) = plan.stages
    assert [(step.system, step.action) for step in stage.steps] == [
        ("sts", Action.RECONFIGURE),
        ("FLES", Action.RECONFIGURE),
    ]
    assert stage.steps[0].reason == "it has physics; noise is given to it in place"
    assert stage.title == "reconfigure Detectors, FLES_and_DCS"
    assert plan.kept["QA"] == "it is Active with physics"
    assert plan.obstacle is None


def test_what_cannot_be_changed_in_place_is_configured_with_all_that_differs() -> None:
    plant = ready()
    select(plant, "sts", "DCS")
    cause = refusal(plant.partition, "reconfigure")
    assert cause
    assert cause.code == "not_in_place"
    assert "DCS" in cause.message
    refused = refusal(plant.partition, "start")
    assert refused
    assert refused.message.endswith(": configure")
    plant.ask("QA_Active")
    plant.run(60)
    assert plant.told == [("sts", "configure"), ("DCS", "configure")]


def test_a_start_names_the_shorter_way_where_it_is_enough() -> None:
    plant = ready()
    select(plant, "sts")
    cause = refusal(plant.partition, "start")
    assert cause
    assert cause.message == "selected noise, sts has physics: reconfigure"
    assert cause.suggestion == "reconfigure first"


def test_a_system_whose_lower_levels_have_changed_is_configured() -> None:
    plant = ready()
    select(plant, "sts", base="other")
    assert refusal(plant.partition, "reconfigure") is not None
    plant.ask("QA_Active")
    plant.run(60)
    assert plant.told == [("sts", "configure")]


def test_a_failed_change_leaves_all_as_it_is_and_says_why() -> None:
    plant = ready()
    plant.systems["sts"].ends_in[Action.RECONFIGURE] = ERROR
    select(plant, "sts", "rich")
    plant.ask("QA_Active", reconfigure=True)
    plant.run(60)
    assert plant.told == [("sts", "reconfigure"), ("rich", "reconfigure")]
    assert "the threshold is out of range" in failure(plant).cause.message
    assert (plant.partition.state, plant.rows) == ("QA_Active", [])
    assert (plant.systems["sts"].tag, plant.systems["rich"].tag) == ("physics", "noise")
    assert plant.partition.cause and plant.partition.cause.message == failure(plant).cause.message


def test_a_change_that_does_not_end_fails_at_its_deadline() -> None:
    plant = ready()
    plant.systems["sts"].ends_in[Action.RECONFIGURE] = ""
    select(plant, "sts")
    plant.ask("QA_Active", reconfigure=True)
    plant.run(60)
    assert "did not reconfigure within" in failure(plant).cause.message
    assert plant.partition.state == "QA_Active"


def test_configure_mends_what_could_not_be_changed_in_place() -> None:
    plant = ready()
    plant.systems["sts"].ends_in[Action.RECONFIGURE] = ERROR
    select(plant, "sts")
    plant.ask("QA_Active")
    plant.run(60)
    assert plant.told == [("sts", "reconfigure")]
    assert plant.partition.state == "QA_Active"
    plant.ask("QA_Active")
    plant.run(60)
    assert plant.told == [("sts", "reconfigure"), ("sts", "configure")]
    assert plant.systems["sts"].tag == "noise"


@pytest.mark.parametrize("end", ["changed", ERROR])
@pytest.mark.parametrize("policy", [RecoveryPolicy(fall_back=True), RecoveryPolicy(resume=True)])
def test_a_run_goes_on_whatever_comes_of_the_change(policy: RecoveryPolicy, end: str) -> None:
    plant = ready("Recording", policy)
    run = plant.partition.run
    for name in ABLE:
        plant.systems[name].ends_in[Action.RECONFIGURE] = end
    select(plant, *ABLE)
    assert refusal(plant.partition, "reconfigure") is None
    plant.ask("Recording", reconfigure=True)
    plant.run(60)
    assert plant.told == [(name, "reconfigure") for name in ABLE]
    assert (plant.partition.state, plant.partition.run, plant.runs()) == ("Recording", run, [])
    assert plant.systems["FLES"].common == RECORDING
    assert isinstance(plant.ends()[0], GoalMet if end == "changed" else GoalFailed)


def test_during_a_run_it_must_be_asked_for() -> None:
    plant = ready("Recording")
    select(plant, "sts")
    cause = refusal(plant.partition, "reconfigure", while_recording=False)
    assert cause
    assert cause.code == "run_open"
    assert "while_recording" in cause.suggestion
    plant.ask("Recording")
    plant.run(60)
    assert plant.told == []


def test_a_stop_waits_for_no_change() -> None:
    plant = ready("Recording")
    plant.systems["FLES"].ends_in[Action.RECONFIGURE] = ""
    select(plant, "FLES")
    plant.ask("Recording", reconfigure=True)
    plant.run(1)
    plant.ask("QA_Active", stop=True)
    plant.run(5)
    assert plant.partition.state == "QA_Active"
    assert {system.common for system in plant.systems.values()} == {ACTIVE}


def test_a_run_begins_with_the_changed_parameters() -> None:
    plant = ready()
    select(plant, "sts")
    plant.ask("Recording")
    plant.run(60)
    assert plant.told == [("sts", "reconfigure"), ("QA", "start"), ("FLES", "start")]
    assert [row[1] for row in plant.rows] == ["start_recording"]


def test_a_loss_during_the_change_takes_the_partition_down() -> None:
    plant = ready()
    plant.systems["sts"].ends_in[Action.RECONFIGURE] = ""
    select(plant, "sts")
    plant.ask("QA_Active", reconfigure=True)
    plant.run(1)
    plant.step(plant.die("rich"))
    plant.run(60)
    assert plant.partition.state == "TFC_Active"


def test_in_the_lowest_state_nothing_is_taken_down() -> None:
    plant = ready()
    plant.step(plant.die("TFC"))
    plant.run(60)
    assert plant.partition.state == "Idle"
    select(plant, "sts")
    plant.ask("Idle", reconfigure=True)
    plant.run(60)
    assert plant.told == [("sts", "reconfigure")]
    assert isinstance(plant.ends()[-1], GoalMet)


def test_a_new_owner_goes_on_with_the_change() -> None:
    plant = ready()
    plant.systems["sts"].silent = True
    select(plant, "sts")
    plant.ask("QA_Active", reconfigure=True)
    plant.run(1)
    plant.partition = plant.restart()
    plant.step(*plant.hear())
    plant.run(60)
    assert plant.partition.state == "QA_Active"
    assert plant.systems["sts"].tag == "noise"


def test_the_levels_above_do_not_depend_on_what_can_be_changed_in_place() -> None:
    who = resolve_members(CBM, ["sts", "rich"])
    first = {one.system: Chosen(tag="physics", parameters={"threshold": 10}) for one in who}
    then = {**first, "sts": Chosen(tag="physics", parameters={"threshold": 20})}
    old = with_fingerprints(CBM, who, first, in_place=ABLE)
    new = with_fingerprints(CBM, who, then, in_place=ABLE)
    assert [a.system for a, b in zip(old, new, strict=True) if a.wanted != b.wanted] == ["sts"]
    assert [one.base for one in old] == [one.base for one in new]
    assert {one.system for one in old if one.base} == set(ABLE)
    below = with_fingerprints(CBM, who, {**first, "TFC": Chosen(tag="cosmics")}, in_place=ABLE)
    assert all(a.base != b.base for a, b in zip(old, below, strict=True) if a.base)


def test_without_such_systems_the_fingerprints_are_as_before() -> None:
    who = resolve_members(CBM, ["sts"])
    chosen = {one.system: Chosen(tag="physics", parameters={"threshold": 10}) for one in who}
    keys = {one.system: one.wanted.key for one in with_fingerprints(CBM, who, chosen) if one.wanted}
    able = {one.system: one.wanted.key for one in with_fingerprints(CBM, who, chosen, in_place=["QA"]) if one.wanted}
    assert keys == able
