"""From the raw levels of readings to the level of an alarm: count of the last readings, on-delay, off-delay. Pure.

The rule, for each priority p by itself: it turns on when the raw level was at least as urgent as p for the on-delay
without a break, and off when it was not for the off-delay. The level is the most urgent p that is on.
"""

from __future__ import annotations

from countingroom.core.alarms.conditions.specs import AT_REST, CLEAR, NEVER, ConditionSpec, ConditionState
from countingroom.core.alarms.states import LOWEST_PRIORITY

PRIORITIES = range(1, LOWEST_PRIORITY + 1)
_CLEAR_RANK = LOWEST_PRIORITY + 1
"""Clear is less urgent than every priority."""


def reaches(level: int, priority: int) -> bool:
    """Whether a level is at least as urgent as a priority."""
    return CLEAR < level <= priority


def more_urgent(one: int, other: int) -> int:
    """The more urgent of two levels."""
    return min(one, other) if one and other else one or other


def take(spec: ConditionSpec, state: ConditionState, sample: int, held: int, now_ns: int) -> ConditionState:
    """The state after a known reading whose level is `sample`; the same state when nothing changed."""
    if now_ns >= state.due_ns:
        state = pass_time(spec, state, now_ns)
    raw = sample
    recent = 0
    if spec.of > 1:
        recent = (state.recent << 3 | sample) & ((1 << 3 * spec.of) - 1)
        raw = _counted(recent, spec.count, spec.of) if recent else CLEAR
    if raw == state.raw and held == state.held and recent == state.recent and not state.unknown:
        is_over = raw == state.level == CLEAR and state.due_ns == NEVER and state.anchor_ns < 0
        return AT_REST if is_over and not held and not recent else state
    turned_ns = state.turned_ns if raw == state.raw else _turned(state, raw, now_ns)
    return _settle(spec, state, raw, turned_ns, held, recent, now_ns)


def unknown(spec: ConditionSpec, state: ConditionState, now_ns: int) -> ConditionState:
    """The state after a reading without a usable value: the level stays, and running delays continue."""
    if now_ns >= state.due_ns:
        state = pass_time(spec, state, now_ns)
    return state if state.unknown else _with(state, unknown=True)


def pass_time(spec: ConditionSpec, state: ConditionState, now_ns: int) -> ConditionState:
    """The state after the delays that end by `now_ns`, each at its own time."""
    while state.due_ns <= now_ns:
        state = _settle(spec, state, state.raw, state.turned_ns, state.held, state.recent, state.due_ns, known=False)
    return state


def set_back(state: ConditionState, now_ns: int) -> ConditionState:
    """The state after the clock was set back to `now_ns`: future times are replaced by the present one, and it is due
    now. Delays, rate windows and waits for an update begin again; otherwise they would last longer by the step of the
    clock. The same object if it has no future time."""
    if max(state.since_ns, state.anchor_ns, *state.turned_ns) <= now_ns:
        return state
    first, second, third, fourth = (min(one, now_ns) for one in state.turned_ns)
    is_ahead = state.anchor_ns > now_ns
    return ConditionState(
        level=state.level,
        since_ns=min(state.since_ns, now_ns),
        due_ns=min(state.due_ns, now_ns) if state.due_ns != NEVER else NEVER,
        unknown=state.unknown,
        raw=state.raw,
        turned_ns=(first, second, third, fourth),
        held=state.held,
        recent=state.recent,
        value=state.value,
        anchor=state.value if is_ahead else state.anchor,
        anchor_ns=min(state.anchor_ns, now_ns),
    )


def _counted(recent: int, count: int, of: int) -> int:
    levels = [recent >> 3 * place & 7 for place in range(of)]
    for priority in PRIORITIES:
        if sum(reaches(level, priority) for level in levels) >= count:
            return priority
    return CLEAR


def _turned(state: ConditionState, raw: int, now_ns: int) -> tuple[int, int, int, int]:
    one, two = raw or _CLEAR_RANK, state.raw or _CLEAR_RANK
    first, last = (one, two) if one < two else (two, one)
    times = [*state.turned_ns]
    for priority in range(first, last):
        times[priority - 1] = now_ns
    return times[0], times[1], times[2], times[3]


def _settle(
    spec: ConditionSpec,
    state: ConditionState,
    raw: int,
    turned_ns: tuple[int, int, int, int],
    held: int,
    recent: int,
    now_ns: int,
    *,
    known: bool = True,
) -> ConditionState:
    level, due_ns = raw, NEVER
    if spec.on_delay_ns or spec.off_delay_ns:
        level, due_ns = _delayed(spec, state.level, raw, turned_ns, now_ns)
    if level == raw == state.level == CLEAR and known and not held and not recent and state.anchor_ns < 0:
        return AT_REST
    return ConditionState(
        level=level,
        since_ns=turned_ns[-1] if (level == CLEAR) != (state.level == CLEAR) else state.since_ns,
        due_ns=due_ns,
        unknown=state.unknown and not known,
        raw=raw,
        turned_ns=turned_ns,
        held=held,
        recent=recent,
        value=state.value,
        anchor=state.anchor,
        anchor_ns=state.anchor_ns,
    )


def _delayed(
    spec: ConditionSpec, level: int, raw: int, turned_ns: tuple[int, int, int, int], now_ns: int
) -> tuple[int, int]:
    """The level now, and when the next delay ends."""
    found, due_ns = CLEAR, NEVER
    for priority, since_ns in zip(PRIORITIES, turned_ns, strict=True):
        is_on = reaches(level, priority)
        if reaches(raw, priority) != is_on:
            ends_ns = since_ns + (spec.off_delay_ns if is_on else spec.on_delay_ns)
            if ends_ns <= now_ns:
                is_on = not is_on
            else:
                due_ns = min(due_ns, ends_ns)
        if is_on and not found:
            found = priority
    return found, due_ns


def _with(state: ConditionState, *, unknown: bool) -> ConditionState:
    return ConditionState(
        level=state.level,
        since_ns=state.since_ns,
        due_ns=state.due_ns,
        unknown=unknown,
        raw=state.raw,
        turned_ns=state.turned_ns,
        held=state.held,
        recent=state.recent,
        value=state.value,
        anchor=state.anchor,
        anchor_ns=state.anchor_ns,
    )
