"""Makes the spec of an alarm's condition from its definition: delays, counts and limits. Pure."""

from __future__ import annotations

from typing import TypedDict

from countingroom.alarms.sections.conditions import LimitCondition
from countingroom.core import severity
from countingroom.core.alarms.conditions.specs import AlarmLimit, LimitSpec
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.points import Limits


class Settling(TypedDict):
    """The fields that the specs of all conditions share."""

    on_delay_ns: int
    off_delay_ns: int
    count: int
    of: int


def settling_of(definition: AlarmDefinition) -> Settling:
    """Delays and count of an alarm."""
    count = definition.count
    return Settling(
        on_delay_ns=round(definition.on_delay_s * 1e9),
        off_delay_ns=round(definition.off_delay_s * 1e9),
        count=count.n if count else 1,
        of=count.of if count else 1,
    )


def limit_spec(limits: Limits | LimitCondition, definition: AlarmDefinition) -> LimitSpec:
    """The spec of a condition on limits; its levels are those of `core/severity.py`."""
    return LimitSpec(
        high=alarm_limits((limits.warning_high, severity.LOW), (limits.alarm_high, severity.MEDIUM)),
        low=alarm_limits((limits.warning_low, severity.LOW), (limits.alarm_low, severity.MEDIUM)),
        hysteresis=fitting_hysteresis(definition.hysteresis, limits),
        **settling_of(definition),
    )


def alarm_limits(*given: tuple[float | None, int]) -> tuple[AlarmLimit, ...]:
    """The limits that are given, each with its level."""
    return tuple(AlarmLimit(value, level) for value, level in given if value is not None)


def fitting_hysteresis(hysteresis: float, limits: Limits | LimitCondition) -> float:
    """The hysteresis, at most the range between the innermost limits: with a wider one a value could be above the high
    limit and below the low one at once. `check` tells where it is cut."""
    high = [one for one in (limits.warning_high, limits.alarm_high) if one is not None]
    low = [one for one in (limits.warning_low, limits.alarm_low) if one is not None]
    return min(hysteresis, max(0.0, min(high) - max(low))) if high and low else hysteresis
