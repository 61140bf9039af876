"""The causes that explain why a partition does not reach its goal, with the systems' names and a suggestion."""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.errors import Cause
from countingroom.core.partitions import Member
from countingroom.core.systems import NO_CONNECTION, Action
from countingroom.core.times import duration
from countingroom.runs.planner.attempts import Failure
from countingroom.runs.planner.survey import LevelView, Seen
from countingroom.runs.planner.template import Hook

CONFIGURATION_CHANGED = "configuration_changed"
"""Code of the cause why a level is configured again. It is no error."""


def late(system: str, action: Action, seconds: float) -> Cause:
    """An order was not over by its deadline."""
    return Cause(
        code="not_in_time",
        message=f"{system} did not {action.value} within {duration(seconds)}",
        source=f"runs.{system}",
        suggestion=f"look at {system}; if it needs so long, give it a longer deadline in the template",
    )


def named(systems: Sequence[str]) -> str:
    """The first names of a list that may be long."""
    return ", ".join(systems[:5]) + (" …" if len(systems) > 5 else "")


def because(message: str, under: Sequence[Cause]) -> str:
    """A sentence with the reason that is under it, so that its first line says all that an operator needs."""
    reason = next((cause.message for cause in under if cause.message), "")
    return f"{message}: {reason}" if reason and reason not in message else message


def no_configuration(system: str) -> Cause:
    """No configuration is selected for it."""
    return Cause(
        code="no_configuration",
        message=f"no configuration is selected for {system}",
        source=f"runs.{system}",
        suggestion="select a configuration tag that covers every system of the partition",
    )


def not_ready(member: Member, seen: Seen, failure: Failure | None, tried: int) -> Cause:
    """A member cannot be made right."""
    name = member.system
    under = [failure.cause] if failure else []
    if seen.common == NO_CONNECTION:
        under = [seen.cause] if seen.cause else under
        exclude = "" if member.critical else ", or exclude it"
        return Cause(
            code="not_connected",
            message=because(f"{name} is not connected", under),
            source=f"runs.{name}",
            suggestion=f"start the agent of {name}{exclude}",
            causes=tuple(under),
        )
    if seen.state and seen.state.cause:
        under.append(seen.state.cause)
    times = {0: "", 1: " after it was configured once"}.get(tried, f" after it was configured {tried} times")
    wrong = seen.state and member.wanted and seen.state.tag and seen.state.key != member.wanted.key
    having = f" with {seen.state.tag}, not {member.wanted.tag}" if wrong and seen.state and member.wanted else ""
    return Cause(
        code="not_ready",
        message=because(f"{name} is {seen.common}{having}{times}", under),
        source=f"runs.{name}",
        suggestion=f"look at {name}, then configure again",
        causes=tuple(under),
    )


def did_not(system: str, action: Action, failure: Failure | None) -> Cause:
    """It was told and is as it was."""
    under = (failure.cause,) if failure else ()
    return Cause(
        code=f"{action.value}_failed",
        message=because(f"{system} did not {action.value}", under),
        source=f"runs.{system}",
        suggestion=f"look at {system}, then try again",
        causes=under,
    )


def not_in_place(member: Member, seen: Seen) -> Cause:
    """It has another configuration, and cannot be given the wanted one in place."""
    name, why = member.system, "its agent cannot be reconfigured in place"
    if member.base:
        why = "what it depends on has changed too, or it was configured before its agent could be reconfigured in place"
    return Cause(
        code="not_in_place",
        message=f"{name} has {(seen.state and seen.state.tag) or 'no tag'} with other parameters, and {why}",
        source=f"runs.{name}",
        suggestion="configure",
    )


def not_reconfigured(causes: Sequence[Cause]) -> Cause:
    """Members that were to be changed in place were not."""
    if len(causes) == 1:
        return causes[0]
    return Cause(
        code="reconfigure_failed",
        message=because(f"{len(causes)} systems were not reconfigured", causes),
        source="runs",
        suggestion="see each of them, then reconfigure again, or configure",
        causes=tuple(causes),
    )


def level_not_ready(view: LevelView, causes: Sequence[Cause]) -> Cause:
    """A level is not ready, by all these."""
    if len(causes) == 1 and (view.missing or not view.level.minimum):
        return causes[0]
    name = view.level.name
    if not view.missing:
        message = f"{name} needs {view.level.minimum} systems; {len(view.right)} of {len(view.members)} are ready"
        code, suggestion = "too_few", "mend or include more of them, then configure again"
    else:
        message = because(f"{len(causes)} systems keep {name} from being ready", causes)
        code, suggestion = "level_not_ready", "mend or exclude them, then configure again"
    return Cause(code=code, message=message, source=f"runs.{name}", suggestion=suggestion, causes=tuple(causes))


def level_lost(partition: str, view: LevelView, seen: Sequence[Cause]) -> Cause:
    """A level that was ready is no longer."""
    names = named(view.missing)
    message = f"{names} of {view.level.name} is lost" if names else f"{view.level.name} has too few systems left"
    return Cause(
        code="level_lost",
        message=because(message, seen),
        source=f"runs.{partition}",
        suggestion="look at it, then configure again",
        causes=tuple(seen),
    )


def reconfigure(partition: str, view: LevelView) -> Cause:
    """Another configuration is wanted than the one a level has."""
    return Cause(
        code=CONFIGURATION_CHANGED,
        message=f"{view.level.name} has another configuration than the one that is selected now",
        source=f"runs.{partition}",
        suggestion="configure",
    )


def recorder_left(partition: str, left: Sequence[str]) -> Cause:
    """Recorders left recording."""
    return Cause(
        code="recorder_left",
        message=f"{named(left)} left recording",
        source=f"runs.{partition}",
        suggestion="look at it, then start a new run",
    )


def hook_failed(hook: Hook, cause: Cause | None) -> Cause:
    """A critical hook did not do its work."""
    return Cause(
        code="hook_failed",
        message=because(f"the hook {hook.name} failed", (cause,) if cause else ()),
        source=f"runs.{hook.name}",
        suggestion="look at what it says, then try again",
        causes=(cause,) if cause else (),
    )


def hook_late(hook: str) -> Cause:
    """Its program did not end."""
    return Cause(
        code="not_in_time",
        message=f"the hook {hook} was not over in time",
        source=f"runs.{hook}",
        suggestion="look at what it does; if it needs so long, give it a longer deadline in the template",
    )


def superseded(partition: str, goal: str, by: str) -> Cause:
    """Another goal took its place."""
    return Cause(
        code="superseded",
        message=f"on the way to {goal} it was asked for {by} instead",
        source=f"runs.{partition}",
        suggestion="nothing, where that was meant",
    )


def run_open(run: int) -> Cause:
    """A run is open, so that no other can be begun."""
    return Cause(
        code="run_open",
        message=f"run {run} is open",
        source=f"runs.{run}",
        suggestion="stop it, then start the next",
    )


def unreachable(partition: str, goal: str, state: str) -> Cause:
    """The goal is not reached, but no order leads to it."""
    return Cause(
        code="not_reached",
        message=f"nothing more can be done, and {partition} is in {state}, not in {goal}",
        source=f"runs.{partition}",
        suggestion="include systems, or look at those that are not ready",
    )


def unknown_goal(partition: str, goal: str, rests: Sequence[str]) -> Cause:
    """No such state."""
    return Cause(
        code="not_found",
        message=f"{goal} is no state that {partition} can rest in; there are {', '.join(rests)}",
        source=f"runs.{partition}",
        suggestion="choose one of them",
    )
