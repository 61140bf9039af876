"""The functions that an expression may call: `abs`, `mean`, `dew_point`. Pure.

Each takes numbers and gives a number. What it raises, ValueError or ArithmeticError, makes the result unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

WATER_B, WATER_C = 17.625, 243.04
"""The coefficients of Alduchov and Eskridge (1996) of the pressure of water vapour over water: within 0.4 % from -40 to
50 degC. C is in degC."""


class Function(NamedTuple):
    """One function, and how many values it takes."""

    call: Callable[..., float]
    least: int
    most: int | None
    """None: any number."""
    fails: str
    """What it is given where it has no result."""

    def takes(self, count: int) -> bool:
        """Whether it can be called with so many values."""
        return self.least <= count and (self.most is None or count <= self.most)

    @property
    def values(self) -> str:
        """How many values it takes, in words."""
        if self.most is None:
            return f"{self.least} or more values"
        return f"{self.least} value{'' if self.least == 1 else 's'}"


def absolute(value: float) -> float:
    """Without its sign."""
    return abs(value)


def mean(*values: float) -> float:
    """The arithmetic mean."""
    return math.fsum(values) / len(values)


def clamp(value: float, low: float, high: float) -> float:
    """The value, and the nearer limit where it is beyond one. ValueError: the limits are in the wrong order."""
    if high < low:
        raise ValueError("the upper limit is below the lower one")
    return min(max(value, low), high)


def dew_point(temperature: float, humidity: float) -> float:
    """The dew point in degC over water, by the Magnus formula, of a temperature in degC and a relative humidity in
    percent. ValueError or ZeroDivisionError: there is none."""
    if temperature <= -WATER_C:
        raise ValueError("the temperature is outside the formula")
    gamma = math.log(humidity / 100.0) + WATER_B * temperature / (WATER_C + temperature)
    if gamma >= WATER_B:
        raise ValueError("the humidity is outside the formula")
    return WATER_C * gamma / (WATER_B - gamma)


FUNCTIONS = {
    "abs": Function(absolute, 1, 1, "a number that is too large"),
    "min": Function(min, 2, None, "no numbers"),
    "max": Function(max, 2, None, "no numbers"),
    "mean": Function(mean, 2, None, "numbers that are too large"),
    "clamp": Function(clamp, 3, 3, "an upper limit below the lower one"),
    "sqrt": Function(math.sqrt, 1, 1, "a negative number"),
    "exp": Function(math.exp, 1, 1, "a number that is too large"),
    "log": Function(math.log, 1, 1, "a number that is not above 0"),
    "log10": Function(math.log10, 1, 1, "a number that is not above 0"),
    "dew_point": Function(dew_point, 2, 2, "a humidity that is not above 0, or a temperature outside the formula"),
}
"""Name in an expression -> the function."""

NAMES = " ".join(FUNCTIONS)
CALLS = ", ".join(f"{name}(…)" for name in FUNCTIONS)
