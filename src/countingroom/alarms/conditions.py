"""Conditions that the section `alarms` writes itself, as the code evaluates them. Pure.

The levels of a condition are those of an experiment without a section, 2 for an alarm and 3 for a warning: the
priorities of its definition turn them into those of its area.
"""

from __future__ import annotations

from typing import Any

from countingroom.alarms.sections.conditions import (
    ConditionKeys,
    DeviationCondition,
    ExpressionCondition,
    LimitCondition,
    QualityCondition,
    RateCondition,
    SilenceCondition,
    StateCondition,
)
from countingroom.core import severity
from countingroom.core.alarms.conditions.specs import (
    AlarmLimit,
    DeviationSpec,
    ExpressionSpec,
    LimitSpec,
    QualitySpec,
    RateSpec,
    StateSpec,
    UpdateSpec,
)
from countingroom.core.alarms.definition import AlarmDefinition, WatchedCondition
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.points import Limits

PLAIN_LEVEL = severity.LOW
"""Level of a condition that has one level only."""


def fitting_hysteresis(hysteresis: float, limits: Limits | LimitCondition) -> float:
    """The hysteresis, at most the range between the innermost limits: with a wider one a value could be above the high
    limit and below the low one at once. `check` tells where it is cut."""
    high, low = _limits(limits)
    return min(hysteresis, max(0.0, high[0].value - low[0].value)) if high and low else hysteresis


def _settled(definition: AlarmDefinition) -> dict[str, Any]:
    """How an alarm is protected from chatter, as the arguments of every condition."""
    found: dict[str, Any] = {
        "on_delay_ns": round(definition.on_delay_s * 1e9),
        "off_delay_ns": round(definition.off_delay_s * 1e9),
    }
    if definition.count:
        found |= {"count": definition.count.n, "of": definition.count.of}
    return found


def watched(keys: ConditionKeys, definition: AlarmDefinition | None = None) -> WatchedCondition:
    """The condition of these keys: of a custom alarm with its definition, or of a suppression. ExpressionError where
    its expression cannot be compiled."""
    more = _settled(definition) if definition else {}
    hysteresis = definition.hysteresis if definition else 0.0
    match getattr(keys, keys.kind):
        case LimitCondition() as one:
            high, low = _limits(one)
            cut = fitting_hysteresis(hysteresis, one)
            return WatchedCondition(spec=LimitSpec(high=high, low=low, hysteresis=cut, **more), points=(one.point,))
        case RateCondition() as one:
            high = (AlarmLimit(one.rise / one.per, PLAIN_LEVEL),) if one.rise is not None else ()
            low = (AlarmLimit(-one.fall / one.per, PLAIN_LEVEL),) if one.fall is not None else ()
            cut = min(hysteresis / one.per, high[0].value - low[0].value) if high and low else hysteresis / one.per
            spec = RateSpec(high=high, low=low, over_ns=round(one.per * 1e9), hysteresis=cut, **more)
            return WatchedCondition(spec=spec, points=(one.point,))
        case DeviationCondition() as one:
            spec = DeviationSpec(high=(AlarmLimit(one.more_than, PLAIN_LEVEL),), hysteresis=hysteresis, **more)
            return WatchedCondition(spec=spec, points=(one.point, one.setpoint))
        case StateCondition() as one:
            inside = bool(one.is_in)
            states = tuple(one.is_in or one.not_in)
            return WatchedCondition(
                spec=StateSpec(states=states, inside=inside, priority=PLAIN_LEVEL, **more), subject=one.of
            )
        case QualityCondition() as one:
            levels = dict.fromkeys(one.qualities, PLAIN_LEVEL)
            return WatchedCondition(spec=QualitySpec(**levels, **more), points=(one.point,))
        case SilenceCondition() as one:
            more = {key: value for key, value in more.items() if key not in ("count", "of")}
            spec = UpdateSpec(after_ns=round(one.longer_than * 1e9), priority=PLAIN_LEVEL, **more)
            return WatchedCondition(spec=spec, points=(one.point,))
        case ExpressionCondition() as one:
            references = compile_expression(one.text, one.names).references
            spec = ExpressionSpec(expression=one.text, names=one.names, priority=PLAIN_LEVEL, **more)
            return WatchedCondition(spec=spec, points=references)
        case _:
            raise ValueError("a condition has exactly one kind")


def _limits(given: Limits | LimitCondition) -> tuple[tuple[AlarmLimit, ...], tuple[AlarmLimit, ...]]:
    """The high and the low limits, the innermost first."""
    high = [(given.warning_high, severity.LOW), (given.alarm_high, severity.MEDIUM)]
    low = [(given.warning_low, severity.LOW), (given.alarm_low, severity.MEDIUM)]
    return _given(high), _given(low)


def _given(limits: list[tuple[float | None, int]]) -> tuple[AlarmLimit, ...]:
    return tuple(AlarmLimit(value, priority) for value, priority in limits if value is not None)
