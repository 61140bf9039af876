"""The plan that is shown before acting: the reducer runs repeatedly as if every step succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal, Member, Plan, Stage, Step
from countingroom.core.systems import ACTIVE, CONFIGURING, RECORDING, UNCONFIGURED, Action, SystemState
from countingroom.runs.planner.attempts import Attempts, Pending
from countingroom.runs.planner.events import (
    Effect,
    Fact,
    GoalFailed,
    GoalMet,
    GoalSet,
    HookOver,
    Reported,
    RunHook,
    SendOrder,
)
from countingroom.runs.planner.partition import PartitionModel
from countingroom.runs.planner.step import step
from countingroom.runs.planner.survey import UNSEEN, Seen

Durations = Mapping[tuple[str, Action], float]
"""(system, action) -> how long it took lately, in seconds."""

_STAGES = 1000
"""More than any goal needs."""


def forecast(partition: PartitionModel, goal: Goal, *, now_ns: int, durations: Durations | None = None) -> Plan:
    """Every stage from here to the goal, which systems change and why, which stay as they are, and the expected time.

    To ask about another selection, give the partition its members and tag. `obstacle` says why the goal would not be
    reached.
    """
    known = durations or {}
    present = msgspec.structs.replace(
        partition,
        state=partition.survey().state,
        goal=None,
        attempts=Attempts(known=partition.run),
        steps=(),
        look_until_ns=0,
    )
    # Each round stands for one stage: the reducer orders steps, and in the next round all of them have gone well. The
    # last round is the one in which the goal is met or refused, or nothing is under way any more.
    facts: list[Fact] = [GoalSet(goal=goal, run=partition.run)]
    stages: list[Stage] = []
    obstacle: Cause | None = None
    for _ in range(_STAGES):
        present, effects = step(present, facts, now_ns=now_ns)
        steps = tuple(_timed(effect.step, known) for effect in effects if isinstance(effect, SendOrder))
        if steps:
            stages.append(Stage(title=_title(steps), steps=steps, expected_s=_longest(steps)))
        obstacle = next((effect.cause for effect in effects if isinstance(effect, GoalFailed)), None)
        if obstacle or any(isinstance(effect, GoalMet) for effect in effects):
            break
        facts = [*_hooks_over(effects), *_arrivals(present)]
        if not facts:
            break
    touched = {each.system for stage in stages for each in stage.steps}
    kept = (member for member in partition.members if member.system not in touched)
    times = [stage.expected_s for stage in stages]
    return Plan(
        partition=partition.name,
        goal=goal.state,
        tag=present.tag,
        stages=tuple(stages),
        kept={one.system: _why_kept(one, partition.seen.get(one.system, UNSEEN)) for one in kept},
        expected_s=None if None in times else sum(time for time in times if time is not None),
        obstacle=obstacle,
    )


def _hooks_over(effects: Sequence[Effect]) -> list[Fact]:
    return [HookOver(hook=effect.hook.name) for effect in effects if isinstance(effect, RunHook)]


def _arrivals(partition: PartitionModel) -> list[Fact]:
    """What the systems would report when what they were told, or were at, has gone well."""
    wanted = {member.system: member for member in partition.members}
    facts: list[Fact] = []
    for name, pending in partition.attempts.pending.items():
        state = partition.seen.get(name, UNSEEN).state
        if state and name in wanted:
            facts.append(Reported(state=_after(pending, wanted[name], state)))
    return facts


def _after(pending: Pending, member: Member, state: SystemState) -> SystemState:
    common, tag, key, base, cause = state.common, state.tag, state.key, state.base, state.cause
    match pending.action:
        case Action.CONFIGURE:
            common = ACTIVE
            if pending.id:
                tag, key, base = (*_configuration(member), member.base)
        case Action.RECONFIGURE:
            tag, key = _configuration(member)
            base, cause = member.base, None
        case Action.START:
            common = RECORDING
        case Action.STOP:
            common = ACTIVE
        case Action.ABORT | Action.RESET:
            common, tag, key, base = UNCONFIGURED, "", "", ""
    return msgspec.structs.replace(
        state,
        common=common,
        state=common,
        tag=tag,
        key=key,
        base=base,
        cause=cause,
        order=pending.id,
        sequence=state.sequence + 1,
        since_ns=state.since_ns + 1,
    )


def _configuration(member: Member) -> tuple[str, str]:
    """Tag and key of the wanted one."""
    return (member.wanted.tag, member.wanted.key) if member.wanted else ("", "")


def _timed(each: Step, durations: Durations) -> Step:
    return msgspec.structs.replace(each, expected_s=durations.get((each.system, each.action)))


def _longest(steps: Sequence[Step]) -> float | None:
    times = [each.expected_s for each in steps]
    return None if None in times else max(time for time in times if time is not None)


def _title(steps: Sequence[Step]) -> str:
    verbs = list(dict.fromkeys(each.action.value for each in steps))
    places = list(dict.fromkeys(each.level for each in steps if each.level))
    systems = [each.system for each in steps]
    shown = places or [*systems[:3], *(["…"] if len(systems) > 3 else [])]
    return f"{' and '.join(verbs)} {', '.join(shown)}"


def _why_kept(member: Member, seen: Seen) -> str:
    if not member.included:
        return "it is excluded"
    if seen.state is None or not seen.connected:
        return "it is not connected"
    if seen.common == CONFIGURING:
        return "it is being configured"
    return f"it is {seen.state.common}" + (f" with {seen.state.tag}" if seen.state.tag else "")
