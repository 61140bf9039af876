"""What is visible of a partition is the published state machine, row by row; what it does is little."""

from __future__ import annotations

import pytest

from countingroom.core.charts.table import read_table
from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, UNCONFIGURED, Action
from countingroom.core.yaml.located import parse
from countingroom.runs.planner.events import GoalFailed, GoalSet, RunOver
from countingroom.runs.planner.template import Template
from countingroom.runs.sections.template import TemplateSection
from tests.input_files import OWN, Tables
from tests.unit.plant import CBM, SECOND, Plant


def template_of(tables: Tables) -> Template:
    """Whose chart is the partition's table of this set."""
    if tables is not OWN:
        return CBM
    text = tables.path("template.yaml").read_text()
    return TemplateSection.model_validate(parse(text, file="template.yaml").value).template("own")


def test_the_chart_of_a_template_is_the_table_of_its_partition(tables: Tables) -> None:
    rows = [(row.state, row.event, row.next) for row in template_of(tables).chart().rows]
    table = read_table(tables.path(tables.partition).read_text(), file=tables.partition)
    assert set(rows) == {(row.state, row.event, row.next) for row in table.chart.rows}
    assert len(rows) == len(set(rows))


# One scenario a row: bring it to the state, let something happen, and see this row as the first move.


def at_rest(state: str) -> Plant:
    plant = Plant()
    return plant if state == "Idle" else plant.reach(state)


MEMBERS = {"TFC": "TFC", "Detectors": "sts", "FLES_and_DCS": "FLES", "QA": "QA"}
LOSSES = {"error_TFC": "TFC", "error_Detector": "rich", "error_FLES_OR_DCS": "DCS", "error_QA": "QA"}


def configuring(state: str) -> Plant:
    """In the middle of configuring a level, one of its members slow."""
    level = state.removeprefix("Configuring_")
    levels = [one.name for one in CBM.levels]
    plant = at_rest(CBM.rests[levels.index(level)])
    plant.systems[MEMBERS[level]].takes_s = 20.0
    plant.ask(f"{level}_Active")
    plant.run(2)
    assert plant.partition.state == state
    for system in plant.systems.values():
        system.takes_s = 0.1
    plant.effects.clear()
    plant.orders.clear()
    return plant


def bring(state: str) -> Plant:
    return configuring(state) if state.startswith("Configuring_") else at_rest(state)


def act(plant: Plant, state: str, event: str) -> None:
    level = state.removeprefix("Configuring_")
    match event:
        case "configure":
            plant.ask(CBM.rests[CBM.rests.index(state) + 1])
            plant.run(0.05)
        case "start_recording":
            plant.ask("Recording")
        case "stop_recording":
            plant.ask("QA_Active")
        case "abort":
            plant.ask("Idle", at_once=True)
        case "failure":
            plant.step(plant.become(MEMBERS[level], ERROR))
        case "success":
            pass
        case _:
            plant.step(plant.become(LOSSES[event], UNCONFIGURED))
    plant.run(60)


ROWS = [(row.state, row.event, row.next) for row in CBM.chart().rows]


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_every_row_of_the_table_is_gone(row: tuple[str, str, str]) -> None:
    state, event, following = row
    plant = bring(state)
    act(plant, state, event)
    assert plant.rows[0] == row, plant.rows
    if event in ("configure", "success", "start_recording", "stop_recording"):
        assert not plant.partition.cause
    if event == "configure":
        following = f"{following.removeprefix('Configuring_')}_Active"
    assert plant.partition.state == following
    assert plant.partition.goal is None
    assert plant.partition.run == (1 if event == "start_recording" else 0)


@pytest.mark.parametrize("state", CBM.rests)
def test_from_everywhere_it_rests_where_it_was_asked_to_be(state: str) -> None:
    for goal in CBM.rests:
        plant = at_rest(state)
        plant.ask(goal)
        plant.run(60)
        assert plant.partition.state == goal
        assert [type(end).__name__ for end in plant.ends()] == ["GoalMet"]


# What else is asked of it.


def test_configuring_goes_level_by_level_and_the_members_of_a_level_in_parallel() -> None:
    plant = Plant()
    plant.ask("QA_Active")
    plant.run(60)
    levels = [{"TFC"}, {"sts", "rich"}, {"FLES", "DCS"}, {"QA"}]
    told = plant.told
    for level in levels:
        here, told = told[: len(level)], told[len(level) :]
        assert set(here) == {(system, "configure") for system in level}
    assert told == []


def test_what_is_right_already_is_left_alone_and_the_partition_climbs_by_itself() -> None:
    plant = Plant().reach("QA_Active")
    plant.step(plant.become("sts", UNCONFIGURED))
    assert plant.partition.state == "TFC_Active"
    plant.ask("Detectors_Active")
    plant.run(60)
    assert plant.told == [("sts", "configure")]
    assert plant.partition.state == "QA_Active"


def test_a_system_that_configures_itself_is_followed_there_and_back() -> None:
    plant = Plant().reach("QA_Active")
    plant.systems["FLES"].tag, plant.systems["FLES"].key = "physics", "FLES/physics"
    plant.step(plant.become("FLES", CONFIGURING))
    assert plant.partition.state == "Configuring_FLES_and_DCS"
    plant.step(plant.become("FLES", ACTIVE))
    assert plant.partition.state == "QA_Active"
    assert plant.told == []


def test_recorders_start_and_stop_one_after_the_other_and_the_run_is_the_time_all_record() -> None:
    plant = Plant().reach("QA_Active")
    plant.ask("Recording")
    plant.run(60)
    assert plant.told == [("QA", "start"), ("FLES", "start")]
    assert [type(one).__name__ for one in plant.runs()] == ["RunBegan"]
    plant.ask("QA_Active")
    plant.run(60)
    assert plant.told[2:] == [("QA", "stop"), ("FLES", "stop")]
    over = plant.runs()[-1]
    assert (over.run, over.end) == (1, "stopped")  # type: ignore[union-attr]


@pytest.mark.parametrize(("leaver", "other"), [("QA", "FLES"), ("FLES", "QA")])
def test_one_recorder_that_leaves_stops_the_other_and_the_run_is_lost(leaver: str, other: str) -> None:
    plant = Plant().reach("Recording")
    plant.step(plant.become(leaver, ACTIVE))
    plant.run(60)
    assert plant.told == [(other, "stop")]
    assert plant.partition.state == "QA_Active"
    (over,) = plant.runs()
    assert over.end == "lost"  # type: ignore[union-attr]
    assert plant.partition.cause
    assert plant.partition.cause.code == "recorder_left"


def test_recording_is_stopped_first_when_a_detector_is_lost() -> None:
    plant = Plant().reach("Recording")
    plant.step(plant.die("sts"))
    assert plant.told == [("QA", "stop")]
    plant.run(60)
    assert plant.told == [("QA", "stop"), ("FLES", "stop")]
    assert plant.partition.state == "TFC_Active"
    assert plant.partition.cause
    assert plant.partition.cause.causes[0].code == "agent_gone"


def test_a_system_that_reports_another_tag_than_it_was_asked_for_is_aborted() -> None:
    plant = Plant()
    plant.systems["rich"].wrong_tag = True
    plant.ask("Detectors_Active")
    plant.run(60)
    assert plant.told[-1] == ("rich", "abort")
    assert plant.partition.state == "TFC_Active"
    (end,) = plant.ends()
    assert end.cause.code == "not_ready"  # type: ignore[union-attr]


def test_a_system_that_hangs_is_aborted_at_its_deadline_and_the_goal_fails_with_the_reason() -> None:
    plant = Plant()
    plant.systems["sts"].takes_s = 1e9
    plant.ask("QA_Active")
    plant.run(29)
    assert ("sts", "abort") not in plant.told
    plant.systems["sts"].takes_s = 0.1
    plant.run(60)
    assert plant.told[-1] == ("sts", "abort")
    (end,) = plant.ends()
    late = "sts did not configure within 30 s"
    assert end.cause.message == f"sts is Unconfigured after it was configured once: {late}"  # type: ignore[union-attr]
    assert end.cause.causes[0].message == late  # type: ignore[union-attr]


def test_a_cause_holds_since_it_was_found_and_not_since_the_state_began() -> None:
    plant = Plant().reach("QA_Active")
    began_ns = plant.partition.since_ns
    plant.now_ns += 60 * SECOND
    plant.systems["FLES"].ends_in[Action.START] = ERROR
    plant.ask("Recording")
    asked_ns = plant.now_ns
    plant.run(5)
    cause = plant.partition.cause
    assert cause and cause.since_ns
    assert began_ns < asked_ns <= cause.since_ns
    plant.now_ns += 60 * SECOND
    plant.step()
    assert plant.partition.cause == cause


def test_a_new_goal_ends_the_old_one_as_superseded() -> None:
    plant = Plant()
    plant.ask("QA_Active")
    plant.ask("Idle", at_once=True)
    plant.run(60)
    first, second = plant.ends()
    assert first.cause.code == "superseded"  # type: ignore[union-attr]
    assert type(second).__name__ == "GoalMet"
    assert {system.common for system in plant.systems.values()} == {UNCONFIGURED}


@pytest.mark.parametrize("first", ["TFC", "sts", "DCS", "QA"])
@pytest.mark.parametrize("state", ["Detectors_Active", "QA_Active", "Recording"])
def test_an_abort_is_one_move_in_whatever_order_the_systems_come_down(state: str, first: str) -> None:
    plant = Plant().reach(state)
    for number, system in enumerate(plant.systems.values()):
        system.takes_s = 0.1 if system.name == first else 1.0 + number
    plant.ask("Idle", at_once=True)
    plant.run(60)
    assert plant.rows == [(state, "abort", "Idle")]


def test_an_abort_that_does_not_come_to_its_end_leaves_it_where_the_systems_are() -> None:
    plant = Plant().reach("QA_Active")
    plant.systems["TFC"].ends_in = {Action.ABORT: ""}
    plant.ask("Idle", at_once=True)
    plant.run(60)
    assert [type(end) for end in plant.ends()] == [GoalFailed]
    assert plant.partition.state == "TFC_Active"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("command_id", ["c-2", ""])
def test_a_stop_halts_no_abort(command_id: str, together: bool) -> None:
    plant = Plant().reach("Recording")
    abort = GoalSet(goal=Goal(state="Idle", requested_by="anna", since_ns=0, command_id="c-1", at_once=True))
    stop = GoalSet(goal=Goal(state="QA_Active", requested_by="ben", since_ns=0, command_id=command_id, stop=True))
    for facts in [(abort, stop, stop)] if together else [(abort,), (stop,)]:
        plant.step(*facts)
    plant.run(60)
    assert {system.common for system in plant.systems.values()} == {UNCONFIGURED}
    ends = sorted((end.goal.command_id, type(end).__name__) for end in plant.ends() if end.goal.command_id)
    assert ends == [("c-1", "GoalMet"), *([("c-2", "GoalFailed")] if command_id else [])]
    assert [run.end for run in plant.runs() if isinstance(run, RunOver)] == [RunEnd.ABORTED]


def end_of_the_stop(goal: Goal) -> list[tuple[str, str]]:
    """How the commands end when this goal is asked for while a stop, joined by a second one, is under way."""
    plant = Plant().reach("Recording")
    for command_id in ("c-1", "c-2"):
        plant.step(GoalSet(goal=Goal(state="QA_Active", since_ns=0, command_id=command_id, stop=True)))
    plant.step(GoalSet(goal=goal))
    plant.run(60)
    return sorted(
        (command, type(end).__name__) for end in plant.ends() for command in (end.goal.command_id, *end.goal.joined)
    )


@pytest.mark.parametrize("state", ["Idle", "TFC_Active", "QA_Active"])
def test_a_stop_has_not_failed_where_a_lower_goal_ends_the_run_in_order(state: str) -> None:
    ends = end_of_the_stop(Goal(state=state, since_ns=0, command_id="c-3"))
    assert ends == [("c-1", "GoalMet"), ("c-2", "GoalMet"), ("c-3", "GoalMet")]


@pytest.mark.parametrize(("state", "at_once"), [("Idle", True), ("Recording", False)])
def test_a_stop_has_failed_where_the_run_is_aborted_or_goes_on(state: str, at_once: bool) -> None:
    ends = end_of_the_stop(Goal(state=state, since_ns=0, command_id="c-3", at_once=at_once))
    assert ends == [("c-1", "GoalFailed"), ("c-2", "GoalFailed"), ("c-3", "GoalMet")]


def test_a_goal_that_is_no_state_fails_at_once_and_says_what_there_is() -> None:
    plant = Plant()
    plant.ask("Recordign")
    (end,) = plant.ends()
    assert "Recording" in end.cause.message  # type: ignore[union-attr]
