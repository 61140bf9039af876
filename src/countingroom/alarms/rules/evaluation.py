"""Decides when rules act, from readings, states, events and the time. Pure: the engine and a replay use the same code.

Each method takes the time as `now_ns` (wall time) and returns the outcomes in order. Call `pass_time` at `next_due_ns`
at the latest, and before any input that is later than that time.
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
    """One outcome of a rule: it fired, was held back, was armed, …"""

    rule: str
    effect: RuleEffect
    now_ns: int
    evidence: Mapping[str, Scalar] = {}
    """Address -> value of each input. An event adds `event.id`, `event.source`, `event.message` and others."""


class RuleEvaluation:
    """All rules of a description, with their memories."""

    def __init__(
        self, rules: Mapping[str, RuleSection], saved: Mapping[str, RuleMemory] | None = None, *, now_ns: int
    ) -> None:
        """`saved`: name of a rule -> its memory, as an earlier engine saved it."""
        self.truths = Truths()
        self.specs: dict[str, RuleSpec] = {}
        self.memories: dict[str, RuleMemory] = {}
        self.changed: set[str] = set()
        """Rules whose memory changed since they were last published. The publisher empties the set."""
        self.to_save: set[str] = set()
        """Rules with a change that must outlive a restart and is not saved yet."""
        self.broken: dict[str, str] = {}
        """Rule that cannot be evaluated, and so never acts -> the reason."""
        self.started: list[RuleOutcome] = []
        """Outcomes of the start, such as cron times that passed while no engine ran."""
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
        """Departments whose events trigger at least one rule."""
        return frozenset(self._events)

    def read(self, message: Readings, now_ns: int) -> list[RuleOutcome]:
        """Take in readings."""
        return self._take(self.truths.read(message, now_ns), now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> list[RuleOutcome]:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, `role.history`, `system.STS`."""
        return self._take(self.truths.state(subject, word, common, now_ns), now_ns)

    def lost(self, device: str, now_ns: int) -> list[RuleOutcome]:
        """Take in that the host of a device is gone: the values and states of the device are unknown."""
        return self._take(self.truths.lost(device, now_ns), now_ns)

    def event(self, event: Event, now_ns: int) -> list[RuleOutcome]:
        """Take in an event. A rule never acts on an event that it caused itself."""
        found: list[RuleOutcome] = []
        for name in self._events.get(event.department, ()):
            trigger = self.specs[name].trigger
            if not isinstance(trigger, EventTrigger) or event.principal == principal_of(name):
                continue  # otherwise a rule on events of run control could trigger itself without end
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
        """The outcomes of times that are over at `now_ns`."""
        found = self._take(self.truths.pass_time(now_ns), now_ns)
        if now_ns < self._looked_ns:  # the clock was set back: each rule plans its next time again
            for name in self.specs:
                found += self._step(name, RuleTimePassed(), now_ns)
        self._looked_ns = now_ns
        while self._due and self._due[0][0] <= now_ns:
            due_ns, name = heapq.heappop(self._due)
            if self._queued.get(name) != due_ns:
                continue  # an earlier time was queued for this rule; entries are not removed from the heap
            del self._queued[name]
            if next_due_ns(self.specs[name], self.memories[name]) <= now_ns:
                found += self._step(name, RuleTimePassed(), now_ns)
            else:
                self._wait(name)
        return found

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None: no rule waits for a time."""
        due_ns = min(self._due[0][0] if self._due else NEVER, self.truths.next_due_ns())
        return None if due_ns == NEVER else due_ns

    def arm(self, name: str, by: str, reason: str, now_ns: int) -> list[RuleOutcome]:
        """Arm a rule in the name of the person `by`. KeyError if there is no such rule."""
        return self._step(name, Arm(by, reason), now_ns)

    def disarm(self, name: str, by: str, reason: str, now_ns: int) -> list[RuleOutcome]:
        """Disarm a rule in the name of the person `by`. KeyError if there is no such rule."""
        return self._step(name, Disarm(by, reason), now_ns)

    def restore(self, name: str, memory: RuleMemory) -> None:
        """Put the memory back that a rule had before a change which could not be saved."""
        self.memories[name] = memory
        self.changed.add(name)
        self._wait(name)

    def evidence(self, name: str) -> dict[str, Scalar]:
        """Address -> present value of each input of a rule; None: unknown."""
        return self.truths.evidence(f"{_WHEN} {name}") | self.truths.evidence(f"{_UNLESS} {name}")

    def condition(self, name: str) -> str:
        """The condition of a rule as text; empty if it has none."""
        return self.truths.texts.get(f"{_WHEN} {name}", "")

    def unless(self, name: str) -> str:
        """The condition `unless` of a rule as text; empty if it has none."""
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
