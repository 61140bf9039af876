"""The events of rules: which rule fired on which values, and the result of each action. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import NAMESPACE_OID, uuid5

from msgspec import structs

from countingroom.alarms.engine.records import DEPARTMENT
from countingroom.alarms.rules.evaluation import RuleOutcome
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core import severity
from countingroom.core.errors import Cause
from countingroom.core.messages import Event, EventKind
from countingroom.core.rules.specs import principal_of
from countingroom.core.rules.states import OPEN, ActionOutcome, ActionResult, Firing
from countingroom.core.rules.step import RuleEffectKind, RuleMemory
from countingroom.core.times import duration, format_time
from countingroom.core.values import Scalar

_SHOWN = 6
"""The most values that the message of an event names; the data of the event have all."""


def event_of_outcome(outcome: RuleOutcome, rule: RuleSection, memory: RuleMemory) -> Event:
    """The event of one outcome. The same outcome always gives the same id, so a repeated event is stored once."""
    effect = outcome.effect
    by_person = effect.kind in (RuleEffectKind.ARMED, RuleEffectKind.DISARMED)
    missed = effect.kind is RuleEffectKind.MISSED
    return _event(
        outcome.rule,
        f"{effect.kind} {effect.number} {outcome.now_ns}",
        kind=EventKind.STATE if by_person else EventKind.NOTE,
        time_ns=outcome.now_ns,
        message=f"{rule.title or outcome.rule} {_sentence(outcome, rule, memory)}",
        severity=severity.LOW if missed else severity.NORMAL,
        principal=memory.armed_by if by_person else principal_of(outcome.rule),
        action=effect.kind.value,
        after=("armed" if memory.armed else "disarmed") if by_person else "",
        data={**outcome.evidence, "rule": outcome.rule, "number": effect.number},
    )


def event_of_end(name: str, rule: RuleSection, firing: Firing) -> Event:
    """The event at the end of a firing: DONE, or FAILED with the first action that was not done."""
    done = sum(one.result is ActionResult.DONE for one in firing.outcomes)
    bad = next((one for one in firing.outcomes if one.result is not ActionResult.DONE), None)
    number = f"{rule.title or name}: firing {firing.number}"
    if bad is None:
        message = f"{number} done, {done} action{'s' if done != 1 else ''}"
    else:
        why = f": {bad.cause.message}" if bad.cause else ""
        message = f"{number} failed: {bad.action} {_RESULTS[bad.result]}{why}"
    data: dict[str, Scalar] = {
        f"action {place}": f"{one.action}: {one.result.value}" for place, one in enumerate(firing.outcomes, 1)
    }
    return _event(
        name,
        f"end {firing.number} {firing.time_ns}",
        kind=EventKind.DONE if bad is None else EventKind.FAILED,
        time_ns=firing.ended_ns or firing.time_ns,
        message=message,
        severity=severity.NORMAL if bad is None else severity.LOW,
        principal=principal_of(name),
        action="actions",
        cause=firing.cause,
        data={**data, "rule": name, "number": firing.number},
    )


def event_of_log(name: str, firing: Firing, place: int, text: str, now_ns: int) -> Event:
    """The event that the action `log` of a rule writes."""
    return _event(
        name,
        f"log {firing.number} {firing.time_ns} {place}",
        kind=EventKind.NOTE,
        time_ns=now_ns,
        message=text,
        principal=principal_of(name),
        action="log",
        data={"rule": name, "number": firing.number},
    )


def interrupted(firing: Firing, now_ns: int) -> Firing:
    """The end of a firing whose engine stopped during its actions. The actions are not repeated: the one that was sent
    may have been carried out, and the later ones may depend on it."""
    outcomes = tuple(_interrupted(one, now_ns) if one.result in OPEN else one for one in firing.outcomes)
    return structs.replace(firing, outcomes=outcomes, ended_ns=now_ns)


def _interrupted(one: ActionOutcome, now_ns: int) -> ActionOutcome:
    begun = one.result is ActionResult.UNDER_WAY
    cause = Cause(
        code="owner_stopped",
        message="the alarm department ended while it was under way" if begun else "the alarm department ended before",
        source="alarms.rules",
        suggestion="look at the state of what it acts on, and do by hand what is still wanted: it is not repeated",
    )
    result = ActionResult.UNKNOWN if begun else ActionResult.NOT_BEGUN
    return structs.replace(one, result=result, cause=cause, ended_ns=now_ns)


_RESULTS = {
    ActionResult.REFUSED: "was refused",
    ActionResult.FAILED: "failed",
    ActionResult.UNKNOWN: "may or may not have been done",
    ActionResult.NOT_BEGUN: "was not begun",
    ActionResult.WAITING: "was not begun",
    ActionResult.UNDER_WAY: "is under way",
}


def _sentence(outcome: RuleOutcome, rule: RuleSection, memory: RuleMemory) -> str:
    effect = outcome.effect
    match effect.kind:
        case RuleEffectKind.FIRED:
            return f"acts{_values(outcome.evidence)}"
        case RuleEffectKind.HELD_BACK:
            times = f"{rule.most.times} time{'s' if rule.most.times > 1 else ''}"
            return f"is held back: it acts at most {times} in {duration(rule.most.per)}{_values(outcome.evidence)}"
        case RuleEffectKind.PASSED_OVER:
            return f"does not act: unless is true, or not known{_values(outcome.evidence)}"
        case RuleEffectKind.MISSED:
            several = effect.number > 1
            times = f"{effect.number} times, the last at" if several else "its time"
            return (
                f"missed {times} {format_time(effect.time_ns)}: no alarm department ran; "
                f"{'they are' if several else 'it is'} not made up"
            )
        case RuleEffectKind.ALREADY_TRUE:
            return f"does not act: its condition was true already, and must be false first{_values(outcome.evidence)}"
        case RuleEffectKind.ARMED | RuleEffectKind.DISARMED:
            reason = f": {memory.armed_reason}" if memory.armed_reason else ""
            return f"{effect.kind.value}{f' by {memory.armed_by}' if memory.armed_by else ''}{reason}"


def _values(evidence: Mapping[str, Scalar]) -> str:
    shown = [f"{name} {_value(value)}" for name, value in evidence.items() if name not in _NOT_SHOWN]
    return f": {', '.join(shown[:_SHOWN])}{' …' if len(shown) > _SHOWN else ''}" if shown else ""


_NOT_SHOWN = ("event.id", "event.time_ns", "event.principal", "event.source")


def _value(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else "unknown" if value is None else str(value)


def _event(name: str, identity: str, **fields: object) -> Event:
    return Event(
        id=uuid5(NAMESPACE_OID, f"rule {name} {identity}").hex,
        department=DEPARTMENT,
        source=name,
        **fields,  # pyright: ignore[reportArgumentType]
    )
