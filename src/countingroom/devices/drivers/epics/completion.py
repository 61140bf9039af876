"""Completes a point by what its IOC says of the process variable, where the table says nothing. Pure."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

import msgspec

from countingroom.core.points import Limits, Point, Type

MOST_DECIMALS = 15


class Unsaid(StrEnum):
    """A property of a point that the table leaves to the IOC."""

    UNIT = "unit"
    PRECISION = "precision"
    LIMITS = "limits"
    WORDS = "words"


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
    return msgspec.structs.replace(point, **found)


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
