"""One pure function for each kind of condition: (spec, state, value, quality, given, now) -> state.

`value` and `quality` are those of a reading, `given` the priority of an alarm that the device itself gives to it (0:
none), `now_ns` the time of the reading. A value that is not known (stale, bad, None, not a number) holds the state.
When nothing changed the result is the same object, so that identity tells a change.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

from msgspec.structs import replace

from countingroom.core.alarms.conditions import settling
from countingroom.core.alarms.conditions.settling import more_urgent, take, unknown
from countingroom.core.alarms.conditions.specs import (
    CLEAR,
    NEVER,
    UNREAD,
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
from countingroom.core.values import Quality, Scalar

STALE = int(Quality.STALE)
_RESTARTED = 1 << 20
"""In `held`: a limit of the level's priority was exceeded before a restart, on which side is not known."""

Evaluate = Callable[[Any, ConditionState, Scalar, int, int, int], ConditionState]


def initial(spec: ConditionSpec, now_ns: int, *, level: int = CLEAR, since_ns: int = 0) -> ConditionState:
    """The state before the first reading: unknown, with the level that the alarm had before a restart."""
    if level == CLEAR and not isinstance(spec, UpdateSpec):
        return UNREAD
    state = ConditionState(
        level=level,
        since_ns=since_ns,
        unknown=True,
        raw=level,
        turned_ns=(since_ns, since_ns, since_ns, since_ns),
        held=_RESTARTED if level and isinstance(spec, LimitSpec | RateSpec | DeviationSpec) else 0,
    )
    if spec.of > 1:
        # As if the last readings had all been so: with none, the next one alone would clear the alarm.
        state = replace(state, recent=sum(level << 3 * place for place in range(spec.of)))
    if isinstance(spec, UpdateSpec):
        return _awaited(spec, state, now_ns)
    return state


def difference(readback: Scalar, setpoint: Scalar) -> float | None:
    """Readback minus setpoint; None when one of them is not known or no number."""
    if isinstance(readback, (int, float)) and isinstance(setpoint, (int, float)):
        return readback - setpoint
    return None


def of_limits(
    spec: LimitSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """HIHI, HI, LO, LOLO with hysteresis, and the alarm of the device itself."""
    if quality >= STALE or not _is_known(value):
        return unknown(spec, state, now_ns)
    sample = held = 0
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        sample, held = _beyond(spec, state, value)
    return take(spec, state, more_urgent(sample, given), held, now_ns)


def of_deviation(
    spec: DeviationSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """The absolute difference of readback and setpoint, with hysteresis."""
    if quality >= STALE or not isinstance(value, (int, float)) or isnan(value):
        return unknown(spec, state, now_ns)
    sample, held = _beyond(spec, state, abs(value))
    return take(spec, state, sample, held, now_ns)


def of_state(
    spec: StateSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """In a set, or not in it, and the alarm of the device itself."""
    if quality >= STALE or not _is_known(value):
        return unknown(spec, state, now_ns)
    sample = spec.priority if (value in spec.states) is spec.inside else CLEAR
    return take(spec, state, more_urgent(sample, given), 0, now_ns)


def of_expression(
    spec: ExpressionSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """The expression is true; `value` is its result, None when it cannot be told."""
    if value is None:
        return unknown(spec, state, now_ns)
    return take(spec, state, spec.priority if value is True else CLEAR, 0, now_ns)


def of_quality(
    spec: QualitySpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """The quality itself. It is always known."""
    sample = (CLEAR, spec.uncertain, spec.stale, spec.bad, spec.missing)[quality]
    return take(spec, state, sample, 0, now_ns)


def of_rate(
    spec: RateSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """The change over each window of `over_ns`, with hysteresis."""
    state = _end_windows(spec, state, now_ns)
    if quality >= STALE or not isinstance(value, (int, float)) or isnan(value):
        return unknown(spec, state, now_ns)
    number = float(value)
    if state.unknown or state.anchor_ns < 0:
        state = replace(state, value=number, anchor=number, anchor_ns=now_ns, unknown=False)
        return _until_window_ends(spec, state)
    if number == state.value:
        return state
    return _until_window_ends(spec, replace(state, value=number))


def of_update(
    spec: UpdateSpec, state: ConditionState, value: Scalar, quality: int, given: int, now_ns: int
) -> ConditionState:
    """A usable reading came; `pass_time` tells that none came."""
    state = pass_time(spec, state, now_ns)
    if quality >= STALE:
        return state
    return _awaited(spec, take(spec, state, CLEAR, 0, now_ns), now_ns)


def evaluator(spec: ConditionSpec) -> Evaluate:
    """The function for this kind."""
    return _FUNCTIONS[type(spec)]


def pass_time(spec: ConditionSpec, state: ConditionState, now_ns: int) -> ConditionState:
    """The state at `now_ns` without a new reading; the same object before its `due_ns`."""
    if now_ns < state.due_ns:
        return state
    if isinstance(spec, RateSpec):
        return _end_windows(spec, state, now_ns)
    if isinstance(spec, UpdateSpec):
        return _missed(spec, state, now_ns)
    return settling.pass_time(spec, state, now_ns)


def quiet_band(spec: ConditionSpec) -> tuple[float, float] | None:
    """Between these numbers, ends included, AT_REST stays AT_REST: no evaluation is needed.

    That is for numbers which are not stale and to which the device gives no alarm. None: evaluate every reading.
    """
    if isinstance(spec, LimitSpec):
        low = spec.low[0].value if spec.low else float("-inf")
        high = spec.high[0].value if spec.high else float("inf")
        return low, high
    if isinstance(spec, QualitySpec) and not spec.uncertain:
        return float("-inf"), float("inf")
    if isinstance(spec, StateSpec) and (0 in spec.states) is not spec.inside:
        return 0.0, 0.0
    return None


_FUNCTIONS: dict[type[ConditionSpec], Evaluate] = {
    LimitSpec: of_limits,
    DeviationSpec: of_deviation,
    StateSpec: of_state,
    ExpressionSpec: of_expression,
    QualitySpec: of_quality,
    RateSpec: of_rate,
    UpdateSpec: of_update,
}


def _is_known(value: Scalar) -> bool:
    return value is not None and not (isinstance(value, float) and isnan(value))


def _beyond(spec: LimitSpec | RateSpec | DeviationSpec, state: ConditionState, value: float) -> tuple[int, int]:
    """The level of a number, and how many limits it is beyond."""
    held = state.held
    back = spec.hysteresis
    level = count = 0
    for limit in spec.high:
        is_held = held > count and (held != _RESTARTED or limit.priority >= state.raw)
        if not (value > limit.value or (is_held and value > limit.value - back)):
            break
        count += 1
        level = more_urgent(level, limit.priority)
    if count:
        return level, count
    for limit in spec.low:
        is_held = _was_below(held, count, limit, state)
        if not (value < limit.value or (is_held and value < limit.value + back)):
            break
        count += 1
        level = more_urgent(level, limit.priority)
    return level, -count


def _was_below(held: int, count: int, limit: AlarmLimit, state: ConditionState) -> bool:
    return limit.priority >= state.raw if held == _RESTARTED else -held > count


def _end_windows(spec: RateSpec, state: ConditionState, now_ns: int) -> ConditionState:
    """Take the rate of each window that has ended, at the time of its end. While it is unknown there are none."""
    if state.unknown or state.anchor_ns < 0:
        return settling.pass_time(spec, state, now_ns)
    while state.anchor_ns + spec.over_ns <= now_ns:
        end_ns = state.anchor_ns + spec.over_ns
        if _is_steady(spec, state):
            end_ns = now_ns - (now_ns - state.anchor_ns) % spec.over_ns
        else:
            sample, held = _beyond(spec, state, (state.value - state.anchor) / (spec.over_ns / 1e9))
            state = take(spec, state, sample, held, end_ns)
        state = replace(state, anchor=state.value, anchor_ns=end_ns)
    return _until_window_ends(spec, settling.pass_time(spec, state, now_ns))


def _is_steady(spec: RateSpec, state: ConditionState) -> bool:
    """Whether further windows without a reading leave the state unchanged, so that they can be skipped."""
    if state.value != state.anchor or state.level != state.raw:
        return False
    waits_for_nothing = replace(state, due_ns=NEVER)
    sample, held = _beyond(spec, waits_for_nothing, 0.0)
    return take(spec, waits_for_nothing, sample, held, state.anchor_ns) is waits_for_nothing


def _until_window_ends(spec: RateSpec, state: ConditionState) -> ConditionState:
    """The state, with a due time at the end of the window if that can change the level."""
    ends_ns = state.anchor_ns + spec.over_ns
    if state.due_ns <= ends_ns or _is_steady(spec, state):
        return state
    return replace(state, due_ns=ends_ns)


def _awaited(spec: UpdateSpec, state: ConditionState, now_ns: int) -> ConditionState:
    """The state with the time at which the next update is due. An earlier due time stays: a check that comes too early
    costs less than a new due time at each reading."""
    due_ns = min(state.due_ns, now_ns + spec.after_ns)
    if (state.anchor_ns, state.due_ns, state.unknown) == (now_ns, due_ns, False):
        return state
    return replace(state, anchor_ns=now_ns, due_ns=due_ns, unknown=False)


def _missed(spec: UpdateSpec, state: ConditionState, now_ns: int) -> ConditionState:
    overdue_ns = state.anchor_ns + spec.after_ns
    if overdue_ns > now_ns or state.raw:
        state = settling.pass_time(spec, state, now_ns)
    else:
        state = take(spec, state, spec.priority, 0, overdue_ns)
        state = settling.pass_time(spec, state, now_ns)
    if state.raw:
        return state
    return replace(state, due_ns=min(state.due_ns, state.anchor_ns + spec.after_ns))
