"""Confirmation of setpoints by readback: a setpoint is in force when the readback agrees. Pure."""

from __future__ import annotations

import math

from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading, Scalar


def readback_of(point: Point) -> str:
    """The point that proves a value written to this one."""
    return point.readback or point.name


def holds(point: Point, value: Scalar, readback: Reading) -> bool:
    """Whether this readback proves the value, within the point's tolerance."""
    if readback.quality > Quality.UNCERTAIN:
        return False
    now = readback.value
    if isinstance(now, (int, float)) and isinstance(value, (int, float)):
        # Devices keep 32-bit floats, which round 0.1 by about 1e-8: without a relative tolerance 1234.1 never holds.
        return math.isclose(now, value, rel_tol=1e-6, abs_tol=max(point.tolerance * (1 + 1e-9), 1e-9))
    return now == value
