"""The calibration of a value: a polynomial or a table from raw to corrected numbers, and what holds outside. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from countingroom.core.values import Quality


class Outside(StrEnum):
    """What holds for a raw value that is outside the calibrated range."""

    BAD = "bad"
    """There is no value."""
    HOLD = "hold"
    """The value at the end of the range, UNCERTAIN."""
    EXTEND = "extend"
    """The polynomial, or the nearest segment of the table, goes on, UNCERTAIN."""


class Calibrated(NamedTuple):
    """A corrected value. `reason`: why it is not GOOD."""

    value: float | None
    quality: Quality = Quality.GOOD
    reason: str = ""


class PointCalibration(Struct, frozen=True, kw_only=True):
    """From raw to corrected numbers. It has a polynomial or a table, not both."""

    polynomial: tuple[float, ...] = ()
    """c0, c1, c2 …: the value is c0 + c1 x + c2 x² + …"""
    table: tuple[tuple[float, float], ...] = ()
    """(raw, value) with rising raw, at least two; linear between them."""
    low: float | None = None
    """The calibrated range of raw values of a polynomial; None: it has no end. A table has its own."""
    high: float | None = None
    outside: Outside = Outside.BAD

    def of(self, raw: float) -> Calibrated:
        """The value of a raw one. It is finite, or BAD."""
        if not math.isfinite(raw):
            return Calibrated(None, Quality.BAD, "the raw value is no finite number")
        low, high = (self.table[0][0], self.table[-1][0]) if self.table else (self.low, self.high)
        beyond = low if low is not None and raw < low else high if high is not None and raw > high else None
        if beyond is None:
            return _finite(self._at(raw), Quality.GOOD, "")
        side = "below" if raw < beyond else "above"
        reason = f"the raw value {raw:g} is {side} {beyond:g}, where the calibration ends"
        if self.outside is Outside.BAD:
            return Calibrated(None, Quality.BAD, reason)
        return _finite(self._at(beyond if self.outside is Outside.HOLD else raw), Quality.UNCERTAIN, reason)

    def _at(self, raw: float) -> float:
        if not self.table:
            value = 0.0
            for coefficient in reversed(self.polynomial):
                value = value * raw + coefficient
            return value
        after = min(max(bisect_right(self.table, raw, key=_raw), 1), len(self.table) - 1)
        (left, low), (right, high) = self.table[after - 1], self.table[after]
        return low + (high - low) * ((raw - left) / (right - left))


def _raw(pair: tuple[float, float]) -> float:
    return pair[0]


def _finite(value: float, quality: Quality, reason: str) -> Calibrated:
    if math.isfinite(value):
        return Calibrated(value, quality, reason)
    return Calibrated(None, Quality.BAD, "the calibrated value is too large")
