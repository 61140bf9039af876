"""The steps in which a setpoint is brought to a value at a rate. Pure."""

from __future__ import annotations

import math

from msgspec import Struct

from countingroom.core.points import Point
from countingroom.core.rules.actions import RampAction

MOST_STEPS = 5_000
"""A longer ramp has longer steps."""


class RampSteps(Struct, frozen=True, kw_only=True):
    """The setpoints of a ramp, one after the other."""

    values: tuple[float, ...]
    """The last one is exactly the wanted value."""
    every_s: float
    """From one to the next."""


def ramps_itself(point: Point, now: float, to: float) -> bool:
    """Whether the device ramps this setpoint at a rate that can be given to it. Its rate is that for going up; a device
    may go down at another one."""
    return bool(point.rate) and abs(to) >= abs(now)


def steps(ramp: RampAction, now: float) -> RampSteps:
    """The steps from the present value. The first comes at once, and no two differ by more than the rate allows."""
    distance = ramp.to - now
    takes_s = abs(distance) / ramp.rate_per_s
    count = min(MOST_STEPS, max(1, math.ceil(round(takes_s / ramp.every_s, 9))))
    between = (now + distance * number / count for number in range(1, count))
    return RampSteps(values=(*between, ramp.to), every_s=takes_s / count)
