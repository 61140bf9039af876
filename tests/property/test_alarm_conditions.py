"""Conditions against a slow model, which answers from the whole history and keeps no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from countingroom.core.alarms.conditions.kinds import evaluator, initial, pass_time, quiet_band
from countingroom.core.alarms.conditions.specs import (
    AT_REST,
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
from countingroom.core.values import Scalar
from tests.examples import examples

UNIT = 50_000_000
"""Times of the histories are multiples of this, so that ends of windows and delays are met exactly."""


@dataclass(frozen=True)
class Heard:
    """A reading; `quality` 0 to 4."""

    time_ns: int
    value: Scalar
    quality: int = 0
    given: int = 0

    @property
    def is_known(self) -> bool:
        return self.quality < 2 and self.value is not None


History = tuple[Heard, ...]
Samples = list[tuple[int, int]]
"""Time and level of each known reading."""


# The model.


def beyond(spec: Any, values: list[float]) -> int:
    """The level of the last of these values: for each limit, the newest value that decides about it."""
    back = spec.hysteresis
    levels = [0]
    for limit in spec.high:
        decisive = [one > limit.value for one in values if one > limit.value or one <= limit.value - back]
        levels += [limit.priority] if decisive[-1:] == [True] else []
    for limit in spec.low:
        decisive = [one < limit.value for one in values if one < limit.value or one >= limit.value + back]
        levels += [limit.priority] if decisive[-1:] == [True] else []
    return min((level for level in levels if level), default=0)


def worse(one: int, other: int) -> int:
    return min((level for level in (one, other) if level), default=0)


def samples(spec: ConditionSpec, history: History, now_ns: int) -> Samples:
    known = [one for one in history if one.is_known]
    match spec:
        case LimitSpec():
            values = [float(one.value) for one in known]  # type: ignore[arg-type]
            return [
                (one.time_ns, worse(beyond(spec, values[: place + 1]), one.given)) for place, one in enumerate(known)
            ]
        case DeviationSpec():
            values = [abs(float(one.value)) for one in known]  # type: ignore[arg-type]
            return [(one.time_ns, beyond(spec, values[: place + 1])) for place, one in enumerate(known)]
        case StateSpec():
            return [
                (one.time_ns, worse(spec.priority if (one.value in spec.states) == spec.inside else 0, one.given))
                for one in known
            ]
        case QualitySpec():
            levels = [0, spec.uncertain, spec.stale, spec.bad, spec.missing]
            return [(one.time_ns, levels[one.quality]) for one in history]
        case ExpressionSpec():
            return [(one.time_ns, spec.priority * (one.value is True)) for one in history if one.value is not None]
        case UpdateSpec():
            return updates(spec, [one.time_ns for one in known], now_ns)
        case RateSpec():
            return rates(spec, history, now_ns)


def updates(spec: UpdateSpec, times: list[int], now_ns: int) -> Samples:
    found: Samples = []
    for begin, end in zip([0, *times], [*times, now_ns], strict=True):
        found += [(begin + spec.after_ns, spec.priority)] if begin + spec.after_ns <= end else []
        found += [(end, 0)] if end is not now_ns or end in times else []
    return sorted(found, key=lambda one: one[0])


def rates(spec: RateSpec, history: History, now_ns: int) -> Samples:
    """Cut the history at unknown values; in each piece take the value at both ends of each window."""
    times: list[int] = []
    changes: list[float] = []
    pieces: list[list[Heard]] = [[]]
    ends: list[int] = []
    for one in history:
        if one.is_known:
            pieces[-1].append(one)
        elif pieces[-1]:
            ends.append(one.time_ns)
            pieces.append([])
    for piece, end in zip(pieces, [*ends, now_ns], strict=False):
        for place in range(1, 1 + (end - piece[0].time_ns) // spec.over_ns if piece else 0):
            at = piece[0].time_ns + place * spec.over_ns
            times.append(at)
            now, before = (
                [float(one.value) for one in piece if one.time_ns < until or one is piece[0]][-1]  # type: ignore[arg-type]
                if until > piece[0].time_ns
                else float(piece[0].value)  # type: ignore[arg-type]
                for until in (at, at - spec.over_ns)
            )
            changes.append((now - before) / (spec.over_ns / 1e9))
    return [(time, beyond(spec, changes[: place + 1])) for place, time in enumerate(times)]


def expected(spec: ConditionSpec, history: History, now_ns: int) -> tuple[int, int | None]:
    """The level now, and since when it has been active."""
    taken = samples(spec, history, now_ns)
    level, since = 0, None
    for priority in (4, 3, 2, 1):
        reached = [0 < one <= priority for _, one in taken]
        truths = [sum(reached[max(0, place + 1 - spec.of) : place + 1]) >= spec.count for place in range(len(reached))]
        segments: list[tuple[bool, int]] = []
        for (time_ns, _), truth in zip(taken, truths, strict=True):
            if truth is not (segments[-1][0] if segments else False):
                segments.append((truth, time_ns))
        lasted = [
            (truth, begin)
            for (truth, begin), end in zip(segments, [*(begin for _, begin in segments[1:]), now_ns], strict=False)
            if end - begin >= (spec.on_delay_ns if truth else spec.off_delay_ns)
        ]
        if lasted and lasted[-1][0]:
            level = priority
        if priority == 4 and level:
            first = max((place for place, (truth, _) in enumerate(lasted) if not truth), default=-1) + 1
            since = lasted[first][1]
    return level, since


# Random specs and histories.

DELAYS = st.sampled_from([0, 0, UNIT, 3 * UNIT, 10 * UNIT])
COUNTS = st.sampled_from([(1, 1), (1, 1), (2, 3), (3, 3), (1, 4)])
PRIORITIES = st.integers(1, 4)
LEVELS = st.integers(0, 4)


@st.composite
def settled(draw: st.DrawFn, kind: type, *, counts: bool = True, **fields: st.SearchStrategy[Any]) -> ConditionSpec:
    count, of = draw(COUNTS) if counts else (1, 1)
    made = {name: draw(strategy) for name, strategy in fields.items()}
    return kind(on_delay_ns=draw(DELAYS), off_delay_ns=draw(DELAYS), count=count, of=of, **made)


def limits(*values: float) -> st.SearchStrategy[tuple[AlarmLimit, ...]]:
    return st.lists(st.builds(AlarmLimit, st.sampled_from(values), PRIORITIES), max_size=3).map(tuple)


HYSTERESIS = st.sampled_from([0.0, 0.5, 1.0])
HIGH = limits(2.0, 3.0, 5.0)
LOW = limits(-1.0, -2.0, 0.0)
SPECS: st.SearchStrategy[ConditionSpec] = st.one_of(
    settled(LimitSpec, high=HIGH, low=LOW, hysteresis=HYSTERESIS),
    settled(DeviationSpec, high=HIGH, hysteresis=HYSTERESIS),
    settled(RateSpec, high=HIGH, low=LOW, hysteresis=HYSTERESIS, over_ns=st.sampled_from([2 * UNIT, 20 * UNIT])),
    settled(StateSpec, states=st.sampled_from([(1.0, 2.0), (0.0,)]), inside=st.booleans(), priority=PRIORITIES),
    settled(QualitySpec, uncertain=LEVELS, stale=LEVELS, bad=LEVELS, missing=LEVELS),
    settled(UpdateSpec, counts=False, after_ns=st.sampled_from([UNIT, 7 * UNIT]), priority=PRIORITIES),
    settled(ExpressionSpec, expression=st.just("a"), priority=PRIORITIES),
)
VALUES = st.none() | st.sampled_from([-3.0, -1.5, -1.0, -0.5, 0.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0])
GAPS = st.sampled_from([0, 1, 1, 2, 3, 9, 40])


@st.composite
def histories(draw: st.DrawFn, spec: ConditionSpec) -> History:
    now = 0
    found: list[Heard] = []
    for _ in range(draw(st.integers(0, 12))):
        now += draw(GAPS) * UNIT
        if isinstance(spec, ExpressionSpec):
            found.append(Heard(now, draw(st.none() | st.booleans())))
        else:
            value = draw(VALUES)
            quality = 3 if value is None else draw(st.sampled_from([0, 0, 0, 1, 2]))
            is_given = isinstance(spec, LimitSpec | StateSpec)
            found.append(Heard(now, value, quality, draw(st.sampled_from([0, 0, 0, 2, 3])) if is_given else 0))
    return tuple(found)


CASES = SPECS.flatmap(lambda spec: st.tuples(st.just(spec), histories(spec), st.lists(GAPS, max_size=8)))


def run(spec: ConditionSpec, history: History, ticks: list[int], until_ns: int) -> ConditionState:
    """The state at a time, with evaluation at readings, at due times where `ticks` is empty, else at its times."""
    evaluate = evaluator(spec)
    state = initial(spec, 0)
    extra = sorted({sum(ticks[: place + 1]) * UNIT for place in range(len(ticks))})
    for heard in history:
        if heard.time_ns > until_ns:
            break
        if ticks:
            for tick in [one for one in extra if one <= heard.time_ns]:
                state = pass_time(spec, state, tick)
            extra = [one for one in extra if one > heard.time_ns]
        else:
            state = to_due(spec, state, heard.time_ns)
        state = evaluate(spec, state, heard.value, heard.quality, heard.given, heard.time_ns)
    return to_due(spec, state, until_ns) if not ticks else pass_time(spec, state, until_ns)


def to_due(spec: ConditionSpec, state: ConditionState, until_ns: int) -> ConditionState:
    """At each due time in its turn, as the shell does that sleeps until it."""
    for _ in range(10_000):
        if state.due_ns > until_ns:
            return state
        before, state = state, pass_time(spec, state, state.due_ns)
        assert state.due_ns > before.due_ns, "a due time that comes again would keep the shell busy"
    raise AssertionError("too many due times")


RISES_IN_DELAY: tuple[ConditionSpec, History, list[int]] = (
    LimitSpec(high=(AlarmLimit(2.0, 3), AlarmLimit(5.0, 2)), on_delay_ns=2 * UNIT),
    (Heard(0, 4.0), Heard(UNIT, 6.0), Heard(2 * UNIT, 6.0)),
    [],
)
UNKNOWN_RATE: tuple[ConditionSpec, History, list[int]] = (
    RateSpec(high=(AlarmLimit(2.0, 2),), over_ns=2 * UNIT),
    (Heard(0, 0.0), Heard(UNIT, 6.0), Heard(3 * UNIT, None, 3)),
    [],
)


@settings(max_examples=examples(300, part=3), deadline=None)
@given(CASES, st.integers(0, 30))
@example(
    (
        RateSpec(low=(AlarmLimit(0.0, 2),), high=(AlarmLimit(2.0, 1),), over_ns=2 * UNIT),
        (Heard(0, 6.0), Heard(UNIT, 0.0)),
        [],
    ),
    9,
)
@example((LimitSpec(high=(AlarmLimit(2.0, 3),), on_delay_ns=UNIT), (Heard(0, 6.0), Heard(UNIT, 0.0)), []), 0)
@example(RISES_IN_DELAY, 0)
@example(UNKNOWN_RATE, 40)
def test_a_condition_and_the_model_agree(case: tuple[ConditionSpec, History, list[int]], later: int) -> None:
    spec, history, ticks = case
    end = (history[-1].time_ns if history else 0) + later * UNIT
    state = run(spec, history, [], end)
    level, since = expected(spec, history, end)
    assert state.level == level
    if level:
        assert state.since_ns == since
    # An evaluation between the due times changes nothing, and one that comes late catches up.
    other = run(spec, history, ticks or [1], end)
    assert (other.level, other.raw, other.held, other.recent) == (state.level, state.raw, state.held, state.recent)


@settings(max_examples=examples(150, part=3), deadline=None)
@given(CASES)
def test_the_same_object_comes_back_when_nothing_changed(case: tuple[ConditionSpec, History, list[int]]) -> None:
    spec, history, _ = case
    evaluate = evaluator(spec)
    state = initial(spec, 0)
    for heard in history:
        before = to_due(spec, state, heard.time_ns)
        assert pass_time(spec, before, heard.time_ns) is before
        state = evaluate(spec, before, heard.value, heard.quality, heard.given, heard.time_ns)
        assert state is before or state != before
        if isinstance(spec, LimitSpec | StateSpec | DeviationSpec) and not heard.is_known:
            assert (state.level, state.raw, state.unknown) == (before.level, before.raw, True)


NUMBERS = st.floats(-10, 10) | st.integers(-5, 5) | st.booleans()


@settings(max_examples=examples(150, part=3), deadline=None)
@given(SPECS, NUMBERS, st.integers(0, 1))
def test_inside_the_quiet_band_rest_stays_rest(spec: ConditionSpec, value: float, quality: int) -> None:
    band = quiet_band(spec)
    if band and band[0] <= value <= band[1]:
        assert evaluator(spec)(spec, AT_REST, value, quality, 0, UNIT) is AT_REST
        assert AT_REST.due_ns == NEVER


@settings(max_examples=examples(200, part=3), deadline=None)
@given(CASES)
@example((LimitSpec(high=(AlarmLimit(2.0, 3),), count=2, of=3), (Heard(0, 3.0), Heard(0, 3.0)), []))
@example((LimitSpec(high=(AlarmLimit(2.0, 3),), hysteresis=1.0), (Heard(0, 3.0), Heard(0, 1.5)), []))
def test_after_a_restart_the_last_reading_gives_the_level_that_was_there(
    case: tuple[ConditionSpec, History, list[int]],
) -> None:
    spec, history, _ = case
    known = [one for one in history if one.is_known and not one.given]
    if isinstance(spec, RateSpec | UpdateSpec | QualitySpec) or not known or known[-1] is not history[-1]:
        return
    last = known[-1]
    state = run(spec, history, [], last.time_ns)
    if state.level != state.raw or not state.level:
        return  # a delay has begun, and begins anew
    again = initial(spec, last.time_ns, level=state.level, since_ns=state.since_ns)
    again = evaluator(spec)(spec, again, last.value, last.quality, 0, last.time_ns)
    assert (again.level, again.since_ns, again.unknown) == (state.level, state.since_ns, False)
