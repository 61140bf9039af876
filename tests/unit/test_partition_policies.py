"""What is done about a failure, a loss or a change in the middle of a run is the template's to say."""

from __future__ import annotations

import msgspec
import pytest

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import ACTIVE, CONFIGURING, ERROR, RECORDING, UNCONFIGURED, Action
from countingroom.runs.planner.events import (
    Excluded,
    GoalFailed,
    GoalMet,
    GoalSet,
    HookOver,
    MembersSet,
    OrderRefused,
    Reported,
    RunBegan,
    RunHook,
    RunOver,
)
from countingroom.runs.planner.forecast import forecast
from countingroom.runs.planner.template import Hook, Level, RecoveryPolicy, Template
from tests.unit.plant import CBM, GONE, SECOND, Plant, configuration, members


def recovering(**policy: object) -> Template:
    return msgspec.structs.replace(CBM, recovery=RecoveryPolicy(**policy))  # type: ignore[arg-type]


def include(plant: Plant, system: str, *, included: bool = True) -> None:
    who = [msgspec.structs.replace(m, included=included) if m.system == system else m for m in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag="physics"))


def failure(plant: Plant) -> Cause:
    (end,) = [end for end in plant.ends() if isinstance(end, GoalFailed)]
    return end.cause


def over(plant: Plant) -> RunOver:
    (one,) = [one for one in plant.runs() if isinstance(one, RunOver)]
    return one


# Recovery.


def test_asking_is_the_default_one_failure_and_a_person_decides() -> None:
    plant = Plant()
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run()
    assert plant.told == [("TFC", "configure"), ("sts", "configure"), ("rich", "configure")]
    assert plant.partition.state == "TFC_Active"
    assert failure(plant).message == "sts is Error after it was configured once"
    assert plant.partition.cause and plant.partition.cause.message == failure(plant).message


def test_a_retry_resets_and_configures_again_as_often_as_the_policy_says() -> None:
    plant = Plant(recovering(attempts=3))
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run()
    sts = [action for system, action in plant.told if system == "sts"]
    assert sts == ["configure", "reset", "configure", "reset", "configure"]
    assert failure(plant).code == "not_ready"


def test_a_retry_that_succeeds_goes_on() -> None:
    plant = Plant(recovering(attempts=2))
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run(0.15)
    plant.systems["sts"].ends_in = {}
    plant.run()
    assert plant.partition.state == "QA_Active"


def test_falling_back_aborts_the_level_that_failed_and_rests_below() -> None:
    plant = Plant(recovering(fall_back=True))
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run()
    assert failure(plant).code == "not_ready"
    assert plant.told[-1] == ("rich", "abort")
    assert plant.partition.state == "TFC_Active"
    assert plant.systems["TFC"].common == ACTIVE
    assert plant.partition.goal is None


def test_an_expendable_member_that_failed_is_excluded_and_the_others_go_on() -> None:
    who = [msgspec.structs.replace(m, critical=m.system != "sts") for m in members()]
    plant = Plant(recovering(exclude_expendable=True), who)
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run()
    (excluded,) = [effect for effect in plant.effects if isinstance(effect, Excluded)]
    assert excluded.system == "sts"
    assert excluded.cause.message == "sts is Error after it was configured once"
    assert plant.partition.state == "QA_Active"
    assert not next(m for m in plant.partition.members if m.system == "sts").included


def test_resuming_goes_up_again_after_a_loss_but_never_begins_a_run_by_itself() -> None:
    plant = Plant(recovering(resume=True)).reach("Recording")
    plant.step(plant.become("sts", ERROR))
    plant.run()
    assert plant.told == [("QA", "stop"), ("FLES", "stop"), ("sts", "reset"), ("sts", "configure")]
    assert plant.partition.state == "QA_Active"
    assert over(plant).end is RunEnd.LOST


def test_without_resuming_a_loss_is_left_to_a_person() -> None:
    plant = Plant().reach("QA_Active")
    plant.step(plant.become("sts", ERROR))
    plant.run()
    assert plant.told == []
    assert plant.partition.state == "TFC_Active"


def test_a_loss_on_the_way_up_ends_the_way() -> None:
    plant = Plant()
    plant.systems["sts"].takes_s = 10.0
    plant.ask("QA_Active")
    plant.run(1)
    plant.step(plant.die("TFC"))
    plant.run()
    assert failure(plant).code == "level_lost"
    assert failure(plant).causes == (GONE,)
    assert ("TFC", "configure") not in plant.told[1:]


# Levels.


def test_a_run_that_was_to_begin_after_the_way_up_is_over_with_the_way() -> None:
    plant = Plant()
    plant.systems["QA"].takes_s = 5.0
    plant.ask("Recording")
    plant.run(2)
    assert plant.partition.state == "Configuring_QA"
    plant.step(plant.die("TFC"))
    assert failure(plant).code == "level_lost"
    assert over(plant).end is RunEnd.NEVER_STARTED and plant.partition.run == 0


def test_a_minimum_that_is_not_met_has_a_cause_that_counts() -> None:
    levels = (*CBM.levels[:1], msgspec.structs.replace(CBM.levels[1], minimum=2), *CBM.levels[2:])
    who = [msgspec.structs.replace(m, critical=m.kind == "global") for m in members(detectors=["a", "b", "c"])]
    plant = Plant(msgspec.structs.replace(CBM, levels=levels), who)
    for name in ("a", "b"):
        plant.systems[name].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("QA_Active")
    plant.run()
    assert failure(plant).code == "too_few"
    assert failure(plant).message == "Detectors needs 2 systems; 1 of 3 are ready"
    assert len(failure(plant).causes) == 2
    plant.systems["a"].ends_in = {}
    plant.ask("QA_Active")
    plant.run()
    assert plant.partition.state == "QA_Active"


def test_several_critical_failures_are_all_told() -> None:
    plant = Plant()
    plant.step(plant.die("sts"), plant.die("rich"))
    plant.ask("QA_Active")
    plant.run()
    first = "sts is not connected: its agent is gone"
    assert failure(plant).message == f"2 systems keep Detectors from being ready: {first}"
    assert {cause.code for cause in failure(plant).causes} == {"not_connected"}
    assert all(cause.causes == (GONE,) for cause in failure(plant).causes)


# What is refused or wrong.


def test_a_refused_order_is_not_given_again_at_once() -> None:
    plant = Plant()
    plant.systems["TFC"].refuses = {Action.CONFIGURE}
    plant.ask("QA_Active")
    plant.run()
    assert plant.told == [("TFC", "configure")]
    assert failure(plant).causes[0].code == "busy"


def test_a_recorder_that_does_not_start_stops_the_other_and_the_run_never_started() -> None:
    plant = Plant().reach("QA_Active")
    plant.systems["FLES"].ends_in = {Action.START: ""}
    plant.ask("Recording")
    plant.run()
    assert plant.told == [("QA", "start"), ("FLES", "start"), ("QA", "stop")]
    assert failure(plant).code == "start_failed"
    assert over(plant).end is RunEnd.NEVER_STARTED
    assert plant.partition.state == "QA_Active"


def test_a_recorder_that_does_not_stop_is_aborted() -> None:
    plant = Plant().reach("Recording")
    plant.systems["QA"].ends_in = {Action.STOP: ""}
    plant.ask("QA_Active")
    plant.run()
    assert plant.told[:3] == [("QA", "stop"), ("QA", "abort"), ("FLES", "stop")]
    assert over(plant).end is RunEnd.STOPPED


def test_what_an_agent_did_not_do_before_it_was_lost_does_not_count_when_it_is_back() -> None:
    plant = Plant().reach("Recording")
    for lost in [plant.die(name) for name in ("sts", "QA", "FLES")]:
        plant.step(lost)
    assert plant.told == [("QA", "stop"), ("FLES", "stop")]  # which nobody heard
    plant.orders.clear()
    for name in ("QA", "FLES"):
        system = plant.systems[name]
        system.alive, system.boot, system.sequence = True, "second", 0
        plant.step(*plant.heard(system))
        plant.run(1)
    assert plant.told == [("QA", "stop"), ("FLES", "stop")]


def test_a_system_that_will_not_abort_ends_the_goal_with_its_name() -> None:
    plant = Plant().reach("QA_Active")
    plant.systems["rich"].ends_in = {Action.ABORT: ""}
    plant.ask("Idle", at_once=True)
    plant.run()
    assert failure(plant).code == "abort_failed"
    assert failure(plant).causes[0].message == "rich did not abort within 10 s"


def test_a_system_found_configuring_has_its_time_and_then_is_aborted() -> None:
    plant = Plant()
    plant.step(plant.become("TFC", CONFIGURING))
    plant.ask("TFC_Active")
    plant.run(29)
    assert plant.told == []
    plant.run(2)
    assert plant.told == [("TFC", "abort"), ("TFC", "configure")]
    plant.run()
    assert plant.partition.state == "TFC_Active"


def test_a_report_from_before_the_order_does_not_end_it() -> None:
    plant = Plant()
    plant.systems["TFC"].takes_s = 5.0
    plant.ask("TFC_Active")
    old = plant.systems["TFC"]
    old.order, sent = "", old.order
    stale = old.report()
    old.order = sent
    plant.step(Reported(state=stale))
    assert "TFC" in plant.partition.attempts.pending
    plant.run()
    assert plant.told == [("TFC", "configure")]
    assert plant.partition.state == "TFC_Active"


def test_a_refusal_of_another_order_says_nothing_of_this_one() -> None:
    plant = Plant()
    plant.ask("TFC_Active")
    plant.step(OrderRefused(system="TFC", action=Action.CONFIGURE, cause=GONE, id="some other"))
    plant.run()
    assert plant.partition.state == "TFC_Active"


# In the middle of a run.


def test_a_detector_included_while_recording_is_readied_and_the_run_goes_on() -> None:
    plant = Plant()
    include(plant, "sts", included=False)
    plant.reach("Recording")
    include(plant, "sts")
    assert plant.partition.joining == {"sts"}
    assert plant.partition.state == "Recording"
    plant.ask("Recording")
    plant.run()
    assert plant.told == [("sts", "configure")]
    assert plant.partition.joining == set()
    assert [type(end) for end in plant.ends()] == [GoalMet]
    assert plant.runs() == []
    plant.step(plant.become("sts", UNCONFIGURED))
    plant.run()
    assert over(plant).end is RunEnd.LOST


def test_one_that_fails_to_join_ends_the_wish_and_not_the_run() -> None:
    plant = Plant()
    include(plant, "sts", included=False)
    plant.reach("Recording")
    include(plant, "sts")
    plant.systems["sts"].ends_in = {Action.CONFIGURE: ERROR}
    plant.ask("Recording")
    plant.run()
    assert plant.partition.state == "Recording"
    assert plant.runs() == []
    assert len(plant.ends()) == 1


def test_a_member_excluded_is_left_as_it_is_and_a_recorder_excluded_is_stopped() -> None:
    plant = Plant().reach("Recording")
    include(plant, "rich", included=False)
    plant.run()
    assert plant.told == []
    include(plant, "FLES", included=False)
    plant.run()
    assert plant.told == [("FLES", "stop")]
    assert plant.partition.state == "Recording"
    assert plant.runs() == []


def test_another_selection_does_not_disturb_the_run_and_counts_after_it() -> None:
    plant = Plant().reach("Recording")
    who = [msgspec.structs.replace(m, wanted=configuration(m.system, "cosmics")) for m in plant.partition.members]
    plant.step(MembersSet(members=tuple(who), tag="cosmics"))
    plant.run()
    assert plant.told == []
    assert plant.partition.state == "Recording"
    plant.step(GoalSet(goal=Goal(state="QA_Active", stop=True)))
    plant.run()
    assert plant.told == [("QA", "stop"), ("FLES", "stop")]
    assert over(plant).end is RunEnd.STOPPED
    assert [type(end) for end in plant.ends()] == [GoalMet]
    assert plant.partition.state == "QA_Active"
    plant.ask("QA_Active")
    plant.run()
    assert all(system.tag == "cosmics" for system in plant.systems.values())


def test_selecting_another_configuration_shows_what_is_to_be_configured_again() -> None:
    plant = Plant().reach("QA_Active")
    who = [
        msgspec.structs.replace(m, wanted=configuration(m.system, "cosmics")) if m.level in ("QA", "Detectors") else m
        for m in plant.partition.members
    ]
    plant.step(MembersSet(members=tuple(who), tag="cosmics"))
    assert (plant.partition.state, plant.partition.cause) == ("QA_Active", None)
    assert plant.partition.survey().configured == "TFC_Active"
    plant.ask("QA_Active")
    plant.run()
    assert plant.told == [("sts", "configure"), ("rich", "configure"), ("QA", "configure")]
    assert plant.partition.cause is None


def test_a_run_ended_by_its_limit_says_so() -> None:
    plant = Plant().reach("Recording")
    plant.step(GoalSet(goal=Goal(state="QA_Active", stop=True), end=RunEnd.LIMIT))
    plant.run()
    assert over(plant).end is RunEnd.LIMIT


def test_who_still_records_a_run_that_is_over_is_stopped_when_heard_again() -> None:
    plant = Plant().reach("Recording")
    plant.step(*plant.silence())
    assert [effect for effect in plant.runs() if isinstance(effect, RunOver)]
    plant.orders.clear()
    plant.effects.clear()
    plant.step(*plant.hear())
    assert plant.partition.state == "QA_Active"
    plant.run(5)
    assert plant.told == [("QA", "stop"), ("FLES", "stop")]
    assert {order.step.reason for order in plant.orders} == {"run 1 is over"}
    assert (plant.partition.state, plant.partition.run) == ("QA_Active", 0)
    assert plant.runs() == []


def test_a_new_run_does_not_begin_with_who_still_records_the_last_one() -> None:
    plant = Plant().reach("Recording")
    plant.step(*plant.silence())
    plant.effects.clear()
    plant.orders.clear()
    plant.step(*plant.hear(), GoalSet(goal=Goal(state="Recording"), run=2))
    assert plant.runs() == []
    plant.run(5)
    assert plant.told == [("QA", "stop"), ("FLES", "stop"), ("QA", "start"), ("FLES", "start")]
    assert plant.runs() == [RunBegan(run=2)]
    assert (plant.partition.state, plant.partition.run) == ("Recording", 2)


def test_a_recording_that_nobody_here_began_is_followed() -> None:
    plant = Plant().reach("QA_Active")
    plant.step(plant.become("QA", RECORDING), plant.become("FLES", RECORDING))
    plant.run(5)
    assert (plant.partition.state, plant.told) == ("Recording", [])


def test_a_second_run_number_while_one_is_open_is_given_back() -> None:
    plant = Plant().reach("Recording")
    plant.step(GoalSet(goal=Goal(state="Recording"), run=99))
    plant.run()
    assert (over(plant).run, over(plant).end) == (99, RunEnd.NEVER_STARTED)
    cause = over(plant).cause
    assert cause and (cause.code, cause.message, cause.source) == ("run_open", "run 1 is open", "runs.1")
    assert cause.suggestion == "stop it, then start the next"
    assert plant.partition.run == 1


# A new owner.


def known(plant: Plant) -> None:
    plant.step(*(fact for system in plant.systems.values() for fact in plant.heard(system)))


def test_a_run_that_was_over_when_the_next_owner_looked_is_closed_as_such() -> None:
    plant = Plant().reach("Recording")
    plant.partition = plant.restart()
    plant.become("QA", ACTIVE)
    plant.become("FLES", ACTIVE)
    known(plant)
    assert over(plant).end is RunEnd.OWNER_DIED
    assert plant.partition.state == "QA_Active"


def test_a_new_owner_goes_on_with_the_goal_of_the_old_one() -> None:
    plant = Plant()
    plant.ask("Recording")
    plant.run(0.25)
    plant.partition = plant.restart()
    known(plant)
    plant.run()
    assert plant.partition.state == "Recording"
    assert [type(end) for end in plant.ends()] == [GoalMet]
    assert plant.partition.run == 1


def test_a_new_owner_half_way_through_a_stop_ends_it() -> None:
    plant = Plant().reach("Recording")
    plant.ask("QA_Active")
    plant.run(0.15)
    assert plant.systems["QA"].common == ACTIVE
    plant.partition = plant.restart()
    known(plant)
    plant.run()
    assert plant.partition.state == "QA_Active"
    assert over(plant).run == 1


def test_a_new_owner_that_hears_nothing_of_a_member_looks_only_so_long() -> None:
    plant = Plant().reach("QA_Active")
    plant.partition = plant.restart()
    plant.now_ns += 2 * SECOND
    plant.step()
    assert plant.partition.state == "Idle"
    assert plant.told == []


# Hooks.


def hooked(*hooks: Hook, recovery: RecoveryPolicy = CBM.recovery) -> Plant:
    return Plant(msgspec.structs.replace(CBM, hooks=hooks, recovery=recovery))


def begun(plant: Plant) -> list[str]:
    return [effect.hook.name for effect in plant.effects if isinstance(effect, RunHook)]


def hook(name: str, trigger: str, awaited: str = "", *, critical: bool = True) -> Hook:
    return Hook(name=name, command=("true",), trigger=trigger, awaited=awaited or trigger, critical=critical)


def test_a_hook_is_begun_at_its_trigger_and_waited_for_where_it_says() -> None:
    plant = hooked(hook("air", "before configure Detectors", "before start"))
    plant.ask("QA_Active")
    plant.run(5)
    assert begun(plant) == ["air"]
    assert plant.partition.state == "QA_Active"
    assert len(plant.ends()) == 1


def test_what_awaits_a_hook_is_held_until_it_is_over() -> None:
    plant = hooked(hook("beam", "before start"))
    plant.ask("Recording")
    plant.run(5)
    assert plant.partition.state == "QA_Active"
    assert ("QA", "start") not in plant.told
    plant.step(HookOver(hook="beam"))
    plant.run()
    assert plant.partition.state == "Recording"
    assert begun(plant) == ["beam"]


@pytest.mark.parametrize("late", [True, False])
def test_a_critical_hook_that_fails_ends_the_way(late: bool) -> None:
    plant = hooked(hook("beam", "before start"))
    plant.ask("Recording")
    plant.run(5)
    if not late:
        plant.step(HookOver(hook="beam", cause=GONE))
    plant.run()
    (reason,) = failure(plant).causes
    assert failure(plant).code == "hook_failed"
    assert failure(plant).message == f"the hook beam failed: {reason.message}"
    late_cause = ("not_in_time", "the hook beam was not over in time", "runs.beam")
    assert (reason.code, reason.message, reason.source) == (late_cause if late else (GONE.code, GONE.message, ""))
    assert over(plant).end is RunEnd.NEVER_STARTED
    assert plant.partition.state == "QA_Active"


def test_a_hook_that_is_not_critical_is_only_waited_for() -> None:
    plant = hooked(hook("beam", "before start", critical=False))
    plant.ask("Recording")
    plant.run()
    assert plant.partition.state == "Recording"


def test_no_failure_of_a_hook_hinders_a_stop() -> None:
    plant = hooked(hook("ramp", "before stop"), hook("copy", "after stop")).reach("Recording")
    plant.ask("Idle")
    plant.step(HookOver(hook="ramp", cause=GONE))
    plant.run()
    assert begun(plant) == ["ramp", "copy"]
    assert plant.partition.state == "Idle"


def test_a_hook_after_configuring_is_run_once_a_way() -> None:
    plant = hooked(hook("check", "after configure Detectors"))
    plant.ask("QA_Active")
    plant.run(5)
    assert plant.partition.state == "Detectors_Active"
    plant.step(HookOver(hook="check"))
    plant.run()
    assert plant.partition.state == "QA_Active"
    assert begun(plant) == ["check"]


def test_the_way_up_after_a_loss_is_of_no_command() -> None:
    """The commands that asked for the run have failed; they are not done when it is ready again."""
    plant = hooked(hook("beam", "after start"), recovery=RecoveryPolicy(resume=True)).reach("QA_Active")
    for name, run in (("one", 1), ("two", 0)):
        plant.step(GoalSet(goal=Goal(state="Recording", requested_by="anna", command_id=name), run=run))
    plant.run(3)
    assert plant.partition.began and plant.ends() == []
    plant.step(plant.become("FLES", ERROR))
    lost_ns = plant.now_ns
    plant.step(HookOver(hook="beam"))
    plant.run()
    failed, met = plant.ends()
    assert isinstance(failed, GoalFailed) and isinstance(met, GoalMet)
    assert (failed.goal.command_id, failed.goal.joined) == ("one", ("two",))
    assert (met.goal.command_id, met.goal.joined, met.goal.state) == ("", (), "QA_Active")
    assert (met.goal.requested_by, met.goal.since_ns) == ("anna", lost_ns)


# The forecast.


def test_the_plan_shows_stages_reasons_times_and_who_stays() -> None:
    plant = Plant().reach("TFC_Active")
    times = {("sts", Action.CONFIGURE): 3.0, ("rich", Action.CONFIGURE): 5.0, ("QA", Action.CONFIGURE): 1.0}
    plan = forecast(plant.partition, Goal(state="Detectors_Active"), now_ns=plant.now_ns, durations=times)
    (stage,) = plan.stages
    assert stage.title == "configure Detectors"
    assert stage.expected_s == plan.expected_s == 5.0
    assert {step.reason for step in stage.steps} == {"it is not configured; wanted is physics"}
    assert plan.kept["TFC"] == "it is Active with physics"
    whole = forecast(plant.partition, Goal(state="QA_Active"), now_ns=plant.now_ns, durations=times)
    assert [one.title for one in whole.stages] == ["configure Detectors", "configure FLES_and_DCS", "configure QA"]
    assert whole.expected_s is None


def test_the_plan_of_another_tag_names_what_changes_and_all_above() -> None:
    plant = Plant().reach("QA_Active")
    who = [
        msgspec.structs.replace(m, wanted=configuration(m.system, "cosmics")) if m.level == "QA" else m
        for m in plant.partition.members
    ]
    other = msgspec.structs.replace(plant.partition, members=tuple(who), tag="cosmics")
    plan = forecast(other, Goal(state="Recording"), now_ns=plant.now_ns)
    assert [one.title for one in plan.stages] == ["configure QA", "start QA", "start FLES"]
    assert plan.stages[0].steps[0].reason == "it has physics; wanted is cosmics"
    assert plan.tag == "cosmics"
    assert set(plan.kept) == {"TFC", "sts", "rich", "DCS"}


def test_the_plan_of_another_tag_is_what_selecting_it_and_going_there_does() -> None:
    plant = Plant().reach("QA_Active")
    who = tuple(
        msgspec.structs.replace(m, wanted=configuration(m.system, "cosmics")) if m.level == "TFC" else m
        for m in plant.partition.members
    )
    other = msgspec.structs.replace(plant.partition, members=who, tag="cosmics")
    plan = forecast(other, Goal(state="Detectors_Active"), now_ns=plant.now_ns)
    plant.step(MembersSet(members=who, tag="cosmics"))
    plant.ask("Detectors_Active")
    plant.run()
    assert (
        [(s.system, s.action.value) for one in plan.stages for s in one.steps] == plant.told == [("TFC", "configure")]
    )


def test_the_plan_says_what_stands_against_it() -> None:
    plant = Plant()
    plant.step(plant.die("sts"))
    plan = forecast(plant.partition, Goal(state="QA_Active"), now_ns=plant.now_ns)
    assert plan.obstacle
    assert plan.obstacle.code == "not_connected"
    assert plan.kept["sts"] == "it is not connected"


def test_the_plan_of_where_it_is_is_nothing_to_be_done() -> None:
    plant = Plant().reach("QA_Active")
    plan = forecast(plant.partition, Goal(state="QA_Active"), now_ns=plant.now_ns)
    assert not plan.stages
    assert plan.obstacle is None


def test_a_template_of_another_make_needs_no_code() -> None:
    template = Template(
        name="stand",
        levels=(
            Level(name="Power", members=("psu",), loss="off"),
            Level(name="Readout", members=("daq",), loss="gone"),
        ),
        recorders=("daq",),
        idle="Off",
        recording="Running",
    )
    plant = Plant(template)
    plant.ask("Running")
    plant.run()
    assert [row[2] for row in plant.rows] == [
        "Configuring_Power",
        "Power_Active",
        "Configuring_Readout",
        "Readout_Active",
        "Running",
    ]
    plant.step(plant.die("psu"))
    assert plant.rows[-1] == ("Running", "off", "Off")
