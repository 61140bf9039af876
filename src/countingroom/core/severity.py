"""Severity of readings and states, one rule for all pages, counts and pictures.

0 normal, 1 high, 2 medium, 3 low priority, 4 stale (the present value is unknown). Limits give 2 (alarm) and 3
(warning); a fault flag has the priority of its point; a state that maps to `error` is 1; a lost link is 2.
"""

from __future__ import annotations

from countingroom.core import numbers
from countingroom.core.messages import DeviceState, Link
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar

NORMAL = 0
HIGH = 1
MEDIUM = 2
LOW = 3
STALE = 4

_URGENCY = (0, 4, 3, 2, 1)


def urgency(level: int) -> int:
    """A number for sorting and `max`: greater is worse. STALE is worse than normal and less urgent than any alarm."""
    return _URGENCY[level]


def of_reading(point: Point, value: Scalar, quality: int, alarm: int = NORMAL) -> int:
    """The severity of one reading: that of the limits, or `alarm`, which the device has given it, if that is more
    urgent. An old or missing value is STALE."""
    # Some setpoints cannot be read back: without a value they are not a fault.
    if value is None and quality == Quality.BAD and point.writable:
        return NORMAL
    if quality >= Quality.STALE or value is None:
        return STALE
    level = _of_value(point, value)
    return alarm if alarm and _URGENCY[alarm] > _URGENCY[level] else level


def _of_value(point: Point, value: float | int | str | bool) -> int:
    if point.severity:
        return point.severity if value else NORMAL
    if isinstance(value, str):
        return NORMAL
    limits = point.limits
    if (limits.alarm_high is not None and value > limits.alarm_high) or (
        limits.alarm_low is not None and value < limits.alarm_low
    ):
        return MEDIUM
    if (limits.warning_high is not None and value > limits.warning_high) or (
        limits.warning_low is not None and value < limits.warning_low
    ):
        return LOW
    return NORMAL


def of_state(state: DeviceState) -> int:
    """The severity of the state of a device or channel. An inactive channel is always normal."""
    if not state.active:
        return NORMAL
    if state.link is Link.DISCONNECTED:
        return MEDIUM
    return HIGH if state.common == "error" else NORMAL


def why(point: Point, value: Scalar, *, unit: str | None = None, reason: str = "") -> str:
    """One sentence with the reason for an abnormal reading: `I mon 11.82 uA is above its alarm limit 10.00 uA`.

    `unit` replaces the unit of the point in the text. `reason` is that of an alarm that the device itself has given.
    """
    label = point.label or point.name
    unit = point.unit if unit is None else unit
    unit = f" {unit}" if unit else ""
    if point.severity and value:
        return point.description or label
    if not isinstance(value, (int, float)):
        return f"{label}: {reason}" if reason else f"{label} has no present value"
    digits = point.precision
    limits = point.limits
    for limit, above, word in (
        (limits.alarm_high, True, "above its alarm limit"),
        (limits.alarm_low, False, "below its alarm limit"),
        (limits.warning_high, True, "above its warning limit"),
        (limits.warning_low, False, "below its warning limit"),
    ):
        if limit is not None and (value > limit if above else value < limit):
            shown = numbers.limit(limit, digits)
            return f"{label} {numbers.beyond(value, shown, digits, above=above)}{unit} is {word} {shown}{unit}"
    return f"{label} {numbers.decimals(value, digits)}{unit}{f': {reason}' if reason else ''}"
