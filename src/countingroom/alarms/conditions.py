"""What the description and the engine both need to know of conditions. Pure."""

from __future__ import annotations

from countingroom.alarms.sections.conditions import LimitCondition
from countingroom.core.points import Limits


def fitting_hysteresis(hysteresis: float, limits: Limits | LimitCondition) -> float:
    """The hysteresis, at most the range between the innermost limits: with a wider one a value could be above the high
    limit and below the low one at once. `check` tells where it is cut."""
    high = [one for one in (limits.warning_high, limits.alarm_high) if one is not None]
    low = [one for one in (limits.warning_low, limits.alarm_low) if one is not None]
    return min(hysteresis, max(0.0, min(high) - max(low))) if high and low else hysteresis
