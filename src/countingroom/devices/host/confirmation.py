"""Confirmation of setpoints by readback: a setpoint is in force when the readback agrees. Pure."""

from __future__ import annotations

from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading, Scalar

_HALF_STEP = 2.0**-24
"""Half the step of a 32-bit float, relative to the number: what a device that keeps such floats may change."""
_LEAST_STEP = 2.0**-149
"""The step of the smallest 32-bit floats."""


def readback_of(point: Point) -> str:
    """The point that proves a value written to this one."""
    return point.readback or point.name


def holds(point: Point, value: Scalar, readback: Reading) -> bool:
    """Whether this readback proves the value: whole numbers and texts exactly, floats to the rounding of 32 bits, and
    numbers within the point's tolerance."""
    if readback.quality > Quality.UNCERTAIN:
        return False
    now = readback.value
    if isinstance(now, int) and isinstance(value, int):
        return abs(now - value) <= point.tolerance
    if isinstance(now, (int, float)) and isinstance(value, (int, float)):
        # The tolerance itself is a decimal: 12.6 - 12.5 is a little more than 0.1.
        slack = max(abs(value), abs(now)) * _HALF_STEP + _LEAST_STEP
        return abs(now - value) <= point.tolerance * (1 + 1e-9) + slack
    return now == value
