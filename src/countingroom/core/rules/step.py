"""The state table of one rule: (spec, memory, input, now) -> (memory, effects). Pure.

A rule acts once each time that its condition becomes true. Before it acts again, the condition must have been known to
be false; it does not act while the condition stays true or cannot be evaluated. `unless` is checked at the moment of
acting: the rule acts only if it is known to be false. A rule with a condition then waits, and acts when `unless`
becomes false while the condition still holds. A time or an event that `unless` stops is skipped.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.rules import cron
from countingroom.core.rules.specs import NEVER, ConditionTrigger, CronTrigger, EventTrigger, RuleSpec

LATE_NS = 30_000_000_000
"""A time of cron that is over for longer than this is missed: nothing is done for it."""
SET_BACK_NS = 3_600_000_000_000
"""A clock that shows so much less than before was set: times of cron count from now on."""
_COUNTED = 1000
"""Missed times that are counted."""


DESCRIBED = "the description says so now"
"""Why a rule is armed or disarmed whose description was changed."""


class RuleMemory(Struct, frozen=True, kw_only=True):
    """Where one rule stands. `armed`, `described`, `spent`, `firings`, `recent_ns` and `cron_ns` outlive a restart."""

    armed: bool
    armed_by: str = ""
    """The person who armed or disarmed it last; empty: the description did."""
    armed_ns: int = 0
    armed_reason: str = ""
    described: bool | None = None
    """Whether its description armed it at the last start; None: that was not saved."""
    when: bool | None = None
    """The condition; None: it is not known."""
    true_since_ns: int = 0
    """Since when it has been known and true without a break."""
    unless: bool | None = None
    was_known: bool = False
    """Whether the condition was known since the start of the department, or since the rule was armed."""
    spent: bool = False
    """It acted for the present truth of its condition, or passed it over: the condition must be false first."""
    firings: int = 0
    """Number of the last firing."""
    recent_ns: tuple[int, ...] = ()
    """Times of the last firings, as many as the rate allows."""
    held_back: int = 0
    """Times that it was held back by the rate since the last firing."""
    cron_ns: int = 0
    """Times of cron up to this one are dealt with."""
    cron_text: str = ""
    """The times that the rule had then: those of a changed description count from the start that reads it."""
    next_ns: int = NEVER
    """The next time of cron."""


class RuleBegin(Struct, frozen=True):
    """The department starts. Earlier evaluations of the condition do not count."""


class ConditionIs(Struct, frozen=True):
    """The condition has this truth value now; None: it is not known."""

    value: bool | None


class UnlessIs(Struct, frozen=True):
    """The condition of `unless` has this truth value now."""

    value: bool | None


class EventCame(Struct, frozen=True):
    """An event that matches the trigger."""


class RuleTimePassed(Struct, frozen=True):
    """Only the time has changed."""


class Arm(Struct, frozen=True):
    """A person arms it."""

    by: str
    reason: str = ""


class Disarm(Struct, frozen=True):
    """A person disarms it."""

    by: str
    reason: str = ""


Input = RuleBegin | ConditionIs | UnlessIs | EventCame | RuleTimePassed | Arm | Disarm


class RuleEffectKind(StrEnum):
    """What happened to a rule."""

    FIRED = "fired"
    """Its actions are to be done."""
    HELD_BACK = "held_back"
    """It would have acted, but has acted as often as its rate allows."""
    PASSED_OVER = "passed_over"
    """A time or an event came while `unless` was true, or not known."""
    MISSED = "missed"
    """Times of cron came while no department ran."""
    ALREADY_TRUE = "already_true"
    """Its condition was true at the start, or when it was armed: it waits until it was false."""
    ARMED = "armed"
    DISARMED = "disarmed"


class RuleEffect(Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    kind: RuleEffectKind
    number: int = 0
    """Of a firing; of HELD_BACK and MISSED: how many."""
    time_ns: int = 0
    """The time of cron, or since when the condition is true."""


Step = tuple[RuleMemory, tuple[RuleEffect, ...]]


def begin(spec: RuleSpec, now_ns: int) -> RuleMemory:
    """The memory of a rule that was not saved before."""
    return _scheduled(spec, RuleMemory(armed=spec.armed, described=spec.armed, armed_ns=now_ns, cron_ns=now_ns))


def step(spec: RuleSpec, memory: RuleMemory, given: Input, now_ns: int) -> Step:
    """The next memory, the same object without a change, and what happened."""
    match given:
        case RuleBegin():
            memory = replace(memory, when=None, true_since_ns=0, unless=None, was_known=False)
            if memory.cron_text != _cron_text(spec):
                memory = replace(memory, cron_ns=now_ns)
            memory, armed = _described(spec, memory, now_ns)
            memory, effects = _pass_time(spec, _scheduled(spec, memory), now_ns)
            return memory, (*armed, *effects)
        case ConditionIs(value):
            return _condition(spec, memory, value, now_ns)
        case UnlessIs(value):
            if value is memory.unless:
                return memory, ()
            return _act_on_condition(spec, replace(memory, unless=value), now_ns)
        case EventCame():
            if not (memory.armed and isinstance(spec.trigger, EventTrigger)):
                return memory, ()
            return _act(spec, memory, now_ns, now_ns)
        case RuleTimePassed():
            return _pass_time(spec, memory, now_ns)
        case Arm(by, reason):
            return _arm(spec, memory, by, reason, now_ns)
        case Disarm(by, reason):
            return _disarm(memory, by, reason, now_ns)


def next_due_ns(spec: RuleSpec, memory: RuleMemory) -> int:
    """When RuleTimePassed must be given; NEVER if the rule waits for no time."""
    if isinstance(spec.trigger, CronTrigger):
        return memory.next_ns
    if isinstance(spec.trigger, ConditionTrigger) and _waits(memory) and not _is_stopped(spec, memory):
        return memory.true_since_ns + spec.trigger.hold_ns
    return NEVER


def is_worth_saving(before: RuleMemory, after: RuleMemory) -> bool:
    """Whether something changed that outlives a restart."""
    return _saved(before) != _saved(after)


def _saved(memory: RuleMemory) -> tuple[object, ...]:
    return (
        memory.armed,
        memory.armed_ns,
        memory.described,
        memory.spent,
        memory.firings,
        memory.cron_ns,
    )


def _condition(spec: RuleSpec, memory: RuleMemory, value: bool | None, now_ns: int) -> Step:
    if value is memory.when:
        return memory, ()
    if value is None:
        return replace(memory, when=None, true_since_ns=0), ()
    if not value:
        return replace(memory, when=False, true_since_ns=0, was_known=True, spent=False), ()
    is_first = not memory.was_known
    memory = replace(memory, when=True, true_since_ns=now_ns, was_known=True)
    if is_first and not _acts_if_already_true(spec) and not memory.spent:
        effect = RuleEffect(kind=RuleEffectKind.ALREADY_TRUE, time_ns=now_ns)
        return replace(memory, spent=True), (effect,) if memory.armed else ()
    return _act_on_condition(spec, memory, now_ns)


def _described(spec: RuleSpec, memory: RuleMemory, now_ns: int) -> Step:
    """What a changed description says counts, also where a person had armed or disarmed it before."""
    before = memory.described
    if before is None:  # without a person it is as it was described
        before = spec.armed if memory.armed_by else memory.armed
    memory = replace(memory, described=spec.armed)
    if before == spec.armed:
        return memory, ()
    return _arm(spec, memory, "", DESCRIBED, now_ns) if spec.armed else _disarm(memory, "", DESCRIBED, now_ns)


def _disarm(memory: RuleMemory, by: str, reason: str, now_ns: int) -> Step:
    if not memory.armed:
        return memory, ()
    after = replace(memory, armed=False, armed_by=by, armed_reason=reason, armed_ns=now_ns)
    return after, (RuleEffect(kind=RuleEffectKind.DISARMED),)


def _arm(spec: RuleSpec, memory: RuleMemory, by: str, reason: str, now_ns: int) -> Step:
    if memory.armed:
        return memory, ()
    memory = replace(memory, armed=True, armed_by=by, armed_reason=reason, armed_ns=now_ns)
    armed = RuleEffect(kind=RuleEffectKind.ARMED)
    if not isinstance(spec.trigger, ConditionTrigger):
        # Times that came while it was disarmed are not missed: it was not to act.
        return _scheduled(spec, replace(memory, cron_ns=max(memory.cron_ns, now_ns))), (armed,)
    acts = spec.trigger.acts_if_already_true
    if memory.when is not True:
        # Not known now: if it is found true it was so when the rule was armed, as far as is known.
        return replace(memory, was_known=memory.when is not None, spent=False), (armed,)
    if not acts:
        effect = RuleEffect(kind=RuleEffectKind.ALREADY_TRUE, time_ns=memory.true_since_ns)
        return replace(memory, spent=True), (armed, effect)
    memory, effects = _act_on_condition(spec, replace(memory, spent=False), now_ns)
    return memory, (armed, *effects)


def _pass_time(spec: RuleSpec, memory: RuleMemory, now_ns: int) -> Step:
    if not isinstance(spec.trigger, CronTrigger):
        if memory.true_since_ns > now_ns:  # the clock was set back
            memory = replace(memory, true_since_ns=now_ns)
        return _act_on_condition(spec, memory, now_ns)
    if memory.cron_ns > now_ns + SET_BACK_NS:
        memory = _scheduled(spec, replace(memory, cron_ns=now_ns))
    effects: list[RuleEffect] = []
    if memory.next_ns < now_ns - LATE_NS:
        count, last_ns = cron.count_between(spec.trigger, memory.cron_ns, now_ns - LATE_NS - 1, most=_COUNTED)
        if memory.armed:
            effects.append(RuleEffect(kind=RuleEffectKind.MISSED, number=count, time_ns=last_ns))
        memory = _scheduled(spec, replace(memory, cron_ns=now_ns - LATE_NS - 1))
    if memory.next_ns <= now_ns:
        due_ns = memory.next_ns
        memory = _scheduled(spec, replace(memory, cron_ns=due_ns))
        if memory.armed:
            memory, acted = _act(spec, memory, due_ns, now_ns)
            effects += acted
    return memory, tuple(effects)


def _act_on_condition(spec: RuleSpec, memory: RuleMemory, now_ns: int) -> Step:
    """Act where a condition has been true for long enough."""
    if not (isinstance(spec.trigger, ConditionTrigger) and _waits(memory)) or _is_stopped(spec, memory):
        return memory, ()
    if now_ns < memory.true_since_ns + spec.trigger.hold_ns:
        return memory, ()
    return _act(spec, replace(memory, spent=True), memory.true_since_ns, now_ns)


def _act(spec: RuleSpec, memory: RuleMemory, time_ns: int, now_ns: int) -> Step:
    """Act now, unless `unless` or the rate forbids it. `time_ns`: what the effect tells."""
    if _is_stopped(spec, memory):
        return memory, (RuleEffect(kind=RuleEffectKind.PASSED_OVER, time_ns=time_ns),)
    # A time that lies ahead is of a clock that was set back since: it must not hold the rule back.
    recent = tuple(one for one in memory.recent_ns if now_ns - spec.most.per_ns < one <= now_ns)
    if len(recent) >= spec.most.times:
        held = memory.held_back + 1
        after = replace(memory, held_back=held, recent_ns=recent)
        return after, (RuleEffect(kind=RuleEffectKind.HELD_BACK, number=held, time_ns=time_ns),)
    number = memory.firings + 1
    after = replace(memory, firings=number, recent_ns=(*recent, now_ns), held_back=0)
    return after, (RuleEffect(kind=RuleEffectKind.FIRED, number=number, time_ns=time_ns),)


def _waits(memory: RuleMemory) -> bool:
    """Whether its condition is true and it has not acted for it."""
    return memory.armed and memory.when is True and not memory.spent


def _is_stopped(spec: RuleSpec, memory: RuleMemory) -> bool:
    """Whether `unless` is true, or not known."""
    return spec.has_unless and memory.unless is not False


def _acts_if_already_true(spec: RuleSpec) -> bool:
    return isinstance(spec.trigger, ConditionTrigger) and spec.trigger.acts_if_already_true


def _scheduled(spec: RuleSpec, memory: RuleMemory) -> RuleMemory:
    if not isinstance(spec.trigger, CronTrigger):
        return memory
    return replace(memory, cron_text=_cron_text(spec), next_ns=cron.next_ns(spec.trigger, memory.cron_ns))


def _cron_text(spec: RuleSpec) -> str:
    return f"{spec.trigger.expression} {spec.trigger.zone}" if isinstance(spec.trigger, CronTrigger) else ""
