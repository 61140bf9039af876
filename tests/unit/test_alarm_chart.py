"""The state table of an alarm: every base state with every event, without and with each flag, written by hand."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from countingroom.core.alarms.chart import HOUR_NS, TABLE, AlarmRecord, ChartRules, Trigger, next_due_ns, step
from countingroom.core.alarms.events import (
    ANNOUNCEMENTS,
    Acknowledge,
    AlarmEffect,
    AlarmEvent,
    ConditionActive,
    ConditionClear,
    EffectKind,
    EndSuppression,
    PutInService,
    ReAlarm,
    Remark,
    Reset,
    Shelve,
    Suppress,
    TakeOutOfService,
    TimePassed,
    Unshelve,
)
from countingroom.core.alarms.legality import AlarmCommand, refusal
from countingroom.core.alarms.states import BaseState, OutOfService, Shelf

NOW = 1_000 * HOUR_NS
A, B, C = BaseState.NORMAL, BaseState.UNACKNOWLEDGED, BaseState.ACKNOWLEDGED
D, E, F = BaseState.RETURNED, BaseState.LATCHED_UNACKNOWLEDGED, BaseState.LATCHED
PLAIN = ChartRules()
LATCHING = ChartRules(latching=True)
UNASKED = ChartRules(needs_acknowledgement=False)
UNASKED_LATCHING = ChartRules(latching=True, needs_acknowledgement=False)
SHELF = Shelf(by="anna", reason="pump swap", since_ns=NOW - 1, until_ns=NOW + HOUR_NS)
SERVICE = OutOfService(by="anna", owner="ben", reason="broken sensor", since_ns=NOW - 1, due_ns=NOW + 9 * HOUR_NS)
FLAGS = {"shelved": {"shelf": SHELF}, "suppressed": {"suppressed": "plant off"}, "out of service": {"service": SERVICE}}

ACTIVE = ConditionActive(priority=2, since_ns=NOW - 5, text="too hot")
EVENTS: dict[Trigger, AlarmEvent] = {
    Trigger.ACTIVE: ACTIVE,
    Trigger.CLEAR: ConditionClear(),
    Trigger.ACKNOWLEDGE: Acknowledge(by="carl", occurrence=7),
    Trigger.RESET: Reset(by="carl"),
    Trigger.RE_ALARM: ReAlarm(),
}
ANNOUNCE, BY_RATE, AGAIN = EffectKind.ANNOUNCE, EffectKind.ANNOUNCE_BY_RATE, EffectKind.RE_ANNOUNCE

# Base state, event, next state, announcement (or code of the refusal).
CELLS: list[tuple[BaseState, Trigger, BaseState, object]] = [
    (A, Trigger.ACTIVE, B, ANNOUNCE),
    (A, Trigger.CLEAR, A, None),
    (A, Trigger.ACKNOWLEDGE, A, "nothing_to_acknowledge"),
    (A, Trigger.RESET, A, "nothing_to_reset"),
    (A, Trigger.RE_ALARM, A, None),
    (B, Trigger.ACTIVE, B, None),
    (B, Trigger.CLEAR, D, None),
    (B, Trigger.ACKNOWLEDGE, C, None),
    (B, Trigger.RESET, B, "still_active"),
    (B, Trigger.RE_ALARM, B, AGAIN),
    (C, Trigger.ACTIVE, C, None),
    (C, Trigger.CLEAR, A, None),
    (C, Trigger.ACKNOWLEDGE, C, "already_acknowledged"),
    (C, Trigger.RESET, C, "still_active"),
    (C, Trigger.RE_ALARM, B, AGAIN),
    (D, Trigger.ACTIVE, B, BY_RATE),
    (D, Trigger.CLEAR, D, None),
    (D, Trigger.ACKNOWLEDGE, A, None),
    (D, Trigger.RESET, D, "nothing_to_reset"),
    (D, Trigger.RE_ALARM, D, None),
    (E, Trigger.ACTIVE, B, BY_RATE),
    (E, Trigger.CLEAR, E, None),
    (E, Trigger.ACKNOWLEDGE, F, None),
    (E, Trigger.RESET, E, "acknowledge_first"),
    (E, Trigger.RE_ALARM, E, None),
    (F, Trigger.ACTIVE, B, ANNOUNCE),
    (F, Trigger.CLEAR, F, None),
    (F, Trigger.ACKNOWLEDGE, F, "already_acknowledged"),
    (F, Trigger.RESET, A, None),
    (F, Trigger.RE_ALARM, F, None),
]
# The cells that differ: rules, base state, event, next state.
BY_RULES = [
    (LATCHING, B, Trigger.CLEAR, E),
    (LATCHING, C, Trigger.CLEAR, F),
    (UNASKED, B, Trigger.CLEAR, A),
    (UNASKED_LATCHING, B, Trigger.CLEAR, F),
    (UNASKED_LATCHING, C, Trigger.CLEAR, F),
]
# While a flag is set: these go elsewhere, all others as above; nothing is announced.
SILENT = {(A, Trigger.ACTIVE): C, (F, Trigger.ACTIVE): C, (C, Trigger.RE_ALARM): C}
SHELF_LATCHES = {"shelved": True, "suppressed": False, "out of service": False}
ANSWERS = {"shelved": True, "suppressed": True, "out of service": False}


def record(base: BaseState, **changes: object) -> AlarmRecord:
    acknowledged = base in (C, F)
    made = AlarmRecord(
        base=base,
        occurrence=7,
        priority=2,
        text="too hot",
        since_ns=NOW - 100,
        changed_ns=NOW - 50,
        announced_ns=NOW - 90,
        returned_ns=None if base.is_active else NOW - 50,
        acknowledged_by="ben" if acknowledged else "",
        acknowledged_ns=NOW - 60 if acknowledged else None,
    )
    return replace(made, **changes)


def announced(effects: tuple[AlarmEffect, ...]) -> list[EffectKind]:
    return [effect.kind for effect in effects if effect.kind in ANNOUNCEMENTS]


def refused(effects: tuple[AlarmEffect, ...]) -> str:
    return "".join(effect.cause.code for effect in effects if effect.cause is not None)


def kinds(effects: tuple[AlarmEffect, ...]) -> list[str]:
    return [effect.kind.value for effect in effects]


def test_the_table_has_every_cell_and_so_do_these_tests() -> None:
    every = {(base, trigger) for base in BaseState for trigger in Trigger}
    assert {(base, trigger) for base, row in TABLE.items() for trigger in row} == every
    assert {(base, trigger) for base, trigger, _, _ in CELLS} == every
    assert len(CELLS) == len(every)


@pytest.mark.parametrize(("base", "trigger", "following", "answer"), CELLS)
def test_a_cell(base: BaseState, trigger: Trigger, following: BaseState, answer: object) -> None:
    before = record(base)
    after, effects = step(before, EVENTS[trigger], NOW, PLAIN)
    assert after.base is following
    is_code = isinstance(answer, str) and not isinstance(answer, EffectKind)
    assert announced(effects) == ([answer] if answer and not is_code else [])
    assert refused(effects) == (answer if is_code else "")
    occurs = trigger is Trigger.ACTIVE and not base.is_active
    assert after.occurrence == before.occurrence + occurs
    assert (kinds(effects)[:1] == ["occurred"]) == occurs
    if after.base is base and not announced(effects):
        assert after is before
    else:
        assert after.changed_ns == (NOW if after.base is not base else before.changed_ns)
        assert after.announced_ns == (NOW if announced(effects) else before.announced_ns)
    if not effects or refused(effects):
        assert after is before


@pytest.mark.parametrize(("rules", "base", "trigger", "following"), BY_RULES)
def test_a_cell_that_depends_on_the_rules(
    rules: ChartRules, base: BaseState, trigger: Trigger, following: BaseState
) -> None:
    after, effects = step(record(base), EVENTS[trigger], NOW, rules)
    assert after.base is following
    assert kinds(effects) == ["returned"]


@pytest.mark.parametrize("rules", [LATCHING, UNASKED, UNASKED_LATCHING], ids=["latching", "unasked", "both"])
@pytest.mark.parametrize(("base", "trigger", "following", "answer"), CELLS)
def test_the_rules_change_no_other_cell(
    rules: ChartRules, base: BaseState, trigger: Trigger, following: BaseState, answer: object
) -> None:
    differs = {(by, where, what) for by, where, what, _ in BY_RULES}
    if (rules, base, trigger) not in differs:
        assert step(record(base), EVENTS[trigger], NOW, rules) == step(record(base), EVENTS[trigger], NOW, PLAIN)


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("rules", [PLAIN, LATCHING], ids=["plain", "latching"])
@pytest.mark.parametrize(("base", "trigger", "following", "answer"), CELLS)
def test_a_cell_while_a_flag_is_set(
    flag: str, rules: ChartRules, base: BaseState, trigger: Trigger, following: BaseState, answer: object
) -> None:
    before = record(base, **FLAGS[flag])
    after, effects = step(before, EVENTS[trigger], NOW, rules)
    expected = SILENT.get((base, trigger), following)
    if rules is LATCHING and trigger is Trigger.CLEAR and SHELF_LATCHES[flag]:
        expected = {B: E, C: F}.get(base, expected)
    if trigger in (Trigger.ACKNOWLEDGE, Trigger.RESET) and not ANSWERS[flag]:
        assert refused(effects) == "out_of_service"
        assert after is before
        return
    assert after.base is expected
    assert announced(effects) == []
    assert (after.shelf, after.suppressed, after.service) == (before.shelf, before.suppressed, before.service)
    is_code = isinstance(answer, str) and not isinstance(answer, EffectKind)
    assert refused(effects) == (answer if is_code else "")
    occurs = trigger is Trigger.ACTIVE and not base.is_active
    assert after.occurrence == before.occurrence + occurs
    if occurs:
        assert after.announced_ns is None
    if not effects:
        assert after is before


TAKEN_AWAY: dict[str, AlarmEvent] = {
    "shelved": Unshelve(by="carl"),
    "suppressed": EndSuppression(),
    "out of service": PutInService(by="carl"),
}
SET: dict[str, AlarmEvent] = {
    "shelved": Shelve(by="anna", reason="pump swap", until_ns=NOW + HOUR_NS),
    "suppressed": Suppress(why="plant off"),
    "out of service": TakeOutOfService(by="anna", owner="ben", reason="broken sensor", due_ns=NOW + 9 * HOUR_NS),
}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("base", BaseState)
def test_setting_a_flag_leaves_the_base_state(flag: str, base: BaseState) -> None:
    after, effects = step(record(base), SET[flag], NOW, LATCHING)
    assert after.base is base
    assert after.has_flag
    assert not after.is_at_rest
    assert after.acknowledged_by == record(base).acknowledged_by
    assert kinds(effects) == [flag.replace(" ", "_")]
    assert after.changed_ns == NOW


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("base", BaseState)
def test_an_active_alarm_is_announced_once_when_its_flag_is_taken_away(flag: str, base: BaseState) -> None:
    after, effects = step(record(base, **FLAGS[flag]), TAKEN_AWAY[flag], NOW, LATCHING)
    assert not after.has_flag
    assert after.base is (B if base.is_active else base)
    assert announced(effects) == ([EffectKind.ANNOUNCE_BACK] if base.is_active else [])
    assert after.occurrence == 7
    if base.is_active:
        assert after.acknowledged_by == ""
        assert after.announced_ns == NOW


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("other", FLAGS)
def test_the_last_flag_to_go_decides(flag: str, other: str) -> None:
    if flag == other:
        return
    both = record(C, **FLAGS[flag], **FLAGS[other])
    one, effects = step(both, TAKEN_AWAY[flag], NOW, PLAIN)
    assert (one.base, announced(effects)) == (C, [])
    none, effects = step(one, TAKEN_AWAY[other], NOW, PLAIN)
    assert (none.base, announced(effects)) == (B, [EffectKind.ANNOUNCE_BACK])


@pytest.mark.parametrize("flag", FLAGS)
def test_an_activation_inside_a_flag_is_another_occurrence_when_it_comes_back(flag: str) -> None:
    after, _ = step(record(A, **FLAGS[flag]), ACTIVE, NOW, PLAIN)
    after, effects = step(after, TAKEN_AWAY[flag], NOW + 1, PLAIN)
    assert (after.base, after.occurrence) == (B, 8)
    assert announced(effects) == [EffectKind.ANNOUNCE_BACK]


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("latched", [E, F])
def test_a_latch_from_before_outlives_an_activation_inside_a_flag(flag: str, latched: BaseState) -> None:
    active, _ = step(record(latched, **FLAGS[flag]), ACTIVE, NOW, LATCHING)
    assert active.base is (B if latched is E else C)
    after, _ = step(active, ConditionClear(), NOW + 1, LATCHING)
    assert after.base is latched


def test_an_acknowledgement_of_another_occurrence_is_refused() -> None:
    for seen in (6, 8):
        after, effects = step(record(B), Acknowledge(by="carl", occurrence=seen), NOW, PLAIN)
        assert refused(effects) == "happened_again"
        assert after == record(B)


def test_an_acknowledgement_keeps_person_time_and_comment() -> None:
    after, effects = step(record(B), Acknowledge(by="carl", occurrence=7, comment="on my way"), NOW, PLAIN)
    assert (after.acknowledged_by, after.acknowledged_ns, after.comment) == ("carl", NOW, "on my way")
    assert kinds(effects) == ["acknowledged"]
    after, _ = step(step(after, ConditionClear(), NOW + 1, PLAIN)[0], ACTIVE, NOW + 2, PLAIN)
    assert (after.acknowledged_by, after.acknowledged_ns, after.comment) == ("", None, "")


def test_the_refusal_names_the_person_who_acknowledged() -> None:
    _, effects = step(record(C), Acknowledge(by="carl", occurrence=7), NOW, PLAIN)
    assert effects[0].cause is not None
    assert effects[0].cause.message == "the alarm is acknowledged already, by ben"


@pytest.mark.parametrize(
    ("base", "priority", "following", "expected"),
    [
        (B, 1, B, ["priority", "re_announce"]),
        (C, 1, B, ["priority", "re_announce"]),
        (B, 3, B, ["priority"]),
        (C, 3, C, ["priority"]),
        (B, 2, B, []),
        (C, 2, C, []),
    ],
)
def test_a_rise_of_priority_is_announced_again_and_a_fall_is_not(
    base: BaseState, priority: int, following: BaseState, expected: list[str]
) -> None:
    event = ConditionActive(priority=priority, since_ns=NOW - 1, text="hotter")
    after, effects = step(record(base), event, NOW, PLAIN)
    assert (after.base, after.priority, kinds(effects)) == (following, priority, expected)
    assert after.text == ("hotter" if expected else "too hot")
    assert (after.occurrence, after.since_ns) == (7, NOW - 100)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_rise_of_priority_inside_a_flag_is_recorded_only(flag: str) -> None:
    event = ConditionActive(priority=1, since_ns=NOW - 1, text="hotter")
    after, effects = step(record(C, **FLAGS[flag]), event, NOW, PLAIN)
    assert (after.base, after.priority, kinds(effects)) == (C, 1, ["priority"])


def test_a_consequence_of_another_alarm_occurs_without_announcement() -> None:
    event = replace(ACTIVE, as_consequence=True)
    after, effects = step(record(A), event, NOW, PLAIN)
    assert (after.base, after.announced_ns, kinds(effects)) == (B, None, ["occurred"])


def test_a_shelf_ends_at_its_time_by_any_event() -> None:
    due = record(C, shelf=replace(SHELF, until_ns=NOW))
    assert next_due_ns(due) == NOW
    assert step(due, TimePassed(), NOW - 1, PLAIN) == (due, ())
    after, effects = step(due, TimePassed(), NOW, PLAIN)
    assert (after.base, after.shelf, kinds(effects)) == (B, None, ["unshelved", "announce_back"])
    assert next_due_ns(after) is None
    after, effects = step(due, Acknowledge(by="carl", occurrence=7), NOW, PLAIN)
    assert (after.base, kinds(effects)) == (C, ["unshelved", "announce_back", "acknowledged"])


def test_what_is_clear_by_the_end_of_its_shelf_is_not_announced() -> None:
    due = record(C, shelf=replace(SHELF, until_ns=NOW - 5))
    after, effects = step(due, ConditionClear(), NOW, PLAIN)
    assert (after.base, after.shelf, kinds(effects)) == (A, None, ["returned", "unshelved"])


def test_a_one_shot_shelf_ends_at_the_first_clear() -> None:
    once = record(A, shelf=replace(SHELF, once=True))
    same, effects = step(once, ConditionClear(), NOW, LATCHING)
    assert same is once
    active, _ = step(once, ACTIVE, NOW, LATCHING)
    assert active.shelf is not None
    after, effects = step(active, ConditionClear(), NOW + 1, LATCHING)
    assert (after.base, after.shelf, kinds(effects)) == (F, None, ["returned", "unshelved"])


def test_a_new_shelf_replaces_the_one_before() -> None:
    event = Shelve(by="carl", reason="still waiting", until_ns=NOW + 2 * HOUR_NS, once=True)
    after, effects = step(record(C, shelf=SHELF), event, NOW, PLAIN)
    assert after.shelf == Shelf(by="carl", reason="still waiting", since_ns=NOW, until_ns=NOW + 2 * HOUR_NS, once=True)
    assert kinds(effects) == ["shelved"]


@pytest.mark.parametrize(
    ("event", "flag", "code"),
    [
        (Shelve(by="a", reason="r", until_ns=NOW + HOUR_NS + 1), "", "shelf_too_long"),
        (Shelve(by="a", reason="r", until_ns=NOW), "", "time_over"),
        (Shelve(by="a", reason=" ", until_ns=NOW + 1), "", "reason_missing"),
        (Shelve(by="a", reason="r", until_ns=NOW + 1), "out of service", "out_of_service"),
        (Unshelve(by="a"), "", "not_shelved"),
        (PutInService(by="a"), "", "not_out_of_service"),
        (TakeOutOfService(by="a", owner="b", reason="", due_ns=NOW + 1), "", "reason_missing"),
        (TakeOutOfService(by="a", owner="", reason="r", due_ns=NOW + 1), "", "owner_missing"),
        (TakeOutOfService(by="a", owner="b", reason="r", due_ns=NOW), "", "time_over"),
    ],
)
def test_a_request_is_refused(event: AlarmEvent, flag: str, code: str) -> None:
    before = record(B, **FLAGS.get(flag, {}))
    after, effects = step(before, event, NOW, ChartRules(longest_shelf_ns=HOUR_NS))
    assert refused(effects) == code
    assert after is before


def test_the_longest_shelf_is_allowed() -> None:
    event = Shelve(by="a", reason="r", until_ns=NOW + HOUR_NS)
    after, _ = step(record(B), event, NOW, ChartRules(longest_shelf_ns=HOUR_NS))
    assert after.shelf is not None


def test_a_suppression_ends_after_the_on_delay() -> None:
    before = record(C, suppressed="plant off")
    waiting, effects = step(before, EndSuppression(delay_ns=10), NOW, PLAIN)
    assert (waiting.suppressed, effects, next_due_ns(waiting)) == ("plant off", (), NOW + 10)
    same, effects = step(waiting, EndSuppression(delay_ns=10), NOW + 5, PLAIN)
    assert same is waiting
    after, effects = step(waiting, TimePassed(), NOW + 10, PLAIN)
    assert (after.base, after.suppressed, kinds(effects)) == (B, "", ["unsuppressed", "announce_back"])
    clear, _ = step(waiting, ConditionClear(), NOW + 5, PLAIN)
    after, effects = step(clear, TimePassed(), NOW + 10, PLAIN)
    assert (after.base, kinds(effects)) == (A, ["unsuppressed"])


def test_a_suppression_that_comes_back_within_the_on_delay_goes_on() -> None:
    waiting, _ = step(record(C, suppressed="plant off"), EndSuppression(delay_ns=10), NOW, PLAIN)
    again, effects = step(waiting, Suppress(why="plant off"), NOW + 5, PLAIN)
    assert (again.suppressed, again.suppression_ends_ns, effects) == ("plant off", None, ())
    assert step(again, Suppress(why="plant off"), NOW + 6, PLAIN)[0] is again
    assert step(record(A), EndSuppression(), NOW, PLAIN) == (record(A), ())


def test_shelf_and_suppression_that_end_together_announce_once() -> None:
    both = record(C, shelf=SHELF, suppressed="plant off", suppression_ends_ns=NOW + 5)
    _, effects = step(both, TimePassed(), NOW + 2 * HOUR_NS, PLAIN)
    assert kinds(effects) == ["unshelved", "unsuppressed", "announce_back"]


def test_a_remark_is_kept_in_every_state() -> None:
    for base in BaseState:
        after, effects = step(record(base), Remark(by="carl", text="seen before"), NOW, PLAIN)
        assert (after.base, after.comment, kinds(effects)) == (base, "seen before", ["commented"])
    remarked = record(B, comment="seen before")
    assert step(remarked, Acknowledge(by="carl", occurrence=7), NOW, PLAIN)[0].comment == "seen before"


@pytest.mark.parametrize("flags", [{}, *FLAGS.values()], ids=["no flag", *FLAGS])
@pytest.mark.parametrize("base", BaseState)
def test_a_button_says_the_same_as_the_step(base: BaseState, flags: dict[str, object]) -> None:
    before = record(base, **flags)
    events: dict[AlarmCommand, AlarmEvent] = {
        AlarmCommand.ACKNOWLEDGE: Acknowledge(by="a", occurrence=7),
        AlarmCommand.RESET: Reset(by="a"),
        AlarmCommand.SHELVE: Shelve(by="a", reason="r", until_ns=NOW + 1),
        AlarmCommand.UNSHELVE: Unshelve(by="a"),
        AlarmCommand.OUT_OF_SERVICE: TakeOutOfService(by="a", owner="b", reason="r", due_ns=NOW + 1),
        AlarmCommand.IN_SERVICE: PutInService(by="a"),
        AlarmCommand.COMMENT: Remark(by="a", text="t"),
    }
    for command, event in events.items():
        cause = refusal(before, command)
        _, effects = step(before, event, NOW, PLAIN)
        assert refused(effects) == (cause.code if cause else "")
        assert cause is None or (cause.message and cause.suggestion)
