"""Orders of a partition: their deadlines, their refusals, and the owner that gives them after another one."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core.errors import Cause
from countingroom.core.interlocks.permissive import UNKNOWN
from countingroom.core.partitions import Configuration, Goal
from countingroom.core.systems import ERROR, Action
from countingroom.runs.planner.attempts import Failure
from countingroom.runs.planner.events import GoalFailed, GoalMet, MembersSet, OrderRefused, RunHook, StartForbidden
from countingroom.runs.planner.fingerprint import Chosen, with_fingerprints
from countingroom.runs.planner.legality import refusal
from countingroom.runs.planner.members import resolve_members
from countingroom.runs.planner.run_troubles import troubles
from countingroom.runs.planner.template import Hook, RecoveryPolicy, Template
from tests.unit.plant import CBM, GONE, REFUSED, Plant, members
from tests.unit.test_partition_policies import known
from tests.unit.test_reconfigure import ready, select

TIMES: Template = msgspec.structs.replace(
    CBM,
    start_s=11.0,
    stop_s=12.0,
    abort_s=13.0,
    levels=tuple(msgspec.structs.replace(level, configure_s=100.0 + number) for number, level in enumerate(CBM.levels)),
)
"""Every kind of order has its own time."""


def deadlines(plant: Plant, action: Action) -> set[float]:
    return {order.step.deadline_s for order in plant.orders if order.step.action is action}


def test_every_order_has_the_time_that_the_template_gives_for_it() -> None:
    plant = Plant(TIMES)
    plant.ask("Recording")
    plant.run(60)
    configured = {
        order.step.system: order.step.deadline_s for order in plant.orders if order.step.action is Action.CONFIGURE
    }
    assert configured == {
        one.system: 100.0 + number
        for number, level in enumerate(TIMES.levels)
        for one in members(TIMES)
        if one.level == level.name
    }
    assert deadlines(plant, Action.START) == {11.0}
    plant.ask("QA_Active")
    plant.run(60)
    assert deadlines(plant, Action.STOP) == {12.0}
    plant.ask("Idle", at_once=True)
    plant.run(60)
    assert deadlines(plant, Action.ABORT) == {13.0}


def test_a_change_in_place_has_the_time_of_a_configuration() -> None:
    plant = ready()
    select(plant, "sts")
    plant.partition = msgspec.structs.replace(
        plant.partition, template=msgspec.structs.replace(plant.partition.template, levels=TIMES.levels)
    )
    plant.ask("QA_Active", reconfigure=True)
    plant.run(60)
    level = [level.name for level in TIMES.levels].index("Detectors")
    assert deadlines(plant, Action.RECONFIGURE) == {100.0 + level}


def test_a_refusal_that_names_no_order_is_of_the_order_under_way() -> None:
    plant = Plant()
    plant.systems["TFC"].takes_s = 1e6
    plant.ask("TFC_Active")
    plant.step(OrderRefused(system="TFC", action=Action.CONFIGURE, cause=GONE))
    (end,) = plant.ends()
    assert isinstance(end, GoalFailed)
    assert GONE.message in repr(end.cause)


@pytest.mark.parametrize("fall_back", [False, True])
def test_a_start_that_an_interlock_forbids_leaves_the_systems_active(fall_back: bool) -> None:
    template = msgspec.structs.replace(CBM, recovery=RecoveryPolicy(fall_back=fall_back))
    plant = Plant(template).reach("QA_Active")
    plant.step(StartForbidden(cause=Cause(code="interlocked", message="the interlock Cooling has tripped")))
    plant.ask("Recording")
    plant.run()
    end = plant.ends()[0]
    assert isinstance(end, GoalFailed)
    assert end.cause.code == "interlocked"
    assert plant.told == []
    assert plant.partition.state == "QA_Active"


def test_a_new_owner_waits_for_the_alarm_engine_before_it_goes_on_with_a_start() -> None:
    plant = Plant().reach("QA_Active")
    plant.step(StartForbidden(cause=Cause(code=UNKNOWN, message="the interlock Cooling is not known")))
    forbidden = plant.partition.forbidden
    plant.step(StartForbidden(cause=None))
    plant.ask("Recording")
    plant.partition = msgspec.structs.replace(plant.restart(), forbidden=forbidden)
    plant.effects.clear()
    known(plant)
    assert plant.ends() == []
    plant.step(StartForbidden(cause=None))
    plant.run()
    assert [type(end) for end in plant.ends()] == [GoalMet]
    assert plant.partition.state == "Recording"


def test_fingerprints_are_the_same_in_every_version() -> None:
    """With another fingerprint of the same configuration, an update would make all systems configure again."""
    who = resolve_members(CBM, ["sts"])
    chosen = {one.system: Chosen(tag="physics", parameters={"threshold": 10}) for one in who}
    found = {one.system: one.wanted.key for one in with_fingerprints(CBM, who, chosen) if one.wanted}
    assert found == {
        "TFC": "24b57070f69e2839902f7adbc047f3f2",
        "sts": "98ba4a384d36891076d48dd25e427fdf",
        "FLES": "dcc865c20e2ee3294fcd0714f147ba2a",
        "DCS": "dcc865c20e2ee3294fcd0714f147ba2a",
        "QA": "a33ec6ca398d0dde83cbb41a587a2edb",
    }
    base = {one.system: one.base for one in with_fingerprints(CBM, who, chosen, in_place=["TFC"]) if one.base}
    assert base == {"TFC": "055539df4a0b804c58caf46c0cd2941a"}


@pytest.mark.parametrize("fall_back", [False, True])
def test_a_recorder_that_does_not_start_leaves_the_systems_active(fall_back: bool) -> None:
    template = msgspec.structs.replace(CBM, recovery=RecoveryPolicy(fall_back=fall_back))
    plant = Plant(template).reach("QA_Active")
    plant.systems["QA"].refuses = {Action.START}
    plant.ask("Recording")
    plant.run()
    end = plant.ends()[0]
    assert isinstance(end, GoalFailed)
    assert end.cause.code == "start_failed"
    assert plant.partition.state == "QA_Active"
    assert [told for told in plant.told if told[1] in ("abort", "configure")] == []


def test_an_abort_reaches_a_system_that_is_being_reset() -> None:
    plant = Plant(msgspec.structs.replace(CBM, recovery=RecoveryPolicy(attempts=2)))
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR, Action.RESET: ""}
    plant.ask("QA_Active")
    plant.run(5)
    assert plant.told[-1] == ("sts", "reset")
    plant.ask("Idle", at_once=True)
    assert ("sts", "abort") in plant.told


def test_a_system_without_a_configuration_is_not_configured() -> None:
    plant = Plant()
    without = tuple(
        msgspec.structs.replace(one, wanted=None) if one.system == "TFC" else one for one in plant.partition.members
    )
    plant.step(MembersSet(members=without, tag=""))
    plant.ask("TFC_Active")
    plant.run()
    (end,) = plant.ends()
    assert isinstance(end, GoalFailed)
    assert "no configuration" in repr(end.cause)
    assert plant.told == []


def test_a_start_names_the_systems_of_the_other_tag_before_those_with_changed_parameters() -> None:
    plant = Plant().reach("QA_Active")
    changed = {"sts": Configuration(tag="noise", key="sts/noise"), "rich": Configuration(tag="physics", key="rich/2")}
    now = [msgspec.structs.replace(one, wanted=changed.get(one.system, one.wanted)) for one in members()]
    plant.step(MembersSet(members=tuple(now), tag="noise"))
    cause = refusal(plant.partition, "start")
    assert cause is not None
    assert cause.message == "selected noise, sts has physics: configure"


def test_a_degraded_run_says_why_a_system_does_not_record() -> None:
    recorders = msgspec.structs.replace(CBM, recorders=("all",), stop_order=())
    who = tuple(msgspec.structs.replace(one, critical=one.system != "sts") for one in members(recorders))
    plant = Plant(recorders, who).reach("QA_Active")
    plant.systems["sts"].refuses = {Action.START}
    plant.ask("Recording")
    plant.run(1)
    assert plant.partition.run == 1
    failed = {"sts": Failure(action=Action.START, cause=REFUSED)}
    attempts = msgspec.structs.replace(plant.partition.attempts, failed=failed)
    found = troubles(msgspec.structs.replace(plant.partition, attempts=attempts), {one.system for one in who})
    assert list(found.values()) == ["sts does not record: it is busy"]


def test_a_loss_on_the_way_up_is_the_end_of_the_goal_that_was_asked_for() -> None:
    plant = Plant()
    plant.systems["sts"].takes_s = 10.0
    plant.ask("QA_Active", command_id="c1")
    plant.run(1)
    plant.step(plant.die("TFC"))
    plant.run()
    (end,) = plant.ends()
    assert isinstance(end, GoalFailed)
    assert (end.goal.state, end.goal.command_id) == ("QA_Active", "c1")


def test_a_goal_that_is_kept_to_resume_can_be_read_by_the_next_owner() -> None:
    plant = Plant(msgspec.structs.replace(CBM, recovery=RecoveryPolicy(resume=True))).reach("QA_Active")
    goal = plant.partition.goal
    assert goal is not None
    assert msgspec.json.decode(msgspec.json.encode(goal), type=Goal) == goal


def test_a_hook_is_given_the_goal_that_it_is_run_for() -> None:
    hook = Hook(name="air", command=("true",), trigger="before configure Detectors", awaited="before start")
    plant = Plant(msgspec.structs.replace(CBM, hooks=(hook,)))
    plant.ask("QA_Active")
    plant.run(5)
    assert [effect.goal for effect in plant.effects if isinstance(effect, RunHook)] == ["QA_Active"]


def test_a_system_that_was_late_has_its_whole_time_again_when_it_is_configured_again() -> None:
    plant = Plant(msgspec.structs.replace(CBM, recovery=RecoveryPolicy(attempts=2)))
    plant.systems["TFC"].ends_in = {Action.CONFIGURE: ""}
    plant.ask("TFC_Active")
    plant.run(CBM.levels[0].configure_s + 1)
    assert plant.told == [("TFC", "configure"), ("TFC", "abort"), ("TFC", "configure")]
    assert "TFC" not in plant.partition.attempts.failed
