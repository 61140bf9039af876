"""Law: what is shown before acting is the same planner, asked again and again as if every step went well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from countingroom.core.errors import Cause
from countingroom.core.partitions import Goal, Member, Plan, Stage, Step
from countingroom.core.systems import ACTIVE, RECORDING, UNCONFIGURED, Action, SystemState
from countingroom.runs.derive import UNSEEN, Seen
from countingroom.runs.plan import Memory, plan
from countingroom.runs.template import Template

Durations = Mapping[tuple[str, Action], float]
"""(system, action) -> how long it took lately, in seconds."""

_STAGES = 1000
"""More than any goal needs; a planner that does not converge ends here."""


def forecast(
    template: Template,
    members: Sequence[Member],
    seen: Mapping[str, Seen],
    goal: Goal,
    *,
    now_ns: int,
    partition: str = "",
    tag: str = "",
    durations: Durations | None = None,
) -> Plan:
    """Every stage from here to the goal, who is touched and why, who stays as it is, and how long it should take."""
    known = durations or {}
    wanted = {member.system: member for member in members}
    present = dict(seen)
    stages: list[Stage] = []
    obstacle: Cause | None = None
    attempts: dict[str, int] = {}
    for _ in range(_STAGES):
        present = {name: _arrived(state) for name, state in present.items()}
        decision = plan(template, members, present, goal, Memory(attempts=attempts), now_ns=now_ns)
        obstacle = decision.obstacle
        if not decision.steps:
            break
        steps = tuple(_timed(step, known) for step in decision.steps)
        stages.append(Stage(title=_title(steps), steps=steps, expected_s=_longest(steps)))
        for step in steps:
            present[step.system] = _after(step, wanted[step.system], present.get(step.system, UNSEEN))
            if step.action is Action.CONFIGURE:
                attempts[step.system] = attempts.get(step.system, 0) + 1
    touched = {step.system for stage in stages for step in stage.steps}
    times = [stage.expected_s for stage in stages]
    return Plan(
        partition=partition,
        goal=goal.state,
        tag=tag,
        stages=tuple(stages),
        kept={m.system: _why_kept(m, seen.get(m.system, UNSEEN)) for m in members if m.system not in touched},
        expected_s=None if None in times else sum(time for time in times if time is not None),
        obstacle=obstacle,
    )


def _arrived(seen: Seen) -> Seen:
    """What is on its way is taken to get there."""
    if seen.state is None or seen.state.common != "Configuring":
        return seen
    return Seen(state=msgspec.structs.replace(seen.state, common=ACTIVE, state=ACTIVE), connected=seen.connected)


def _after(step: Step, member: Member, seen: Seen) -> Seen:
    if seen.state is None:
        return seen
    common, tag, key = seen.state.common, seen.state.tag, seen.state.key
    match step.action:
        case Action.CONFIGURE:
            common = ACTIVE
            tag, key = (member.wanted.tag, member.wanted.key) if member.wanted else ("", "")
        case Action.START:
            common = RECORDING
        case Action.STOP:
            common = ACTIVE
        case Action.ABORT | Action.RESET:
            common, tag, key = UNCONFIGURED, "", ""
    state: SystemState = msgspec.structs.replace(seen.state, common=common, state=common, tag=tag, key=key)
    return Seen(state=state, connected=seen.connected)


def _timed(step: Step, durations: Durations) -> Step:
    return msgspec.structs.replace(step, expected_s=durations.get((step.system, step.action)))


def _longest(steps: Sequence[Step]) -> float | None:
    times = [step.expected_s for step in steps]
    return None if None in times else max(time for time in times if time is not None)


def _title(steps: Sequence[Step]) -> str:
    verbs = list(dict.fromkeys(step.action.value for step in steps))
    places = list(dict.fromkeys(step.level for step in steps if step.level)) or [step.system for step in steps]
    return f"{' and '.join(verbs)} {', '.join(places)}"


def _why_kept(member: Member, seen: Seen) -> str:
    if not member.included:
        return "it is excluded"
    if seen.state is None or not seen.connected:
        return "it is not connected"
    return f"it is {seen.state.common}" + (f" with {seen.state.tag}" if seen.state.tag else "")
