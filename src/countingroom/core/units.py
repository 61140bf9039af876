"""Conversion of physical units with Pint, for values that users and files give.

Conversion happens once, at input: inside, a number is always in the unit of its point, and samples are never converted.
Units are written in short form: `V`, `uA`, `degC`, `g/s`, `percent`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

from countingroom.core.errors import OutOfRange

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


@cache
def _registry() -> Any:
    # imported at the first conversion: it takes several tenths of a second, which most programs do not need
    import pint

    registry = cast(Any, pint).UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    registry.define("ppb = 1e-9")  # gas sensors; Pint knows ppm alone
    return registry


def is_unit(unit: str) -> bool:
    """Whether the text is a unit; the empty text is, for numbers without unit."""
    try:
        _unit(unit)
    except OutOfRange:
        return False
    return True


def same_dimension(one: str, other: str) -> bool:
    """Whether one unit converts to the other; OutOfRange (`wrong_unit`) when a text is not a unit."""
    return bool(_unit(one).dimensionality == _unit(other).dimensionality)


def convert(value: float, unit: str, to: str) -> float:
    """A number in another unit; OutOfRange (`wrong_unit`) when the dimensions differ. Temperatures are absolute, not
    differences: 0 degC is 273.15 K."""
    if unit == to:
        return value
    if not same_dimension(unit, to):
        raise OutOfRange(
            f"{unit or 'a number without unit'} cannot be converted to {to or 'a number without unit'}",
            code="wrong_unit",
            evidence={"unit": unit, "expected": to},
            suggestion=f"give the value in {to}" if to else "give the value without a unit",
        )
    return float(_registry().Quantity(value, _unit(unit)).to(_unit(to)).magnitude)


def parse(text: str, *, to: str) -> float:
    """The number in `1.5 kV` or `1500`, in the unit `to`. A number without unit is taken to be in `to`."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise OutOfRange(
            f"{text!r} is not a number",
            code="wrong_type",
            suggestion=f"write a number, with or without a unit such as {to}" if to else "write a number",
        )
    return convert(float(match[1]), match[2], to) if match[2] else float(match[1])


def _unit(unit: str) -> Any:
    try:
        return _registry().Unit(unit)
    except Exception as error:  # Pint has no common root: undefined names, tokens, syntax and type errors all differ
        raise OutOfRange(
            f"{unit!r} is not a unit", code="wrong_unit", suggestion="write a unit such as V, uA, degC, g/s or percent"
        ) from error
