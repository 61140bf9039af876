"""Completes a point from the metadata that its IOC sends, where the table of the description leaves a value open.
Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec

from countingroom.core.points import Limits, Point, Type

MOST_DECIMALS = 15
IOC = "IOC"
"""What limits of a setpoint come from."""
_NO_LIMIT = 1e30
"""A field without limits of its own has those of its type, of a float from here on."""


class Unsaid(StrEnum):
    """A property of a point that the table leaves to the IOC."""

    UNIT = "unit"
    PRECISION = "precision"
    LIMITS = "limits"
    WORDS = "words"
    WRITE_LIMITS = "write limits"
    """Of a setpoint. Where the table gives them too, the narrower ones hold."""


def completed(point: Point, unsaid: frozenset[Unsaid], given: Any) -> Point:
    """The point with those properties as the IOC has them. `given`: a value with its control information (DBR_CTRL)."""
    found: dict[str, Any] = {}
    words = [str(word) for word in getattr(given, "enums", ())]
    if words:
        if Unsaid.WORDS in unsaid:
            found = _of_words(point, words)
        return msgspec.structs.replace(point, **found)
    if Unsaid.UNIT in unsaid and (unit := str(getattr(given, "units", "")).strip()):
        found["unit"] = unit
    if Unsaid.PRECISION in unsaid and (precision := getattr(given, "precision", None)) is not None:
        found["precision"] = min(max(int(precision), 0), MOST_DECIMALS)
    if Unsaid.LIMITS in unsaid:
        found["limits"] = _limits(given)
    point = msgspec.structs.replace(point, **found)
    if Unsaid.WRITE_LIMITS in unsaid:
        # A record cuts what is written to these limits: a setpoint beyond them would never be confirmed.
        return point.narrowed(*_write_limits(given), IOC)
    return point


def _of_words(point: Point, words: list[str]) -> dict[str, Any]:
    if point.type is Type.STRING:
        return {"choices": tuple(words)}
    if point.type is Type.INT:
        return {"codes": {str(number): word for number, word in enumerate(words)}, "choices": tuple(range(len(words)))}
    if point.type is Type.BOOL and len(words) == 2:
        return {"codes": {"false": words[0], "true": words[1]}}
    return {}


def _limits(given: Any) -> Limits:
    """The alarm limits of the record; none where they contradict each other.

    An IOC gives NaN for a limit that raises no alarm; an old one gives zero for all.
    """
    names = ("lower_alarm_limit", "lower_warning_limit", "upper_warning_limit", "upper_alarm_limit")
    found = [float(getattr(given, name, math.nan)) for name in names]
    there = [limit for limit in found if math.isfinite(limit)]
    if not there or there != sorted(there) or (len(there) == 4 and there[0] == there[-1]):
        return Limits()
    alarm_low, warning_low, warning_high, alarm_high = (limit if math.isfinite(limit) else None for limit in found)
    return Limits(alarm_low=alarm_low, warning_low=warning_low, warning_high=warning_high, alarm_high=alarm_high)


def _write_limits(given: Any) -> tuple[float | None, float | None]:
    """The control limits of the record (DRVL and DRVH of an output); none where they allow no range: zero for both is
    how a record says that it has none."""
    low, high = (float(getattr(given, name, math.nan)) for name in ("lower_ctrl_limit", "upper_ctrl_limit"))
    if math.isnan(low) or math.isnan(high) or low >= high:
        return None, None
    return (None if low <= -_NO_LIMIT else low), (None if high >= _NO_LIMIT else high)
