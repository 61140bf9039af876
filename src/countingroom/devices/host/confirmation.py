"""Law: a setpoint holds when its readback says so, not when it was sent."""

from __future__ import annotations

import math

from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading, Scalar


def readback_of(point: Point) -> str:
    """The point that proves a value written to this one."""
    return point.readback or point.name


def holds(point: Point, value: Scalar, readback: Reading) -> bool:
    """Whether this readback proves the value, within the point's tolerance (and the rounding of a 32-bit number)."""
    if readback.quality > Quality.UNCERTAIN:
        return False
    now = readback.value
    if isinstance(now, (int, float)) and isinstance(value, (int, float)):
        return math.isclose(now, value, rel_tol=1e-6, abs_tol=max(point.tolerance * (1 + 1e-9), 1e-9))
    return now == value
