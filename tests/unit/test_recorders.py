"""Every member can take data: groups start and stop in parallel, in order only where a template names one."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ACTIVE, RECORDING, Action, SystemKind
from countingroom.runs.planner.events import GoalFailed, MembersSet, RunOver
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.recorders import with_recorders
from countingroom.runs.planner.run_troubles import troubles
from countingroom.runs.planner.template import RecoveryPolicy, Template
from tests.unit.plant import CBM, Plant, members

EVERY = {"TFC", "sts", "rich", "FLES", "DCS", "QA"}


def recording_by(*recorders: str, stop_order: tuple[str, ...] = (), **more: object) -> Template:
    return msgspec.structs.replace(CBM, recorders=recorders, stop_order=stop_order, **more)


def plant_of(template: Template, expendable: tuple[str, ...] = ()) -> Plant:
    who = tuple(
        msgspec.structs.replace(one, critical=one.critical and one.system not in expendable)
        for one in members(template)
    )
    return Plant(with_recorders(template, who), who)


def stages(plant: Plant, action: Action) -> list[set[str]]:
    """The systems that were told to do this, by the moment at which they were."""
    found: dict[int, set[str]] = {}
    for order in plant.orders:
        if order.step.action is action:
            found.setdefault(order.deadline_ns, set()).add(order.step.system)
    return list(found.values())


def recording(template: Template, expendable: tuple[str, ...] = ()) -> Plant:
    plant = plant_of(template, expendable)
    plant.ask("Recording")
    plant.run(60)
    assert plant.partition.state == "Recording"
    return plant


@pytest.mark.parametrize(
    ("recorders", "stop_order", "started", "stopped"),
    [
        (("QA", "FLES"), (), [{"QA"}, {"FLES"}], [{"QA"}, {"FLES"}]),
        (("QA", "FLES"), ("FLES", "QA"), [{"QA"}, {"FLES"}], [{"FLES"}, {"QA"}]),
        (("all",), (), [EVERY], [EVERY]),
        (("detectors",), (), [{"sts", "rich"}], [{"sts", "rich"}]),
        (("all", "TFC"), ("TFC", "all"), [EVERY - {"TFC"}, {"TFC"}], [{"TFC"}, EVERY - {"TFC"}]),
        (("detectors", "QA"), (), [{"sts", "rich"}, {"QA"}], [{"sts", "rich"}, {"QA"}]),
        (("FLES_and_DCS", "sts"), (), [{"FLES", "DCS"}, {"sts"}], [{"FLES", "DCS"}, {"sts"}]),
        (("trackers", "QA"), (), [{"sts"}, {"QA"}], [{"sts"}, {"QA"}]),
        (("sts", "absent"), (), [{"sts"}], [{"sts"}]),
    ],
)
def test_members_start_and_stop_in_parallel_except_where_an_order_is_named(
    recorders: tuple[str, ...], stop_order: tuple[str, ...], started: list[set[str]], stopped: list[set[str]]
) -> None:
    plant = recording(recording_by(*recorders, stop_order=stop_order, groups={"trackers": ("sts", "mvd")}))
    assert stages(plant, Action.START) == started
    assert {order.run for order in plant.orders if order.step.action is Action.START} == {plant.partition.run}
    plant.ask("QA_Active", stop=True)
    plant.run(60)
    assert plant.partition.state == "QA_Active"
    assert stages(plant, Action.STOP) == stopped


def test_a_system_that_is_named_by_its_name_goes_before_a_level_of_that_name() -> None:
    assert with_recorders(recording_by("QA", "detectors"), members(CBM)).starting == (("QA",), ("sts", "rich"))


def test_a_template_of_before_is_left_as_it_is() -> None:
    assert with_recorders(CBM, members(CBM)) is CBM


def test_groups_leave_out_systems_that_take_no_data() -> None:
    template = with_recorders(recording_by("all", silent=frozenset({"DCS"})), members(CBM))
    assert template.starting == (("TFC", "sts", "rich", "FLES", "QA"),)


def test_a_partition_without_a_system_that_records_still_has_the_state_and_is_not_started() -> None:
    template = with_recorders(recording_by("detectors"), members(CBM, detectors=()))
    assert template.recorders == ()
    assert template.rests == CBM.rests


def test_the_recorders_follow_the_members() -> None:
    plant = plant_of(recording_by("detectors"))
    plant.step(MembersSet(members=members(CBM, detectors=("sts", "trd")), tag="physics"))
    assert plant.partition.template.recorders == ("sts", "trd")


def test_a_needed_member_that_does_not_start_fails_the_start_with_its_cause_and_the_others_are_stopped() -> None:
    plant = plant_of(recording_by("all")).reach("QA_Active")
    plant.systems["sts"].refuses = {Action.START}
    plant.ask("Recording")
    plant.run(60)
    (failed,) = [end for end in plant.ends() if isinstance(end, GoalFailed)]
    assert failed.cause.message == "sts did not start: it is busy"
    assert plant.partition.state == "QA_Active"
    assert {one.common for one in plant.systems.values()} == {ACTIVE}
    (over,) = [effect for effect in plant.effects if isinstance(effect, RunOver)]
    assert over.end is RunEnd.NEVER_STARTED


@pytest.mark.parametrize("excludes", [False, True])
def test_a_run_begins_without_an_expendable_member_that_does_not_start_and_is_degraded(excludes: bool) -> None:
    recovery = RecoveryPolicy(exclude_expendable=excludes)
    plant = plant_of(recording_by("all", recovery=recovery), ("sts",)).reach("QA_Active")
    plant.systems["sts"].refuses = {Action.START}
    plant.ask("Recording")
    plant.run(60)
    assert plant.partition.state == "Recording"
    assert plant.partition.goal is None
    assert plant.systems["sts"].common == ACTIVE
    (what,) = troubles(plant.partition, EVERY).values()
    assert what == ("sts is excluded" if excludes else "sts does not record")


def test_a_run_goes_on_without_an_expendable_member_that_leaves_it() -> None:
    plant = recording(recording_by("all"), ("sts",))
    plant.step(plant.become("sts", ACTIVE))
    plant.run(60)
    assert plant.partition.state == "Recording"
    assert list(troubles(plant.partition, EVERY).values()) == ["sts does not record"]
    assert stages(plant, Action.START) == [EVERY]


def test_a_run_ends_with_the_last_of_its_expendable_members() -> None:
    plant = recording(recording_by("detectors"), ("sts", "rich"))
    plant.step(plant.become("sts", ACTIVE))
    assert plant.partition.state == "Recording"
    plant.step(plant.become("rich", ACTIVE))
    plant.run(60)
    (over,) = [effect for effect in plant.effects if isinstance(effect, RunOver)]
    assert over.end is RunEnd.LOST


def test_a_needed_member_that_leaves_the_run_ends_it_for_all() -> None:
    plant = recording(recording_by("all"))
    plant.step(plant.become("sts", ACTIVE))
    plant.run(60)
    assert plant.partition.state == "QA_Active"
    assert {one.common for one in plant.systems.values()} == {ACTIVE}


def excluded(plant: Plant, *systems: str) -> MembersSet:
    found = tuple(
        msgspec.structs.replace(one, included=one.included and one.system not in systems)
        for one in plant.partition.members
    )
    return MembersSet(members=found, tag="physics")


def test_a_member_that_is_excluded_from_a_run_is_stopped_and_the_run_goes_on() -> None:
    plant = recording(recording_by("all"))
    plant.step(excluded(plant, "sts"))
    plant.run(60)
    assert stages(plant, Action.STOP) == [{"sts"}]
    assert plant.systems["sts"].common == ACTIVE
    assert plant.partition.state == "Recording"


def test_an_excluded_member_that_does_not_stop_says_so() -> None:
    plant = recording(recording_by("all"))
    plant.systems["sts"].refuses = {Action.STOP, Action.ABORT}
    plant.step(excluded(plant, "sts"))
    plant.run(60)
    assert plant.partition.state == "Recording"
    assert plant.partition.cause
    assert plant.partition.cause.message == "sts did not abort: it is busy"


def test_the_plan_shows_that_all_start_at_once() -> None:
    plant = plant_of(recording_by("all")).reach("QA_Active")
    plan = forecast(plant.partition, Goal(state="Recording"), now_ns=plant.now_ns)
    (stage,) = plan.stages
    assert {step.system for step in stage.steps} == EVERY
    assert plant.partition.survey().common["sts"] != RECORDING
    assert SystemKind.DETECTOR in {member.kind for member in plant.partition.members}
