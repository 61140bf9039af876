"""Finds circles among rules: a rule that leads to what triggers it, or another rule that triggers it. Pure.

The changes by a command are known only in part: the states of its target, the events of the command, and for a setpoint
the point and its readback. A circle through events only is certain; one through states or values is possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from countingroom.alarms.rules.described_rules import actions_of, spec_of
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.messages import EventKind
from countingroom.core.points import Point
from countingroom.core.rules.actions import Action, CommandAction, LogAction, NotifyAction, RampAction
from countingroom.core.rules.specs import EventTrigger, principal_of

_OF_COMMAND = (EventKind.COMMAND, EventKind.DONE, EventKind.FAILED, EventKind.REFUSED)
_OF_FIRING = (("fired", (EventKind.NOTE,)), ("actions", (EventKind.DONE, EventKind.FAILED)))


class Circle(Struct, frozen=True, kw_only=True):
    """Rules that trigger each other in turn; the last one triggers the first."""

    rules: list[str]
    is_certain: bool
    why: str
    """How the last one leads to the first: `its command to caen changes the state of device.caen`."""


class _Made(Struct, frozen=True, kw_only=True):
    """An event that a rule leads to."""

    department: str
    source: str
    action: str
    kinds: tuple[EventKind, ...]
    principal: str


def circles(rules: Mapping[str, RuleSection], points: Mapping[str, Point]) -> list[Circle]:
    """Every circle, each once. `points`: address -> point, of those that are known."""
    leads: dict[str, dict[str, tuple[bool, str]]] = {}
    for name, rule in rules.items():
        ways = {other: _leads(name, rule, other, target, points) for other, target in rules.items()}
        leads[name] = {other: way for other, way in ways.items() if way is not None}
    found: dict[frozenset[str], Circle] = {}
    for start in rules:
        for path in _ways_back(start, leads):
            steps = [leads[one][path[(place + 1) % len(path)]] for place, one in enumerate(path)]
            circle = Circle(rules=list(path), is_certain=all(certain for certain, _ in steps), why=steps[-1][1])
            found.setdefault(frozenset(path), circle)
    return list(found.values())


def _ways_back(start: str, leads: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, ...]]:
    """One way from a rule back to itself, the shortest."""
    came: dict[str, tuple[str, ...]] = {start: (start,)}
    front = [start]
    while front:
        name = front.pop(0)
        for other in leads[name]:
            if other == start:
                yield came[name]
                return
            if other not in came:
                came[other] = (*came[name], other)
                front.append(other)


def _leads(
    name: str, rule: RuleSection, other: str, target: RuleSection, points: Mapping[str, Point]
) -> tuple[bool, str] | None:
    """(certain, how) if a rule can trigger another one; None if it cannot."""
    trigger = spec_of(other, target).trigger
    actions = actions_of(rule).actions
    if isinstance(trigger, EventTrigger):
        if name == other:
            return None  # a rule does not act on its own events
        made = next((one for one in _events(name, actions) if _fits(trigger, one)), None)
        return made and (True, f"it leads to the event {made.action} of {made.source}")
    if not target.when.is_condition:
        return None
    for action in actions:
        for changed in _changed(action, points):
            if changed in _read(target.when):
                return False, f"it changes {changed}"
    return None


def _events(name: str, actions: tuple[Action, ...]) -> Iterator[_Made]:
    principal = principal_of(name)
    for word, kinds in _OF_FIRING:
        yield _Made(department="alarms", source=name, action=word, kinds=kinds, principal=principal)
    for action in actions:
        match action:
            case CommandAction():
                department, target, command = action.department, action.target, action.command
            case RampAction():
                department, target, command = "devices", action.device, "set"
            case LogAction():
                yield _Made(
                    department="alarms", source=name, action="log", kinds=(EventKind.NOTE,), principal=principal
                )
                if not action.partition:
                    continue
                department, target, command = "runs", action.partition, "comment"
            case NotifyAction():
                continue
        yield _Made(department=department, source=target, action=command, kinds=_OF_COMMAND, principal=principal)


def _fits(trigger: EventTrigger, made: _Made) -> bool:
    return (
        trigger.department == made.department
        and (trigger.kind is None or trigger.kind in made.kinds)
        and trigger.source in ("", made.source)
        and trigger.action in ("", made.action)
        and trigger.principal in ("", made.principal)
    )


def _changed(action: Action, points: Mapping[str, Point]) -> Iterator[str]:
    """The addresses of points, and the things with a state, that an action changes."""
    match action:
        case CommandAction(department="devices", command="set"):
            yield from _setpoint(action.target, str(action.arguments.get("point", "")), points)
        case CommandAction(department="devices"):
            yield f"device.{action.target}"
            prefix = f"channel.{action.target}."
            channels = {
                f"{prefix}{one.channel}" for name, one in points.items() if name.startswith(f"{action.target}.")
            }
            yield from sorted(channels - {prefix})
        case CommandAction():
            yield f"partition.{action.target}"
        case RampAction():
            yield from _setpoint(action.device, action.point, points)
        case LogAction() | NotifyAction():
            pass


def _setpoint(device: str, point: str, points: Mapping[str, Point]) -> Iterator[str]:
    yield f"{device}.{point}"
    known = points.get(f"{device}.{point}")
    if known and known.readback:
        yield f"{device}.{known.readback}"


def _read(condition: ConditionKeys) -> set[str]:
    found = {name for _, name in condition.points}
    return found | {condition.state.of} if condition.state else found
