"""Replays recorded data through the evaluation of rules. Reads no clock and does no I/O.

Actions are listed, not carried out, so their effects are not in the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from countingroom.alarms.replay.acted import Acted, ActedPart, ReplayMember
from countingroom.alarms.replay.recorded import OtherAt
from countingroom.alarms.replay.spans import ActiveSpan
from countingroom.alarms.rules.described_rules import actions_of, when_in_words
from countingroom.alarms.rules.evaluation import RuleEvaluation, RuleOutcome
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.messages import Event, Readings
from countingroom.core.rules.actions import words
from countingroom.core.rules.specs import EventTrigger
from countingroom.core.rules.step import RuleEffectKind

_COUNTED = {
    "fired": RuleEffectKind.FIRED.value,
    "held back": RuleEffectKind.HELD_BACK.value,
    "passed over": RuleEffectKind.PASSED_OVER.value,
}
_COMPARED = (RuleEffectKind.FIRED.value,)
"""Only firings are compared: of several times that a rule was held back in a row, the engine records only the first."""
_DRAWN = (RuleEffectKind.FIRED.value, RuleEffectKind.HELD_BACK.value)
_DRAWN_PRIORITY = 3


class RuleReplay:
    """The rules of a replay."""

    def __init__(self, rules: Mapping[str, RuleSection], now_ns: int) -> None:
        """The replay begins at `now_ns`, without any memory of earlier times."""
        self._rules = rules
        self._evaluation = RuleEvaluation(rules, now_ns=now_ns)
        self.outcomes: list[RuleOutcome] = list(self._evaluation.started)
        """All outcomes, in order."""

    @property
    def problems(self) -> list[str]:
        """Rules that cannot be evaluated, one sentence each."""
        return self._evaluation.problems

    @property
    def triggers(self) -> list[EventTrigger]:
        """The event triggers of the rules."""
        specs = self._evaluation.specs.values()
        return [one.trigger for one in specs if isinstance(one.trigger, EventTrigger)]

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        self.outcomes += self._evaluation.read(message, now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of a device, channel or partition."""
        self.outcomes += self._evaluation.state(subject, word, common, now_ns)

    def lost(self, device: str, now_ns: int) -> None:
        """Take in that the host of a device was gone."""
        self.outcomes += self._evaluation.lost(device, now_ns)

    def event(self, event: Event, now_ns: int) -> None:
        """Take in an event."""
        self.outcomes += self._evaluation.event(event, now_ns)

    def arm(self, name: str, by: str, reason: str, now_ns: int, *, armed: bool) -> None:
        """Repeat that the person `by` armed or disarmed a rule."""
        change = self._evaluation.arm if armed else self._evaluation.disarm
        self.outcomes += change(name, by, reason, now_ns)

    def pass_time(self, now_ns: int) -> None:
        """Take in that time passed."""
        self.outcomes += self._evaluation.pass_time(now_ns)

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no rule waits for a time."""
        return self._evaluation.next_due_ns()

    def inputs(self, about: Iterable[Event], triggering: Iterable[Event], *, people: bool) -> Iterator[OtherAt]:
        """The inputs other than readings and states. `about`: the recorded events of these rules. `triggering`: events
        that may trigger rules. `people`: include that people armed and disarmed rules."""
        departments = self._evaluation.departments
        for event in triggering:
            if event.department in departments:
                yield OtherAt(time_ns=event.time_ns, give=partial(self.event, event))
        for event in about if people else ():
            armed = event.action == RuleEffectKind.ARMED.value
            if event.source in self._evaluation.specs and (armed or event.action == RuleEffectKind.DISARMED.value):
                by = event.principal
                yield OtherAt(
                    time_ns=event.time_ns, give=partial(self._arm_again, event.source, by, event.message, armed)
                )

    def part(self, about: Sequence[Event] | None, begin_ns: int, end_ns: int) -> ActedPart:
        """The part of the report. `about`: the recorded events of these rules; None: not recorded."""
        members = [
            ReplayMember(
                name=name, title=rule.title or name, text=when_in_words(rule, self._evaluation.condition(name))
            )
            for name, rule in self._rules.items()
        ]
        recorded = None if about is None else [one for event in about if (one := self._recorded(event)) is not None]
        notes = [*self.problems, "rules: what a rule would have changed is not in the recorded values"]
        if about is None and self.triggers:
            notes.append("rules: the data folder has no stream of events, so rules that wait for one do not act")
        return ActedPart(
            "rule", _COUNTED, _COMPARED, members, self.acted(), recorded, firing_spans, begin_ns, end_ns, notes=notes
        )

    def acted(self) -> Iterator[Acted]:
        """All outcomes in the form of the report."""
        done = {
            name: "; ".join(words(action) for action in actions_of(rule).actions) for name, rule in self._rules.items()
        }
        for one in self.outcomes:
            yield Acted(
                name=one.rule,
                time_ns=one.now_ns,
                kind=one.effect.kind.value,
                number=one.effect.number,
                text=done[one.rule] if one.effect.kind in (RuleEffectKind.FIRED, RuleEffectKind.HELD_BACK) else "",
                evidence=one.evidence,
            )

    def _arm_again(self, name: str, by: str, reason: str, armed: bool, now_ns: int) -> None:
        self.arm(name, by, reason, now_ns, armed=armed)

    def _recorded(self, event: Event) -> Acted | None:
        if event.source not in self._rules or event.data.get("rule") != event.source:
            return None
        if event.action not in set(RuleEffectKind):
            return None
        number = event.data.get("number")
        return Acted(
            name=event.source,
            time_ns=event.time_ns,
            kind=event.action,
            number=number if isinstance(number, int) else 0,
            text=event.message,
            evidence={name: value for name, value in event.data.items() if name not in ("rule", "number")},
        )


def condition_keys(rules: Iterable[RuleSection]) -> Iterator[ConditionKeys]:
    """All conditions of these rules."""
    for rule in rules:
        if rule.when.is_condition:
            yield rule.when
        if rule.unless is not None:
            yield rule.unless


def firing_spans(acted: Sequence[Acted], begin_ns: int, end_ns: int) -> Mapping[str, list[ActiveSpan]]:
    """A mark for each firing; a pale mark if the rate held it back."""
    found = [
        ActiveSpan(
            name=one.name,
            begin_ns=one.time_ns,
            end_ns=one.time_ns,
            priority=_DRAWN_PRIORITY,
            announced=one.kind == RuleEffectKind.FIRED.value,
            text=one.in_words(),
        )
        for one in acted
        if one.kind in _DRAWN and begin_ns <= one.time_ns < end_ns
    ]
    return {"": found} if found else {}
