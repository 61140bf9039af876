"""The state table of a rule against a slow, plain model, over random histories of conditions, arming and time.

The model searches the whole history at each moment and shares no code with the table but the types of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from countingroom.core.rules.specs import NEVER, ConditionTrigger, EventTrigger, FiringRate, RuleSpec
from countingroom.core.rules.step import (
    Arm,
    ConditionIs,
    Disarm,
    EventCame,
    Input,
    RuleBegin,
    RuleEffectKind,
    RuleMemory,
    RuleTimePassed,
    UnlessIs,
    begin,
    next_due_ns,
    step,
)
from tests.examples import examples

END = 48
History = list[tuple[int, Input]]
_INPUTS = st.sampled_from(
    [
        *[ConditionIs(True), ConditionIs(False)] * 4,
        *[ConditionIs(None), UnlessIs(False), UnlessIs(False), UnlessIs(True), UnlessIs(None)],
        *[Arm("anna"), Disarm("ben"), RuleBegin()],
    ]
)
"""Weighted: with all equally likely a rule acted in 3 of 100 histories, and a fault in the table was not found."""


def _at_times(steps: Sequence[tuple[int, Input]]) -> History:
    """Each input so long after the one before."""
    times = accumulate(after for after, _ in steps)
    return [(time, one) for time, (_, one) in zip(times, steps, strict=True)]


_TRIGGERS = st.builds(ConditionTrigger, hold_ns=st.sampled_from([0, 1, 4]), acts_if_already_true=st.booleans())
_RATES = st.builds(FiringRate, times=st.integers(1, 2), per_ns=st.sampled_from([1, 6, 1000]))
_SPECS = st.builds(
    RuleSpec,
    name=st.just("night"),
    trigger=_TRIGGERS,
    has_unless=st.sampled_from([False, False, True]),
    most=_RATES,
    armed=st.sampled_from([True, True, False]),
)
_HISTORIES = st.lists(st.tuples(st.integers(1, 4), _INPUTS), min_size=4, max_size=12).map(_at_times)
Acts = list[tuple[int, RuleEffectKind]]


class Model:
    """Says at each moment of a history whether the rule acts. A time t has two moments: 2t before the input that came
    then, 2t + 1 after it."""

    def __init__(self, spec: RuleSpec, history: History) -> None:
        self.spec = spec
        self.history = history
        self.acts: Acts = []
        for moment in range(2 * END + 2):
            if self.wants(moment):
                fired = [at // 2 for at, kind in self.acts if kind is RuleEffectKind.FIRED]
                recent = [at for at in fired if at > moment // 2 - spec.most.per_ns]
                is_free = len(recent) < spec.most.times
                self.acts.append((moment, RuleEffectKind.FIRED if is_free else RuleEffectKind.HELD_BACK))

    def came(self, moment: int, *kinds: type) -> list[tuple[int, Input]]:
        """(moment, input) of these kinds up to a moment, the newest first."""
        found = [(2 * time + 1, one) for time, one in self.history if 2 * time + 1 <= moment and isinstance(one, kinds)]
        return found[::-1]

    def started(self, moment: int) -> int:
        found = self.came(moment, RuleBegin)
        return found[0][0] if found else 0

    def truth(self, moment: int, kind: type) -> bool | None:
        found = [one for at, one in self.came(moment, kind) if at > self.started(moment)]
        return found[0].value if found else None  # type: ignore[union-attr]

    def armed(self, moment: int) -> bool:
        found = self.came(moment, Arm, Disarm)
        return isinstance(found[0][1], Arm) if found else self.spec.armed

    def true_since(self, moment: int) -> int:
        """The moment since which the condition has been known and true."""
        since = moment
        for at in range(moment, -1, -1):
            if self.truth(at, ConditionIs) is not True or self.started(at) != self.started(moment):
                break
            since = at
        return since

    def last_false(self, moment: int) -> int:
        return next((at for at in range(moment, -1, -1) if self.truth(at, ConditionIs) is False), -1)

    def armed_at(self, moment: int) -> int:
        """The moment of the last arming that changed something; -1: none."""
        found = [at for at, _ in self.came(moment, Arm) if not self.armed(at - 1)]
        return found[0] if found else -1

    def was_already_true(self, moment: int) -> bool:
        """Whether the present truth is one that the rule found at a start, or when it was armed."""
        after = self.last_false(moment)
        starts = {self.started(at) for at in range(moment + 1)}
        for anew in starts | {self.armed_at(at) for at in range(moment + 1)} - {-1}:
            values = ((at, self.truth(at, ConditionIs)) for at in range(anew, moment + 1))
            first = next(((at, value) for at, value in values if value is not None), None)
            if first is not None and first[1] and first[0] > after:
                return True
        return False

    def wants(self, moment: int) -> bool:
        trigger = self.spec.trigger
        assert isinstance(trigger, ConditionTrigger)
        if not self.armed(moment) or self.truth(moment, ConditionIs) is not True:
            return False
        if moment // 2 - self.true_since(moment) // 2 < trigger.hold_ns:
            return False
        if self.spec.has_unless and self.truth(moment, UnlessIs) is not False:
            return False
        begun = self.last_false(moment)
        if not trigger.acts_if_already_true and self.was_already_true(moment):
            return False
        # An act counts until the condition was false, or the rule was armed anew.
        return not any(at > max(begun, self.armed_at(moment) - 1) for at, _ in self.acts)


def run(spec: RuleSpec, history: History) -> Acts:
    """What the state table does, with the time passing in between."""
    memory = begin(spec, 0)
    found: Acts = []

    def give(one: Input, now: int, moment: int) -> None:
        nonlocal memory
        before = memory
        memory, effects = step(spec, memory, one, now)
        assert effects or memory is not before or structs.asdict(memory) == structs.asdict(before)
        found.extend((moment, effect.kind) for effect in effects if effect.kind in _ACTS)

    for time in range(END + 1):
        while next_due_ns(spec, memory) <= time:
            give(RuleTimePassed(), time, 2 * time)
        for at, one in history:
            if at == time:
                give(one, time, 2 * time + 1)
                while next_due_ns(spec, memory) <= time:
                    give(RuleTimePassed(), time, 2 * time + 1)
    return found


_ACTS = (RuleEffectKind.FIRED, RuleEffectKind.HELD_BACK)


@settings(max_examples=examples(400), deadline=None)
@given(_SPECS, _HISTORIES)
@example(RuleSpec(name="night", trigger=ConditionTrigger()), [(1, ConditionIs(False)), (2, ConditionIs(True))])
def test_a_rule_acts_when_the_model_says(spec: RuleSpec, history: History) -> None:
    assert run(spec, history) == Model(spec, history).acts


@given(_SPECS, _HISTORIES)
def test_a_look_at_the_time_too_often_changes_nothing(spec: RuleSpec, history: History) -> None:
    memory = begin(spec, 0)
    for time in range(END + 1):
        due = next_due_ns(spec, memory) <= time
        after, effects = step(spec, memory, RuleTimePassed(), time)
        assert due or (after == memory and not effects)
        memory = after
        assert next_due_ns(spec, memory) > time
        for at, one in history:
            if at == time:
                memory, _ = step(spec, memory, one, time)


@given(st.lists(st.integers(0, 50), max_size=40).map(sorted), st.integers(1, 3), st.integers(1, 20))
def test_the_rate_is_never_exceeded_in_any_window(times: list[int], most: int, per: int) -> None:
    spec = RuleSpec(name="x", trigger=EventTrigger(department="runs"), most=FiringRate(times=most, per_ns=per))
    memory: RuleMemory = begin(spec, 0)
    fired: list[int] = []
    for time in times:
        memory, effects = step(spec, memory, EventCame(), time)
        fired += [time for one in effects if one.kind is RuleEffectKind.FIRED]
    assert all(sum(start <= at < start + per for at in fired) <= most for start in range(60))
    assert memory.firings == len(fired)
    assert not times or times[0] in fired
    assert next_due_ns(spec, memory) == NEVER
