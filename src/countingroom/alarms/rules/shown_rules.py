"""The state of a rule as it is published on the bus. Pure."""

from __future__ import annotations

from typing import Any

from countingroom.alarms.rules.described_rules import actions_of, when_in_words
from countingroom.alarms.rules.evaluation import RuleEvaluation
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.rules.actions import words
from countingroom.core.rules.specs import NEVER, ConditionTrigger, RuleSpec
from countingroom.core.rules.states import Firing, RulePhase, RuleState
from countingroom.core.rules.step import RuleMemory, next_due_ns


def shown(
    name: str, rule: RuleSection, evaluation: RuleEvaluation, last: Firing | None, under_way: Firing | None
) -> RuleState:
    """The present state of a rule. `last`: its last firing; `under_way`: the firing whose actions run now."""
    spec, memory = evaluation.specs[name], evaluation.memories[name]
    due_ns = next_due_ns(spec, memory) if memory.armed else NEVER
    return RuleState(
        **_described(name, rule, evaluation),
        armed=memory.armed,
        armed_by=memory.armed_by,
        armed_ns=memory.armed_ns,
        armed_reason=memory.armed_reason,
        phase=RulePhase.ACTING if under_way else phase(spec, memory),
        since_ns=memory.true_since_ns,
        due_ns=None if due_ns == NEVER else due_ns,
        firings=memory.firings,
        last=under_way or last,
        held_back=memory.held_back,
    )


def broken(name: str, rule: RuleSection, evaluation: RuleEvaluation, problem: str) -> RuleState:
    """The state of a rule that cannot be evaluated. `problem`: the reason."""
    return RuleState(**_described(name, rule, evaluation), armed=rule.armed, phase=RulePhase.BROKEN, problem=problem)


def phase(spec: RuleSpec, memory: RuleMemory) -> RulePhase:
    """The phase of a rule while none of its actions runs."""
    if not memory.armed:
        return RulePhase.DISARMED
    if not isinstance(spec.trigger, ConditionTrigger) or memory.when is False:
        return RulePhase.WAITING
    if memory.when is None:
        return RulePhase.UNKNOWN
    if memory.spent:
        return RulePhase.SPENT
    return RulePhase.STOPPED if spec.has_unless and memory.unless is not False else RulePhase.HOLDING


def _described(name: str, rule: RuleSection, evaluation: RuleEvaluation) -> dict[str, Any]:
    """The fields that follow from the description alone."""
    return {
        "rule": name,
        "title": rule.title or name,
        "reason": rule.reason,
        "when": when_in_words(rule, evaluation.condition(name)),
        "unless": evaluation.unless(name),
        "actions": tuple(map(words, actions_of(rule).actions)),
        "arming": rule.arming,
        "most_times": rule.most.times,
        "most_per_s": rule.most.per,
    }
