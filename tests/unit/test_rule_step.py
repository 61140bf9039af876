"""The state table of a rule: times of cron, events, arming, and what outlives a restart."""

from __future__ import annotations

from msgspec import structs

from countingroom.core.messages import Event, EventKind
from countingroom.core.rules.specs import (
    NEVER,
    ConditionTrigger,
    CronTrigger,
    EventTrigger,
    FiringRate,
    RuleSpec,
)
from countingroom.core.rules.step import (
    LATE_NS,
    Arm,
    ConditionIs,
    Disarm,
    EventCame,
    RuleBegin,
    RuleEffect,
    RuleEffectKind,
    RuleMemory,
    RuleTimePassed,
    UnlessIs,
    begin,
    is_worth_saving,
    next_due_ns,
    step,
)

S = 1_000_000_000
HOUR = 3600 * S
HOURLY = RuleSpec(name="hourly", trigger=CronTrigger(expression="0 * * * *"))


def kinds(effects: tuple[RuleEffect, ...]) -> list[str]:
    return [one.kind.value for one in effects]


def test_a_time_of_cron_comes_once() -> None:
    memory = begin(HOURLY, 10 * S)
    assert next_due_ns(HOURLY, memory) == HOUR
    memory, effects = step(HOURLY, memory, RuleTimePassed(), HOUR - 1)
    assert not effects
    memory, effects = step(HOURLY, memory, RuleTimePassed(), HOUR)
    assert effects == (RuleEffect(kind=RuleEffectKind.FIRED, number=1, time_ns=HOUR),)
    memory, effects = step(HOURLY, memory, RuleTimePassed(), HOUR + 5 * S)
    assert not effects
    assert next_due_ns(HOURLY, memory) == 2 * HOUR


def test_times_that_came_while_no_engine_ran_are_told_and_not_made_up() -> None:
    memory = begin(HOURLY, 0)
    after, effects = step(HOURLY, memory, RuleBegin(), 3 * HOUR + LATE_NS + 1)
    assert effects == (RuleEffect(kind=RuleEffectKind.MISSED, number=3, time_ns=3 * HOUR),)
    assert after.firings == 0
    assert next_due_ns(HOURLY, after) == 4 * HOUR
    assert is_worth_saving(memory, after)
    assert not step(HOURLY, after, RuleBegin(), 3 * HOUR + LATE_NS + 2)[1]  # told once


def test_an_engine_that_is_a_little_late_still_acts_and_only_once() -> None:
    memory = begin(HOURLY, 0)
    after, effects = step(HOURLY, memory, RuleBegin(), 2 * HOUR + LATE_NS)
    assert kinds(effects) == ["missed", "fired"]
    assert [one.time_ns for one in effects] == [HOUR, 2 * HOUR]
    assert not step(HOURLY, after, RuleBegin(), 2 * HOUR + LATE_NS)[1]


def test_a_disarmed_rule_misses_nothing() -> None:
    memory, effects = step(HOURLY, begin(HOURLY, 0), Disarm("anna", "test"), S)
    assert (kinds(effects), memory.armed, memory.armed_by, memory.armed_reason) == (["disarmed"], False, "anna", "test")
    memory, effects = step(HOURLY, memory, RuleTimePassed(), 2 * HOUR)
    assert not effects
    memory, effects = step(HOURLY, memory, RuleBegin(), 9 * HOUR + HOUR // 2)
    assert not effects
    memory, effects = step(HOURLY, memory, Arm("ben"), 9 * HOUR + HOUR // 2)
    assert (kinds(effects), next_due_ns(HOURLY, memory)) == (["armed"], 10 * HOUR)


def test_a_clock_that_is_set_back_stops_no_rule() -> None:
    far = 100_000 * HOUR
    memory, _ = step(HOURLY, begin(HOURLY, 0), RuleTimePassed(), far)
    memory, effects = step(HOURLY, memory, RuleTimePassed(), 5 * HOUR + S)
    assert not effects
    assert next_due_ns(HOURLY, memory) == 6 * HOUR
    assert kinds(step(HOURLY, memory, RuleTimePassed(), 6 * HOUR)[1]) == ["fired"]


def test_other_times_in_the_description_are_not_taken_for_missed_ones() -> None:
    memory = begin(HOURLY, 0)
    changed = structs.replace(HOURLY, trigger=CronTrigger(expression="*/5 * * * *"))
    after, effects = step(changed, memory, RuleBegin(), 10 * HOUR + S)
    assert not effects
    assert next_due_ns(changed, after) == 10 * HOUR + 300 * S


def test_a_time_or_event_is_passed_over_while_unless_is_true_or_not_known() -> None:
    spec = RuleSpec(name="x", trigger=EventTrigger(department="runs"), has_unless=True)
    memory = begin(spec, 0)
    assert kinds(step(spec, memory, EventCame(), S)[1]) == ["passed_over"]
    memory, _ = step(spec, memory, UnlessIs(True), S)
    assert kinds(step(spec, memory, EventCame(), S)[1]) == ["passed_over"]
    memory, effects = step(spec, memory, UnlessIs(False), 2 * S)
    assert not effects  # what was passed over is not made up
    assert kinds(step(spec, memory, EventCame(), 3 * S)[1]) == ["fired"]


def test_a_condition_waits_for_the_end_of_unless() -> None:
    spec = RuleSpec(name="x", trigger=ConditionTrigger(), has_unless=True)
    memory = begin(spec, 0)
    for given in (UnlessIs(True), ConditionIs(False), ConditionIs(True)):
        memory, effects = step(spec, memory, given, S)
        assert not effects
    assert next_due_ns(spec, memory) == NEVER
    memory, effects = step(spec, memory, UnlessIs(False), 5 * S)
    assert effects == (RuleEffect(kind=RuleEffectKind.FIRED, number=1, time_ns=S),)


def test_an_unknown_value_begins_the_time_to_hold_anew() -> None:
    spec = RuleSpec(name="x", trigger=ConditionTrigger(hold_ns=10 * S))
    memory = begin(spec, 0)
    for at, value in ((1, False), (2, True), (8, None), (9, True)):
        memory, effects = step(spec, memory, ConditionIs(value), at * S)
        assert not effects
    assert next_due_ns(spec, memory) == 19 * S
    assert kinds(step(spec, memory, RuleTimePassed(), 19 * S)[1]) == ["fired"]


def test_an_event_trigger_compares_what_it_gives() -> None:
    event = Event(
        id="1",
        kind=EventKind.DONE,
        time_ns=1,
        department="runs",
        source="mCBM",
        message="start done",
        action="start",
        data={"run": 7, "tag": "beam"},
    )
    assert EventTrigger(department="runs", kind=EventKind.DONE, source="mCBM", action="start").matches(event)
    assert EventTrigger(department="runs", data={"tag": "beam"}).matches(event)
    for other in (
        EventTrigger(department="devices"),
        EventTrigger(department="runs", kind=EventKind.FAILED),
        EventTrigger(department="runs", source="other"),
        EventTrigger(department="runs", data={"tag": "cosmics"}),
        EventTrigger(department="runs", data={"missing": 0}),
    ):
        assert not other.matches(event)


def test_what_was_held_back_is_counted_until_it_acts_again() -> None:
    spec = RuleSpec(name="x", trigger=EventTrigger(department="runs"), most=FiringRate(times=1, per_ns=10 * S))
    memory: RuleMemory = begin(spec, 0)
    numbers: list[tuple[str, int]] = []
    for at in (1, 2, 3, 11, 12):
        memory, effects = step(spec, memory, EventCame(), at * S)
        numbers += [(one.kind.value, one.number) for one in effects]
    assert numbers == [("fired", 1), ("held_back", 1), ("held_back", 2), ("fired", 2), ("held_back", 1)]


def test_a_restart_repeats_nothing_that_was_done() -> None:
    spec = RuleSpec(name="x", trigger=ConditionTrigger(acts_if_already_true=True))
    memory = begin(spec, 0)
    memory, effects = step(spec, memory, ConditionIs(True), S)
    assert kinds(effects) == ["fired"]
    memory, _ = step(spec, memory, RuleBegin(), 2 * S)
    memory, effects = step(spec, memory, ConditionIs(True), 3 * S)
    assert not effects
    memory, _ = step(spec, memory, ConditionIs(False), 400 * S)
    assert kinds(step(spec, memory, ConditionIs(True), 500 * S)[1]) == ["fired"]


def test_a_rule_that_finds_its_condition_true_tells_that_it_waits() -> None:
    spec = RuleSpec(name="x", trigger=ConditionTrigger())
    memory, effects = step(spec, begin(spec, 0), ConditionIs(True), S)
    assert kinds(effects) == ["already_true"]
    memory, effects = step(spec, memory, RuleBegin(), 2 * S)
    memory, effects = step(spec, memory, ConditionIs(True), 3 * S)
    assert not effects  # told once


def test_a_memory_of_an_earlier_version_does_not_know_what_was_described() -> None:
    """What a person did stays; without a person it was as described."""
    off = structs.replace(HOURLY, armed=False)
    touched = RuleMemory(armed=False, armed_by="anna")
    assert not step(HOURLY, touched, RuleBegin(), 10)[0].armed
    untouched = RuleMemory(armed=True)
    assert not step(off, untouched, RuleBegin(), 10)[0].armed
    assert step(HOURLY, untouched, RuleBegin(), 10)[0].armed
