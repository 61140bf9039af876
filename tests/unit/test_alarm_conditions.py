"""Each kind of condition by example, its refusals, and the rows that find what a message concerns."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from countingroom.core.alarms.conditions.kinds import difference, evaluator, initial, pass_time
from countingroom.core.alarms.conditions.rows import ConditionRows
from countingroom.core.alarms.conditions.specs import (
    AT_REST,
    MISSING,
    NEVER,
    AlarmLimit,
    ConditionSpec,
    ConditionState,
    DeviationSpec,
    ExpressionSpec,
    LimitSpec,
    QualitySpec,
    RateSpec,
    StateSpec,
    UpdateSpec,
)
from countingroom.core.messages import Readings
from countingroom.core.values import Scalar

S = 1_000_000_000
HIGH = (AlarmLimit(12.0, 2), AlarmLimit(10.0, 3))
LOW = (AlarmLimit(-2.0, 2), AlarmLimit(0.0, 3))
LIMITS = LimitSpec(high=HIGH, low=LOW, hysteresis=1.0)


def levels(
    spec: ConditionSpec, *values: Scalar, quality: int = 0, given: int = 0, state: ConditionState = AT_REST
) -> str:
    found = ""
    for second, value in enumerate(values):
        state = pass_time(spec, state, second * S)
        state = evaluator(spec)(spec, state, value, 3 if value is None else quality, given, second * S)
        found += str(state.level)
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5, 10, 10.1, 9.5, 9.1, 9.0], "003330"),
        ([13, 11.5, 11.0, 10.5, 9.5, 9.0], "223330"),
        ([-0.1, 0.5, 0.9, 1.0], "3330"),
        ([-3, -1.5, -1.0, 0.9, 1.0], "22330"),
        ([13, -3, 13, 5], "2220"),
        ([13, None, 5, None], "2200"),
        (["on", True, 13, "on"], "0020"),
        ([float("nan"), 13, float("nan"), float("inf")], "0222"),
    ],
)
def test_limits_with_hysteresis(values: list[Scalar], expected: str) -> None:
    assert levels(LIMITS, *values) == expected


def test_the_alarm_of_the_device_itself_counts() -> None:
    assert levels(LIMITS, 5, 11, 13, "text", given=3) == "3323"
    assert levels(LIMITS, 5, given=1) == "1"


def test_delays_begin_with_the_first_reading_and_end_by_themselves() -> None:
    spec = LimitSpec(high=HIGH, on_delay_ns=2 * S, off_delay_ns=3 * S)
    assert levels(spec, 11, 11, 11, 5, 5, 11, 5, 5, 5, 5) == "0033333330"
    assert levels(spec, 11, 13, 13, 13, 13) == "00322"
    state = evaluator(spec)(spec, AT_REST, 11, 0, 0, 5 * S)
    assert (state.level, state.due_ns) == (0, 7 * S)
    assert pass_time(spec, state, 7 * S - 1) is state
    after = pass_time(spec, state, 7 * S)
    assert (after.level, after.since_ns, after.due_ns) == (3, 5 * S, NEVER)


def test_a_delay_goes_on_while_the_value_is_unknown() -> None:
    spec = LimitSpec(high=HIGH, on_delay_ns=2 * S)
    assert levels(spec, 11, None, None, None) == "0033"


def test_two_of_the_last_three() -> None:
    spec = LimitSpec(high=HIGH, count=2, of=3)
    assert levels(spec, 11, 5, 5, 11, 13, 5, 5) == "0000330"


def test_a_set_and_its_complement() -> None:
    error = StateSpec(states=("error", "no_link"), priority=1)
    assert levels(error, "on", "error", "no_link", "off", None) == "01100"
    idle = StateSpec(states=("Idle",), inside=False, priority=3)
    assert levels(idle, "Idle", "Error", "Idle") == "030"
    flag = StateSpec(states=(False,), inside=False, priority=2)
    assert levels(flag, False, True, 0, 1, 0.0, 7) == "020202"


def test_a_rate_is_the_change_over_its_window() -> None:
    spec = RateSpec(high=(AlarmLimit(2.0, 2),), low=(AlarmLimit(-2.0, 3),), over_ns=S)
    assert levels(spec, 0, 1, 3, 6, 6, 6) == "000020"
    assert levels(spec, 9, 5, 5, 5) == "0030"


def test_a_rate_ends_though_no_reading_comes() -> None:
    spec = RateSpec(high=(AlarmLimit(2.0, 2),), over_ns=S)
    state = evaluator(spec)(spec, initial(spec, 0), 0.0, 0, 0, 0)
    state = evaluator(spec)(spec, state, 5.0, 0, 0, S // 2)
    assert state.due_ns == S
    state = pass_time(spec, state, S)
    assert (state.level, state.since_ns, state.due_ns) == (2, S, 2 * S)
    state = pass_time(spec, state, 2 * S)
    assert (state.level, state.due_ns) == (0, NEVER)


def test_a_rate_holds_while_the_value_is_unknown() -> None:
    spec = RateSpec(high=(AlarmLimit(2.0, 2),), over_ns=S)
    assert levels(spec, 0, 5, 10, None, None, None, 50, 50, 50) == "002222200"


def test_a_rate_that_was_at_rest_for_a_year_is_evaluated_at_once() -> None:
    spec = RateSpec(high=(AlarmLimit(2.0, 2),), over_ns=S)
    state = evaluator(spec)(spec, initial(spec, 0), 0.0, 0, 0, 0)
    later = 365 * 86_400 * S + S // 2
    state = evaluator(spec)(spec, state, 5.0, 0, 0, later)
    assert state.due_ns == later + S // 2


def test_a_deviation_counts_in_both_directions() -> None:
    spec = DeviationSpec(high=(AlarmLimit(1.0, 3),), hysteresis=0.5)
    assert levels(spec, 0.0, 1.1, -1.1, 0.6, 0.5, None) == "033300"
    assert difference(3, 1.5) == 1.5
    assert difference(3, None) is None
    assert difference("3", 1) is None


def test_the_quality_is_always_known() -> None:
    spec = QualitySpec(stale=3, bad=2, missing=4)
    found = [evaluator(spec)(spec, AT_REST, None, quality, 0, 0).level for quality in (0, 1, 2, 3, MISSING)]
    assert found == [0, 0, 3, 2, 4]


def test_no_update_for_a_time() -> None:
    spec = UpdateSpec(after_ns=2 * S, priority=3)
    state = initial(spec, 0)
    assert (state.level, state.due_ns) == (0, 2 * S)
    state = evaluator(spec)(spec, state, 1.0, 0, 0, S)
    state = pass_time(spec, state, 2 * S)
    assert (state.level, state.due_ns) == (0, 3 * S)
    state = pass_time(spec, state, 9 * S)
    assert (state.level, state.since_ns, state.due_ns) == (3, 3 * S, NEVER)
    assert evaluator(spec)(spec, state, 1.0, 2, 0, 9 * S) is state
    assert evaluator(spec)(spec, state, 1.0, 0, 0, 10 * S).level == 0


def test_an_expression_is_active_only_when_true() -> None:
    spec = ExpressionSpec(expression="a", priority=2)
    state = evaluator(spec)(spec, AT_REST, True, 0, 0, 0)
    assert state.level == 2
    held = evaluator(spec)(spec, state, None, 0, 0, S)
    assert (held.level, held.unknown) == (2, True)
    assert evaluator(spec)(spec, held, False, 0, 0, 2 * S).level == 0


@pytest.mark.parametrize(("value", "level"), [(9.5, 3), (9.0, 0), (11.5, 3), (12.5, 2), (0.5, 3), (1.0, 0), (-1.5, 3)])
def test_after_a_restart_the_hysteresis_goes_on(value: float, level: int) -> None:
    state = initial(LIMITS, 9 * S, level=3, since_ns=S)
    assert (state.level, state.unknown) == (3, True)
    after = evaluator(LIMITS)(LIMITS, state, value, 0, 0, 10 * S)
    assert after.level == level
    assert after.since_ns == (S if level else 10 * S)
    assert not after.unknown


def test_a_condition_that_is_clear_again_comes_to_rest() -> None:
    state = evaluator(LIMITS)(LIMITS, AT_REST, 13, 0, 0, S)
    state = evaluator(LIMITS)(LIMITS, state, 5, 0, 0, 2 * S)
    assert (state.level, state.since_ns) == (0, 2 * S)
    assert evaluator(LIMITS)(LIMITS, state, 5, 0, 0, 3 * S) is AT_REST


@pytest.mark.parametrize(
    "make",
    [
        lambda: LimitSpec(high=HIGH, low=LOW, hysteresis=10.5),
        lambda: LimitSpec(high=HIGH, hysteresis=-1.0),
        lambda: LimitSpec(high=(AlarmLimit(float("nan"), 2),)),
        lambda: LimitSpec(high=HIGH, count=3, of=2),
        lambda: LimitSpec(high=HIGH, count=1, of=17),
        lambda: LimitSpec(high=HIGH, on_delay_ns=-1),
        lambda: DeviationSpec(low=LOW),
        lambda: RateSpec(high=HIGH, over_ns=1),
        lambda: UpdateSpec(after_ns=S, priority=3, count=1, of=2),
        lambda: UpdateSpec(after_ns=0, priority=3),
    ],
)
def test_a_spec_without_sense_is_refused(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


# Rows.


def message(
    device: str, values: dict[str, Scalar], *, quality: int = 0, alarms: dict[str, int] | None = None
) -> Readings:
    count = len(values)
    return Readings(
        device=device,
        boot="b",
        sequence=1,
        full=False,
        sent_ns=0,
        points=list(values),
        values=list(values.values()),
        qualities=[3 if value is None else quality for value in values.values()],
        device_ns=[0] * count,
        received_ns=[0] * count,
        alarms=alarms or {},
    )


def test_rows_give_back_what_changed() -> None:
    rows = ConditionRows()
    volts = rows.add(LIMITS, ("caen.0.lv_vMon",), now_ns=0)
    lost = rows.add(QualitySpec(stale=3, bad=3), ("caen.0.lv_vMon",), now_ns=0)
    changes = rows.take(message("caen", {"0.lv_vMon": 5.0, "1.lv_vMon": 50.0}), S)
    assert {row for row, _, _ in changes} == {volts, lost}
    assert rows.states == [AT_REST, AT_REST]
    assert rows.take(message("caen", {"0.lv_vMon": 6.0}), 2 * S) == []
    ((row, before, after),) = rows.take(message("caen", {"0.lv_vMon": 13.0}), 3 * S)
    assert (row, before.level, after.level) == (volts, 0, 2)
    assert rows.states[volts] is after
    changes = rows.take(message("caen", {"0.lv_vMon": None}), 4 * S)
    assert [(row, after.level, after.unknown) for row, _, after in changes] == [(volts, 2, True), (lost, 3, False)]
    assert rows.take(message("marta", {"0.lv_vMon": None}), 4 * S) == []
    assert rows.take(message("caen", {"0.lv_vMon": 5.0}, alarms={"0.lv_vMon": 1}), 5 * S)[0][2].level == 1


def test_a_stale_value_within_the_limits_makes_the_row_unknown() -> None:
    rows = ConditionRows()
    rows.add(LIMITS, ("caen.v",), now_ns=0)
    rows.take(message("caen", {"v": 5.0}), S)
    assert rows.states == [AT_REST]
    rows.take(message("caen", {"v": 5.0}, quality=2), 2 * S)
    assert (rows.states[0].level, rows.states[0].unknown) == (0, True)
    rows.take(message("caen", {"v": 5.0}), 3 * S)
    assert rows.states == [AT_REST]


def test_rows_tell_when_they_are_due() -> None:
    rows = ConditionRows()
    row = rows.add(LimitSpec(high=HIGH, on_delay_ns=2 * S), ("caen.v",), now_ns=0)
    silent = rows.add(UpdateSpec(after_ns=9 * S, priority=3), ("caen.v",), now_ns=0)
    assert rows.next_due_ns() == 9 * S
    rows.take(message("caen", {"v": 11.0}), S)
    assert rows.next_due_ns() == 3 * S
    assert rows.pass_time(3 * S - 1) == []
    assert [(one, after.level) for one, _, after in rows.pass_time(3 * S)] == [(row, 3)]
    assert [(one, after.level) for one, _, after in rows.pass_time(60 * S)][-1] == (silent, 3)
    assert rows.next_due_ns() == NEVER


def test_a_row_of_several_points_gets_their_last_values() -> None:
    rows = ConditionRows()
    spec = DeviationSpec(high=(AlarmLimit(1.0, 2),))
    inputs = ("caen.v", "caen.set")
    rows.add(spec, inputs, now_ns=0, derive=lambda values: difference(values.get("caen.v"), values.get("caen.set")))
    rows.take(message("caen", {"v": 5.0}), S)
    assert rows.states[0].unknown
    rows.take(message("caen", {"set": 5.5}), S)
    assert (rows.states[0].level, rows.states[0].unknown) == (0, False)
    rows.take(message("caen", {"v": 3.0}), S)
    assert rows.states[0].level == 2
    rows.take(message("caen", {"set": 3.0}, quality=2), S)
    assert (rows.states[0].level, rows.states[0].unknown) == (2, True)
    rows.take(message("caen", {"set": 3.0}), S)
    assert rows.states[0].level == 0


def test_a_state_is_put_without_a_message() -> None:
    rows = ConditionRows()
    row = rows.add(StateSpec(states=("error",), priority=1), ("caen.state",), now_ns=0)
    ((found, _, after),) = rows.put("caen.state", "error", 0, S)
    assert (found, after.level, after.since_ns) == (row, 1, S)
    assert rows.put("marta.state", "error", 0, S) == []


VALUE = st.none() | st.sampled_from([-3.0, 0.0, 5, 9.5, 11.0, 13.0, True, "text"])
STEP = st.tuples(
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(["a", "b"]), VALUE, min_size=1),
    st.integers(0, 2),
    st.sampled_from([{}, {}, {"a": 2}]),
)
SPECS: list[ConditionSpec] = [
    LIMITS,
    LimitSpec(low=LOW, on_delay_ns=2 * S, count=2, of=3),
    QualitySpec(stale=3, bad=2),
    StateSpec(states=(0, "text"), inside=False, priority=3, off_delay_ns=S),
    UpdateSpec(after_ns=4 * S, priority=4),
    RateSpec(high=HIGH, over_ns=S),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=15), st.sets(st.integers(0, 5), min_size=1))
def test_rows_with_bands_and_due_times_do_what_plain_evaluation_does(
    steps: list[tuple[int, dict[str, Scalar], int, dict[str, int]]], chosen: set[int]
) -> None:
    rows = ConditionRows()
    specs = [SPECS[one] for one in sorted(chosen)]
    for spec in specs:
        rows.add(spec, ("d.a",), now_ns=0)
    plain = [initial(spec, 0) for spec in specs]
    now = 0
    for seconds, values, quality, alarms in steps:
        now += seconds * S
        rows.pass_time(now)
        given = message("d", values, quality=quality, alarms=alarms)
        rows.take(structs.replace(given, sent_ns=now, received_ns=[now] * len(values)), now)
        for row, spec in enumerate(specs):
            plain[row] = pass_time(spec, plain[row], now)
            if "a" in values:
                one = 3 if values["a"] is None else quality
                plain[row] = evaluator(spec)(spec, plain[row], values["a"], one, alarms.get("a", 0), now)
            expected, found = plain[row], rows.states[row]
            assert (found.level, found.raw, found.unknown) == (expected.level, expected.raw, expected.unknown)
            assert found.due_ns == NEVER or rows.next_due_ns() <= found.due_ns


def test_a_value_that_a_host_repeats_is_no_new_one_for_silence() -> None:
    rows = ConditionRows()
    silent = rows.add(UpdateSpec(after_ns=90 * S, priority=3), ("caen.v",), now_ns=0)

    def sent(now_s: int, received_s: int) -> None:
        rows.pass_time(now_s * S)
        rows.take(
            structs.replace(message("caen", {"v": 1.0}), received_ns=[received_s * S], sent_ns=now_s * S), now_s * S
        )

    # The source gave its last value at 70 s. The host repeats it each minute; nothing says that it is stale.
    for now_s, received_s, level in (
        (60, 59, 0),
        (120, 70, 0),
        (161, 70, 3),
        (180, 70, 3),
        (240, 70, 3),
        (241, 241, 0),
    ):
        sent(now_s, received_s)
        assert rows.states[silent].level == level, now_s
    assert rows.next_due_ns() <= (241 + 90) * S


def test_silence_counts_from_the_time_at_which_a_value_was_received_by_the_clock_of_its_host() -> None:
    rows = ConditionRows()
    silent = rows.add(UpdateSpec(after_ns=90 * S, priority=3), ("caen.v",), now_ns=0)
    # The clock of the host is an hour ahead; the value was received 40 s before its message was sent.
    first = structs.replace(message("caen", {"v": 1.0}), received_ns=[3620 * S], sent_ns=3660 * S)
    rows.take(first, 60 * S)
    rows.pass_time(109 * S)
    assert rows.states[silent].level == 0
    rows.pass_time(111 * S)
    assert (rows.states[silent].level, rows.states[silent].since_ns) == (3, 110 * S)
    # It was set back: what comes is new all the same.
    rows.take(structs.replace(first, received_ns=[112 * S], sent_ns=112 * S), 112 * S)
    assert rows.states[silent].level == 0
