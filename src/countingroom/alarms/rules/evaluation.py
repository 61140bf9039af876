"""Decides when rules act, from readings, states, events and the time. Pure: the engine and a replay use the same code.

Each method takes the time as `now_ns` and returns what happened, in order. Call `pass_time` by `next_due_ns` at the
latest, and before what comes later than that.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.alarms.rules.described_rules import spec_of
from countingroom.alarms.rules.truths import Truth, Truths
from countingroom.alarms.sections.rules import RuleSection
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import Event, Readings
from countingroom.core.rules.specs import NEVER, EventTrigger, RuleSpec, principal_of
from countingroom.core.rules.step import (
    Arm,
    ConditionIs,
    Disarm,
    EventCame,
    Input,
    RuleBegin,
    RuleEffect,
    RuleMemory,
    RuleTimePassed,
    UnlessIs,
    begin,
    is_worth_saving,
    next_due_ns,
    step,
)
from countingroom.core.values import Scalar

_WHEN, _UNLESS = "when", "unless"


class RuleOutcome(Struct, frozen=True, kw_only=True):
    """What happened to one rule."""

    rule: str
    effect: RuleEffect
    now_ns: int
    evidence: Mapping[str, Scalar] = {}
    """Address -> value of what it depends on; of an event `event.id`, `event.source`, `event.message`."""


class RuleEvaluation:
    """All rules of a description."""

    def __init__(
        self, rules: Mapping[str, RuleSection], saved: Mapping[str, RuleMemory] | None = None, *, now_ns: int
    ) -> None:
        """`saved`: the memories of an earlier engine by the name of the rule."""
        self.truths = Truths()
        self.specs: dict[str, RuleSpec] = {}
        self.memories: dict[str, RuleMemory] = {}
        self.changed: set[str] = set()
        """Rules whose memory changed since the last look. The look empties the set."""
        self.to_save: set[str] = set()
        """The same, of what outlives a restart."""
        self.broken: dict[str, str] = {}
        """Rule that cannot be evaluated, and so never acts -> why."""
        self.started: list[RuleOutcome] = []
        """What happened at the start: times that were missed before it."""
        self._due: list[tuple[int, str]] = []
        self._queued: dict[str, int] = {}
        self._looked_ns = now_ns
        self._events: dict[str, list[str]] = {}
        for name, rule in rules.items():
            self._add(name, rule, (saved or {}).get(name), now_ns)

    @property
    def problems(self) -> list[str]:
        """Rules that cannot be evaluated, one sentence each."""
        return [f"the rule {name} cannot be evaluated: {why}" for name, why in self.broken.items()]

    @property
    def departments(self) -> frozenset[str]:
        """Those whose events are needed."""
        return frozenset(self._events)

    def read(self, message: Readings, now_ns: int) -> list[RuleOutcome]:
        """Take in readings."""
        return self._take(self.truths.read(message, now_ns), now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> list[RuleOutcome]:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, `role.history`, `system.STS`."""
        return self._take(self.truths.state(subject, word, common, now_ns), now_ns)

    def lost(self, device: str, now_ns: int) -> list[RuleOutcome]:
        """The host of a device is gone: nothing is known of its points and states."""
        return self._take(self.truths.lost(device, now_ns), now_ns)

    def event(self, event: Event, now_ns: int) -> list[RuleOutcome]:
        """Take in an event. A rule never acts on an event that it caused itself."""
        found: list[RuleOutcome] = []
        for name in self._events.get(event.department, ()):
            trigger = self.specs[name].trigger
            if not isinstance(trigger, EventTrigger) or event.principal == principal_of(name):
                continue
            if trigger.matches(event):
                evidence: dict[str, Scalar] = {
                    "event.id": event.id,
                    "event.time_ns": event.time_ns,
                    "event.source": event.source,
                    "event.principal": event.principal,
                    "event.message": event.message,
                }
                found += self._step(name, EventCame(), now_ns, evidence)
        return found

    def pass_time(self, now_ns: int) -> list[RuleOutcome]:
        """What happens because a time is over."""
        found = self._take(self.truths.pass_time(now_ns), now_ns)
        if now_ns < self._looked_ns:  # the clock was set back: what waits for a time is planned anew
            for name in self.specs:
                found += self._step(name, RuleTimePassed(), now_ns)
        self._looked_ns = now_ns
        while self._due and self._due[0][0] <= now_ns:
            due_ns, name = heapq.heappop(self._due)
            if self._queued.get(name) != due_ns:
                continue  # a shorter time took its place
            del self._queued[name]
            if next_due_ns(self.specs[name], self.memories[name]) <= now_ns:
                found += self._step(name, RuleTimePassed(), now_ns)
            else:
                self._wait(name)
        return found

    def next_due_ns(self) -> int | None:
        """When `pass_time` is to be called; None: nothing waits."""
        due_ns = min(self._due[0][0] if self._due else NEVER, self.truths.next_due_ns())
        return None if due_ns == NEVER else due_ns

    def arm(self, name: str, by: str, reason: str, now_ns: int) -> list[RuleOutcome]:
        """A person arms a rule. KeyError: there is none."""
        return self._step(name, Arm(by, reason), now_ns)

    def disarm(self, name: str, by: str, reason: str, now_ns: int) -> list[RuleOutcome]:
        """A person disarms a rule. KeyError: there is none."""
        return self._step(name, Disarm(by, reason), now_ns)

    def restore(self, name: str, memory: RuleMemory) -> None:
        """Take a change back that could not be saved."""
        self.memories[name] = memory
        self.changed.add(name)
        self._wait(name)

    def evidence(self, name: str) -> dict[str, Scalar]:
        """The present values of what a rule depends on."""
        return self.truths.evidence(f"{_WHEN} {name}") | self.truths.evidence(f"{_UNLESS} {name}")

    def condition(self, name: str) -> str:
        """The condition of a rule in words; empty: it has none."""
        return self.truths.texts.get(f"{_WHEN} {name}", "")

    def unless(self, name: str) -> str:
        """Its condition `unless` in words; empty: it has none."""
        return self.truths.texts.get(f"{_UNLESS} {name}", "")

    def _add(self, name: str, rule: RuleSection, saved: RuleMemory | None, now_ns: int) -> None:
        spec = spec_of(name, rule)
        try:
            if rule.when.is_condition:
                self.truths.add(f"{_WHEN} {name}", rule.when, now_ns)
            if rule.unless is not None:
                self.truths.add(f"{_UNLESS} {name}", rule.unless, now_ns)
            self.memories[name] = saved or begin(spec, now_ns)
        except (ValueError, ConfigurationError) as error:
            self.broken[name] = str(error)
            return
        self.specs[name] = spec
        if isinstance(spec.trigger, EventTrigger):
            self._events.setdefault(spec.trigger.department, []).append(name)
        self.changed.add(name)
        if saved is None:
            self.to_save.add(name)
        self.started += self._step(name, RuleBegin(), now_ns)

    def _take(self, truths: Iterable[Truth], now_ns: int) -> list[RuleOutcome]:
        found: list[RuleOutcome] = []
        for key, value in truths:
            part, _, name = key.partition(" ")
            if name not in self.specs:
                continue  # the other condition of this rule cannot be evaluated
            given = ConditionIs(value) if part == _WHEN else UnlessIs(value)
            found += self._step(name, given, now_ns)
        return found

    def _step(
        self, name: str, given: Input, now_ns: int, evidence: Mapping[str, Scalar] | None = None
    ) -> list[RuleOutcome]:
        before = self.memories[name]
        after, effects = step(self.specs[name], before, given, now_ns)
        self.memories[name] = after
        if after is not before:
            self.changed.add(name)
            if is_worth_saving(before, after):
                self.to_save.add(name)
        self._wait(name)
        if not effects:
            return []
        values = {**self.evidence(name), **(evidence or {})}
        return [RuleOutcome(rule=name, effect=one, now_ns=now_ns, evidence=values) for one in effects]

    def _wait(self, name: str) -> None:
        due_ns = next_due_ns(self.specs[name], self.memories[name])
        if due_ns < self._queued.get(name, NEVER):
            self._queued[name] = due_ns
            heapq.heappush(self._due, (due_ns, name))
