"""Law: units are converted where people and files come in, once, and never per sample.

Inside, a number is in its point's own unit. Pint is imported with the first conversion. Units are written short, as
points have them: `V`, `uA`, `degC`, `g/s`, `percent`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, cast

from countingroom.core.errors import OutOfRange

_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


@cache
def _registry() -> Any:
    import pint

    registry = cast(Any, pint).UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    registry.define("ppb = 1e-9")  # gas sensors; Pint knows ppm alone
    return registry


def is_unit(unit: str) -> bool:
    """Whether it is one; the empty text is, for numbers without."""
    try:
        _unit(unit)
    except OutOfRange:
        return False
    return True


def same_dimension(one: str, other: str) -> bool:
    """Whether numbers in one can be told in the other; OutOfRange for what is no unit."""
    return bool(_unit(one).dimensionality == _unit(other).dimensionality)


def convert(value: float, unit: str, to: str) -> float:
    """A number in another unit; OutOfRange where that makes no sense. Temperatures are points of a scale, so
    0 degC is 273.15 K."""
    if unit == to:
        return value
    if not same_dimension(unit, to):
        raise OutOfRange(
            f"{unit or 'a bare number'} cannot be told in {to or 'a bare number'}",
            code="wrong_unit",
            evidence={"unit": unit, "expected": to},
            suggestion=f"give the value in {to}" if to else "give the value without a unit",
        )
    return float(_registry().Quantity(value, _unit(unit)).to(_unit(to)).magnitude)


def parse(text: str, *, to: str) -> float:
    """What a person wrote, `1.5 kV` or `1500`, as a number in this unit; a bare number is in it already."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise OutOfRange(
            f"{text!r} is no number",
            code="wrong_type",
            suggestion=f"write a number, with {to} or a unit like it if you want" if to else "write a number",
        )
    return convert(float(match[1]), match[2], to) if match[2] else float(match[1])


def _unit(unit: str) -> Any:
    try:
        return _registry().Unit(unit)
    except Exception as error:  # Pint has no common root: undefined names, tokens, syntax and type errors all differ
        raise OutOfRange(
            f"{unit!r} is no unit", code="wrong_unit", suggestion="write it as V, uA, degC, g/s or percent"
        ) from error
