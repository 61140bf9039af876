"""How values, units and times are written. Never as NaN. Pure; static/js/format.js does the same in the browser."""

from __future__ import annotations

from datetime import UTC, datetime

from countingroom.core import numbers, units
from countingroom.core.points import Point, Type, value_key
from countingroom.core.values import Scalar

NOTHING = "–"


def unit(text: str) -> str:
    """A unit as it is written on a page."""
    return units.written(text)


def value(point: Point, given: Scalar) -> str:
    """A reading's value without its unit."""
    if given is None:
        return NOTHING
    if point.codes and (meaning := point.codes.get(value_key(given))):
        return meaning
    if isinstance(given, bool):
        return "on" if given else "off"
    if isinstance(given, str):
        return given
    if isinstance(given, int) or (point.type is Type.INT and given.is_integer()):
        return str(int(given))
    return numbers.decimals(given, point.precision)


def _limit(point: Point, given: Scalar) -> str:
    """A limit without its unit, never rounded to another one."""
    if (
        not isinstance(given, float)
        or value_key(given) in point.codes
        or (point.type is Type.INT and given.is_integer())
    ):
        return value(point, given)
    return numbers.limit(given, point.precision)


def limits(point: Point) -> str:
    """When it warns and when it alarms: `warning outside 10 to 40 · alarm above 45`."""
    # "warning ≤ 70" was read as the opposite of what it meant, so the text says above, below or outside.
    limits = point.limits
    parts = [
        f"{word} {_beyond(point, low, high)}"
        for word, low, high in (
            ("warning", limits.warning_low, limits.warning_high),
            ("alarm", limits.alarm_low, limits.alarm_high),
        )
        if low is not None or high is not None
    ]
    return " · ".join(parts)


def allowed(point: Point) -> str:
    """What may be written: `0.0 to 800.0`; empty where there is no limit."""
    if point.choices:
        return ", ".join(value(point, choice) for choice in point.choices)
    if point.limited_by and (point.write_low is None or point.write_high is None):
        return f"nothing until the {point.limited_by} has given its limits"
    if point.write_low is None and point.write_high is None:
        return ""
    return _range(point, point.write_low, point.write_high) + _limited(point)


def _limited(point: Point) -> str:
    """Which limit the device itself has given: ` (upper limit of the IOC)`."""
    low, high = point.write_low_source, point.write_high_source
    if low and high:
        return f" (limits of the {high})"
    if low or high:
        return f" ({'lower' if low else 'upper'} limit of the {low or high})"
    return ""


def _beyond(point: Point, low: float | None, high: float | None) -> str:
    if low is None:
        return f"above {_limit(point, high)}"
    if high is None:
        return f"below {_limit(point, low)}"
    return f"outside {_limit(point, low)} to {_limit(point, high)}"


def _range(point: Point, low: float | None, high: float | None) -> str:
    if low is None:
        return f"≤ {_limit(point, high)}"
    if high is None:
        return f"≥ {_limit(point, low)}"
    return f"{_limit(point, low)} to {_limit(point, high)}"


def clock(time_ns: int) -> str:
    """UTC, to the second: `13:52:07`."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%H:%M:%S")


def moment(time_ns: int) -> str:
    """UTC with its date."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def age(seconds: float) -> str:
    """How old: `0.2`, `49.4`, `12 min`, `3 h`."""
    if seconds < 100:
        return f"{max(0.0, seconds):.1f}"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"
