"""The reducer of a partition: `step` takes facts and returns the new model and effects. It has no side effects.

Facts come in batches, because a thousand systems report at once: one plan is made for each batch. The owner carries out
the effects: it sends orders, records transitions and closes runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Configuration, Goal, Step, StepStatus
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import RECORDING, Action
from countingroom.runs.planner import causes
from countingroom.runs.planner.apply_events import apply
from countingroom.runs.planner.attempts import Failure, HookRun, Pending
from countingroom.runs.planner.decision import Decision
from countingroom.runs.planner.events import (
    Effect,
    Excluded,
    Fact,
    GoalFailed,
    GoalMet,
    PartitionMoved,
    RunHook,
    SendOrder,
)
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.plan import plan
from countingroom.runs.planner.run_closing import why_not_stopped
from countingroom.runs.planner.run_state import follow_recording
from countingroom.runs.planner.survey import UNSEEN, Survey, moves

_GIVES = (Action.CONFIGURE, Action.RECONFIGURE)
"""Actions that give a system its configuration."""
_WAYS = ("stop", "lower", "reconfigure", "in_place")
"""How a goal was to be reached. It says nothing of a goal that is kept."""


def step(
    partition: PartitionModel, facts: Sequence[Fact], *, now_ns: int, wall_ns: int | None = None
) -> tuple[PartitionModel, tuple[Effect, ...]]:
    """The partition after these facts, and what is to be done. Also called without facts when `wake_ns` is reached.

    `now_ns` is for deadlines; a caller with a real clock gives a monotonic time, so that a step of the wall clock fails
    no order. `wall_ns` is for records; None: the same.
    """
    wall_ns = now_ns if wall_ns is None else wall_ns
    given = partition
    applied = apply(partition, facts)
    partition, effects = applied.partition, list(applied.effects)
    # A new owner first waits for the reports of all systems. A plan from half of them would configure what is Active.
    if partition.is_looking(now_ns):
        return partition, applied.effects
    if partition.look_until_ns:
        partition = msgspec.structs.replace(partition, look_until_ns=0)
    partition = _expire(partition, now_ns)
    # A goal that ends can set a lower goal, and an exclusion changes the levels. So plan until nothing changes more,
    # and the orders of one batch belong to one plan.
    while True:
        found = partition.survey()
        before = partition = _follow(partition, found, wall_ns, effects)
        partition = _lost(partition, found, applied.fallen, effects)
        partition = _act(partition, found, (now_ns, wall_ns), effects)
        if (partition.goal, partition.members) == (before.goal, before.members) and (
            partition.attempts.hooks == before.attempts.hooks
        ):
            return _since(partition, given, wall_ns), tuple(effects)


def _since(partition: PartitionModel, before: PartitionModel, now_ns: int) -> PartitionModel:
    """The cause with the time from which it holds. The plan finds the same cause anew at every step."""
    cause, last = partition.cause, before.cause
    if cause is None or cause.since_ns is not None:
        return partition
    is_known = last is not None and (last.code, last.source) == (cause.code, cause.source)
    since_ns = last.since_ns if is_known and last else None
    cause = msgspec.structs.replace(cause, since_ns=now_ns if since_ns is None else since_ns)
    return msgspec.structs.replace(partition, cause=cause)


def wake_ns(partition: PartitionModel) -> int | None:
    """Time of the next step if no event comes before it: the next deadline. None without one."""
    deadlines = [pending.deadline_ns for pending in partition.attempts.pending.values()]
    deadlines += [run.deadline_ns for run in partition.attempts.hooks.values() if not run.over]
    if partition.look_until_ns:
        deadlines.append(partition.look_until_ns)
    return min(deadlines, default=None)


def _expire(partition: PartitionModel, now_ns: int) -> PartitionModel:
    """Take orders and hooks past their deadline as failed."""
    attempts = partition.attempts
    pending = {name: one for name, one in attempts.pending.items() if now_ns < one.deadline_ns}
    hooks = {name: one for name, one in attempts.hooks.items() if one.over or now_ns < one.deadline_ns}
    if len(pending) == len(attempts.pending) and len(hooks) == len(attempts.hooks):
        return partition
    seconds = {each.system: each.deadline_s for each in partition.steps}
    failed = dict(attempts.failed)
    for name in attempts.pending.keys() - pending.keys():
        action = attempts.pending[name].action
        cause = causes.late(name, action, seconds.get(name, 0.0))
        failed[name] = Failure(action=action, cause=cause, late=True)
    for name in attempts.hooks.keys() - hooks.keys():
        run = attempts.hooks[name]
        hooks[name] = HookRun(deadline_ns=run.deadline_ns, over=True, cause=causes.hook_late(name))
    attempts = msgspec.structs.replace(attempts, pending=pending, failed=failed, hooks=hooks)
    return msgspec.structs.replace(partition, attempts=attempts)


def _follow(partition: PartitionModel, found: Survey, now_ns: int, effects: list[Effect]) -> PartitionModel:
    """Let the state follow the reports; open and close the run with it."""
    if found.state != partition.state and not (_is_falling(partition, found) or _is_recorded(partition, found)):
        goal, template = partition.goal, partition.template
        aborting = goal is not None and goal.state == template.idle
        way = moves(template.chart(), partition.state, found.state, prefer=("abort",) if aborting else ())
        cause = _why_moved(partition, found) or (None if _is_higher(partition, found) else partition.cause)
        effects.append(PartitionMoved(rows=tuple((row.state, row.event, row.next) for row in way), cause=cause))
        partition = msgspec.structs.replace(partition, state=found.state, since_ns=now_ns, cause=cause)
    partition = follow_recording(partition, found, now_ns, effects)
    if partition.joining:
        right = frozenset[str]().union(*(view.right for view in found.levels))
        joining = partition.joining - right if found.any_records else frozenset[str]()
        partition = msgspec.structs.replace(partition, joining=joining)
    return partition


def _is_falling(partition: PartitionModel, found: Survey) -> bool:
    """On its way down at once: an abort is one move, in whatever order the systems come down."""
    goal, template = partition.goal, partition.template
    if goal is None or not goal.at_once or found.state == template.idle:
        return False
    return template.reached(found.state) < template.reached(partition.state)


def _is_recorded(partition: PartitionModel, found: Survey) -> bool:
    """An abort, also one that failed, has not led to idle while a recorder records."""
    is_aborted = partition.attempts.ending is RunEnd.ABORTED or (partition.goal is not None and partition.goal.at_once)
    if found.state != partition.template.idle or not is_aborted:
        return False
    members = (member.system for view in found.levels for member in view.members)
    return any(found.common[system] == RECORDING for system in members)


def _lost(partition: PartitionModel, found: Survey, fallen: frozenset[str], effects: list[Effect]) -> PartitionModel:
    """A level lost on the way up ends the way, unless the policy is to go on."""
    # Only systems that fell in this batch count. A system that was never up is what the goal is about to configure.
    goal, template = partition.goal, partition.template
    if not fallen or goal is None or goal.lower or template.recovery.resume or goal.state not in template.rests:
        return partition
    for view in found.levels[: template.height(goal.state)]:
        if lost := [name for name in view.missing if name in fallen]:
            cause = causes.level_lost(partition.name, view, [c for name in lost if (c := _own_cause(partition, name))])
            effects.append(GoalFailed(goal=goal, cause=cause))
            return msgspec.structs.replace(partition, goal=None, cause=cause)
    return partition


def _is_higher(partition: PartitionModel, found: Survey) -> bool:
    order = partition.template.chart().states
    return order.index(found.state) > order.index(partition.state) if partition.state in order else True


def _why_moved(partition: PartitionModel, found: Survey) -> Cause | None:
    """The cause of a fall that was not asked for."""
    rests, goal = partition.template.rests, partition.goal
    if partition.state not in rests or found.state not in rests:
        return None
    height = rests.index(found.state)
    if height >= rests.index(partition.state) or (goal and goal.lower):
        return None
    if found.ready == len(found.levels):
        return causes.recorder_left(partition.name, found.left) if partition.attempts.ending is None else None
    view = found.levels[found.ready]
    if all(found.common[name] in ("Active", "Recording") for name in view.missing) and view.missing:
        return causes.reconfigure(partition.name, view)
    under = [c for name in view.missing if (c := _own_cause(partition, name))]
    return causes.level_lost(partition.name, view, under)


def _own_cause(partition: PartitionModel, system: str) -> Cause | None:
    seen = partition.seen.get(system, UNSEEN)
    return (seen.state.cause if seen.state else None) if seen.connected else seen.cause


def _act(partition: PartitionModel, found: Survey, at_ns: tuple[int, int], effects: list[Effect]) -> PartitionModel:
    """Order what the plan says; end the goal that is met or cannot be. `at_ns`: for deadlines, and for records."""
    now_ns, wall_ns = at_ns
    attempts, goal = partition.attempts, partition.goal
    decision = plan(partition.template, found, partition.seen, goal, attempts, began=partition.began)
    if cause := _why_not_begun(partition, decision):
        decision = Decision(obstacle=cause, level=len(partition.template.levels))
    partition = _ordered(partition, decision, now_ns, wall_ns, effects)
    if decision.exclude:
        for system, cause in decision.exclude.items():
            effects.append(Excluded(system=system, cause=cause))
        members = tuple(
            msgspec.structs.replace(member, included=False) if member.system in decision.exclude else member
            for member in partition.members
        )
        partition = msgspec.structs.replace(partition, members=members)
    if goal and decision.settled:
        partition = _ended(partition, goal, found, decision, wall_ns, effects)
    elif decision.obstacle and decision.obstacle != partition.cause:
        partition = msgspec.structs.replace(partition, cause=decision.obstacle)
    return partition


def _why_not_begun(partition: PartitionModel, decision: Decision) -> Cause | None:
    """An interlock forbids the start now, and recorders would be told to start; None: it does not. A command was
    accepted before its systems were configured, and the interlock may have tripped since."""
    starts = any(each.action is Action.START for each in decision.steps)
    starts = starts or any(hook.trigger == "before start" for hook in decision.hooks)
    return partition.forbidden if starts and not partition.began else None


def _ordered(
    partition: PartitionModel, decision: Decision, now_ns: int, wall_ns: int, effects: list[Effect]
) -> PartitionModel:
    """Send what is to be sent, and remember it."""
    if not (decision.steps or decision.adopt or decision.hooks or decision.hook_points):
        return _without_done(partition)
    attempts = partition.attempts
    pending, tried, failed, hooks = (
        dict(attempts.pending),
        dict(attempts.tried),
        dict(attempts.failed),
        dict(attempts.hooks),
    )
    orders = attempts.orders
    members = {member.system: member for member in partition.members} if decision.steps else {}
    for each in decision.steps:
        orders += 1
        order = f"{partition.name}-{wall_ns:x}-{orders}"
        deadline_ns = now_ns + round(each.deadline_s * 1e9)
        member = members.get(each.system)
        configuration = _configuration(partition, each, member.wanted if member else None)
        effects.append(
            SendOrder(
                id=order,
                step=each,
                deadline_ns=deadline_ns,
                configuration=configuration,
                run=partition.run,
                base=member.base if member and each.action in _GIVES else "",
            )
        )
        key = configuration.key if configuration else ""
        pending[each.system] = Pending(action=each.action, deadline_ns=deadline_ns, id=order, key=key)
        tried[each.system, each.action] = tried.get((each.system, each.action), 0) + 1
        # A new order makes an earlier failure outdated. Failures of start and stop stay: they become causes of the run.
        earlier = failed.get(each.system)
        if earlier and each.action is not Action.ABORT and earlier.action not in (Action.START, Action.STOP):
            del failed[each.system]
    for each in decision.adopt:
        pending[each.system] = Pending(action=each.action, deadline_ns=now_ns + round(each.deadline_s * 1e9))
    for hook in decision.hooks:
        deadline_ns = now_ns + round(hook.deadline_s * 1e9)
        goal = partition.goal.state if partition.goal else ""
        # After the stop no run is open any more, but the hook gets the number of the run that it belongs to.
        run = partition.run or (attempts.known if hook.trigger == "after stop" else 0)
        effects.append(RunHook(hook=hook, run=run, goal=goal, tag=partition.tag, deadline_ns=deadline_ns))
        hooks[hook.name] = HookRun(deadline_ns=deadline_ns)
    begun = {each.system: msgspec.structs.replace(each, status=StepStatus.GOING) for each in _both(decision)}
    going = [each for each in partition.steps if each.system in pending and each.system not in begun]
    attempts = msgspec.structs.replace(
        attempts,
        pending=pending,
        tried=tried,
        failed=failed,
        hooks=hooks,
        hook_points=attempts.hook_points | decision.hook_points,
        orders=orders,
    )
    return msgspec.structs.replace(partition, steps=(*going, *begun.values()), attempts=attempts)


def _configuration(partition: PartitionModel, each: Step, wanted: Configuration | None) -> Configuration | None:
    """The configuration that an order names: the wanted one, for actions that do not give it only where the system has
    it, so that its programs get the parameters that they were configured with."""
    if each.action in _GIVES or wanted is None:
        return wanted
    state = partition.seen.get(each.system, UNSEEN).state
    return wanted if state and state.key == wanted.key else None


def _both(decision: Decision) -> tuple[Step, ...]:
    return (*decision.steps, *decision.adopt)


def _without_done(partition: PartitionModel) -> PartitionModel:
    going = tuple(each for each in partition.steps if each.system in partition.attempts.pending)
    return partition if len(going) == len(partition.steps) else msgspec.structs.replace(partition, steps=going)


def _ended(
    partition: PartitionModel, goal: Goal, found: Survey, decision: Decision, now_ns: int, effects: list[Effect]
) -> PartitionModel:
    """The goal is met, or will not be met by itself."""
    template, attempts = partition.template, partition.attempts
    done = msgspec.structs.replace(attempts, tried={}, failed={}, hooks={}, hook_points=frozenset[str]())
    if decision.obstacle is None and _is_reached(partition, goal, found):
        if attempts.met:
            return partition
        if goal.stop and (cause := why_not_stopped(partition)):
            effects.append(GoalFailed(goal=goal, cause=cause))
            attempts = msgspec.structs.replace(done, met=False)
            return msgspec.structs.replace(partition, goal=None, cause=cause, attempts=attempts)
        effects.append(GoalMet(goal=goal))
        # With the policy `resume` the goal stays, so that a system that falls later is brought back without a command.
        keeps = template.recovery.resume and goal.state != template.idle
        kept = msgspec.structs.replace(goal, command_id="", joined=(), **dict.fromkeys(_WAYS, False)) if keeps else None
        attempts = msgspec.structs.replace(done, met=keeps)
        return msgspec.structs.replace(partition, goal=kept, cause=None, attempts=attempts)
    if goal.state in template.rests:
        cause = decision.obstacle or causes.unreachable(partition.name, goal.state, found.state)
    else:
        cause = causes.unknown_goal(partition.name, goal.state, template.rests)
    if not attempts.met:
        effects.append(GoalFailed(goal=goal, cause=cause))
    # The highest level below the obstacle is still ready: with `fall_back` the partition rests there, not in between.
    lower: Goal | None = None
    if template.recovery.fall_back and decision.obstacle and template.height(goal.state) > decision.level:
        lower = Goal(state=template.rests[decision.level], requested_by="recovery", since_ns=now_ns, lower=True)
    attempts = msgspec.structs.replace(done, met=False)
    return msgspec.structs.replace(partition, goal=lower, cause=cause, attempts=attempts)


def _is_reached(partition: PartitionModel, goal: Goal, found: Survey) -> bool:
    """Whether the plan has no order left. A level without members makes no difference."""
    template = partition.template
    if goal.state == template.recording:
        return found.recording
    height = template.rests.index(goal.state) if goal.state in template.rests else None
    if height is None:
        return False
    return height == 0 or goal.stop or (found.ready >= height and found.any_right)
