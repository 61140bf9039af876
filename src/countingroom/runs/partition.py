"""Law: a partition moves by facts alone: `step` takes what happened and gives what is to be done; it does nothing.

Facts come in batches, because a thousand systems report at once: one plan is made a batch. What is done, is done by the
room around it (room.py): orders are sent, moves are recorded, runs are closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal, Member, Step, StepStatus
from countingroom.core.run_book import RunEnd
from countingroom.core.systems import CONFIGURING, RECORDING, Action, SystemState
from countingroom.runs.derive import UNSEEN, Seen, derive, moves, ready_levels
from countingroom.runs.facts import (
    Effect,
    Excluded,
    Fact,
    GoalFailed,
    GoalMet,
    GoalSet,
    HookOver,
    LinkChanged,
    LockSet,
    MembersSet,
    Moved,
    OrderRefused,
    Reported,
    RunBegan,
    RunOver,
    SendOrder,
)
from countingroom.runs.plan import Decision, Memory, Pending, plan
from countingroom.runs.template import Template


class Partition(Struct, frozen=True, kw_only=True):
    """All an owner knows of its partition."""

    name: str
    template: Template
    members: tuple[Member, ...] = ()
    seen: Mapping[str, Seen] = {}
    goal: Goal | None = None
    memory: Memory = Memory()
    state: str
    since_ns: int
    tag: str = ""
    run: int = 0
    """The run that is open; 0: none."""
    locked: bool = False
    steps: tuple[Step, ...] = ()
    """Ordered and not over."""
    cause: Cause | None = None
    """Why it does not get on."""


def step(partition: Partition, facts: Sequence[Fact], *, now_ns: int) -> tuple[Partition, tuple[Effect, ...]]:
    """The partition after these facts, and what is to be done. Also called without facts when `wake_ns` is reached."""
    after = _take(partition, facts, now_ns)
    after, effects = _follow(partition, after, now_ns)
    after, more = _act(after, now_ns)
    return after, (*effects, *more)


def wake_ns(partition: Partition) -> int | None:
    """When it wants to be stepped again although nothing happens: the next deadline."""
    deadlines = [pending.deadline_ns for pending in partition.memory.pending.values()]
    levels = {level.name: level for level in partition.template.levels}
    for member in partition.members:
        seen = partition.seen.get(member.system, UNSEEN)
        if (
            partition.goal
            and seen.common == CONFIGURING
            and seen.state
            and member.system not in partition.memory.pending
        ):
            deadlines.append(seen.state.since_ns + round(levels[member.level].configure_s * 1e9))
    return min(deadlines, default=None)


def _take(partition: Partition, facts: Sequence[Fact], now_ns: int) -> Partition:
    seen, pending = dict(partition.seen), dict(partition.memory.pending)
    attempts, goal, run, recording = (
        dict(partition.memory.attempts),
        partition.goal,
        partition.run,
        partition.memory.recording,
    )
    members, tag, locked, cause = partition.members, partition.tag, partition.locked, partition.cause
    for fact in facts:
        match fact:
            case Reported(state=state):
                before = seen.get(state.system, UNSEEN)
                if _is_news(before.state, state):
                    seen[state.system] = Seen(state=state, connected=before.connected, cause=before.cause)
                    if state.system in pending and _is_over(pending[state.system].action, before.state, state):
                        del pending[state.system]
            case LinkChanged(system=system, connected=connected, cause=why):
                seen[system] = Seen(state=seen.get(system, UNSEEN).state, connected=connected, cause=why)
                if not connected:
                    pending.pop(system, None)
            case OrderRefused(system=system, cause=why):
                pending.pop(system, None)
                cause = why
            case GoalSet(goal=goal):
                attempts, cause = {}, None
                run = fact.run or run
            case MembersSet(members=members, tag=tag):
                gone = set(seen) - {member.system for member in members}
                seen = {name: state for name, state in seen.items() if name not in gone}
                pending = {name: order for name, order in pending.items() if name not in gone}
            case LockSet(locked=locked):
                pass
            case HookOver():
                pass
    return msgspec.structs.replace(
        partition,
        members=members,
        seen=seen,
        goal=goal,
        memory=Memory(pending=pending, attempts=attempts, recording=recording),
        tag=tag,
        run=run,
        locked=locked,
        cause=cause,
    )


def _is_news(before: SystemState | None, now: SystemState) -> bool:
    return before is None or before.boot != now.boot or before.sequence < now.sequence


def _is_over(action: Action, before: SystemState | None, now: SystemState) -> bool:
    """Whether this report ends the order: it is at rest and something happened since."""
    if before is not None and before.boot == now.boot and before.sequence == now.sequence:
        return False
    match action:
        case Action.START:
            return now.common != "Active"
        case Action.STOP:
            return now.common != RECORDING
        case _:
            return now.common != CONFIGURING


def _follow(before: Partition, partition: Partition, now_ns: int) -> tuple[Partition, list[Effect]]:
    """Let the state follow the reports; open and close the run with it."""
    effects: list[Effect] = []
    template, memory = partition.template, partition.memory
    state = derive(template, partition.members, partition.seen)
    goal, run, cause = partition.goal, partition.run, partition.cause
    if state != partition.state:
        aborting = goal is not None and goal.state == template.idle
        way = moves(template.chart(), partition.state, state, prefer=("abort",) if aborting else ())
        cause = _why_lost(partition, state) or cause
        effects.append(Moved(rows=tuple((row.state, row.event, row.next) for row in way), cause=cause))
    recording = state == template.recording
    if recording and not memory.recording and run:
        effects.append(RunBegan(run=run))
    anyone = any(partition.seen.get(name, UNSEEN).common == RECORDING for name in template.recorders)
    if (
        memory.recording
        and not recording
        and goal
        and goal.state == template.recording
        and not template.recovery.resume
    ):
        effects.append(GoalFailed(goal=goal, cause=cause or _left(partition)))
        goal = None
    if run and memory.recording and not recording and not anyone:
        effects.append(RunOver(run=run, end=_end(before, template), cause=cause if goal is None else None))
        run = 0
    partition = msgspec.structs.replace(
        partition,
        state=state,
        since_ns=now_ns if state != partition.state else partition.since_ns,
        goal=goal,
        run=run,
        cause=cause,
        memory=msgspec.structs.replace(memory, recording=recording or (memory.recording and anyone)),
    )
    return partition, effects


def _act(partition: Partition, now_ns: int) -> tuple[Partition, list[Effect]]:
    """Order what the plan says; end the goal that is met or cannot be."""
    effects: list[Effect] = []
    decision = plan(
        partition.template, partition.members, partition.seen, partition.goal, partition.memory, now_ns=now_ns
    )
    pending, attempts = dict(partition.memory.pending), dict(partition.memory.attempts)
    wanted = {member.system: member.wanted for member in partition.members}
    for each in decision.steps:
        effects.append(SendOrder(step=each, configuration=wanted.get(each.system), run=partition.run))
        pending[each.system] = Pending(action=each.action, deadline_ns=now_ns + round(each.deadline_s * 1e9))
        if each.action is Action.CONFIGURE:
            attempts[each.system] = attempts.get(each.system, 0) + 1
    effects.extend(Excluded(system=name) for name in decision.exclude)
    begun = {each.system: msgspec.structs.replace(each, status=StepStatus.GOING) for each in decision.steps}
    going = [each for each in partition.steps if each.system in pending and each.system not in begun]
    goal, cause = partition.goal, partition.cause
    if goal and (end := _end_of_goal(partition, goal, decision)):
        effects.append(end)
        cause = end.cause if isinstance(end, GoalFailed) else None
        goal = None
    partition = msgspec.structs.replace(
        partition,
        goal=goal,
        cause=cause,
        steps=(*going, *begun.values()),
        memory=msgspec.structs.replace(partition.memory, pending=pending, attempts=attempts),
    )
    return partition, effects


def _end_of_goal(partition: Partition, goal: Goal, decision: Decision) -> GoalMet | GoalFailed | None:
    if not decision.settled:
        return None
    if partition.state == goal.state:
        keeps = goal.state == partition.template.recording or partition.template.recovery.resume
        return None if keeps else GoalMet(goal=goal)
    if decision.obstacle:
        return None if partition.template.recovery.resume else GoalFailed(goal=goal, cause=decision.obstacle)
    return None


def _why_lost(partition: Partition, state: str) -> Cause | None:
    rests = partition.template.rests
    if partition.state not in rests or state not in rests or rests.index(state) >= rests.index(partition.state):
        return None
    ready = ready_levels(partition.template, partition.members, partition.seen)
    if ready == len(partition.template.levels):
        return None
    lost = [
        member.system
        for member in partition.members
        if member.level == partition.template.levels[ready].name and member.included and member.critical
    ]
    under = [seen.cause for name in lost if (seen := partition.seen.get(name, UNSEEN)).cause]
    return Cause(
        code="level_lost",
        message=f"{partition.template.levels[ready].name} is no longer ready",
        source=f"runs.{partition.name}",
        suggestion="look at its systems, then configure again",
        causes=tuple(cause for cause in under if cause),
    )


def _left(partition: Partition) -> Cause:
    left = [n for n in partition.template.recorders if partition.seen.get(n, UNSEEN).common != RECORDING]
    return Cause(
        code="recorder_left",
        message=f"{', '.join(left)} left recording",
        source=f"runs.{partition.name}",
        suggestion="look at it, then start a new run",
    )


def _end(before: Partition, template: Template) -> RunEnd:
    if before.goal is None:
        return RunEnd.LOST
    if before.goal.state == template.idle:
        return RunEnd.ABORTED
    return RunEnd.LOST if before.goal.state == template.recording else RunEnd.STOPPED
