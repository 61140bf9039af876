"""Whether a text is a physical unit, as Pint knows them.

Units are written in short form: `V`, `uA`, `degC`, `g/s`, `percent`. A number is always in the unit of its point.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

_WRITTEN = {
    "uA": "µA",
    "uV": "µV",
    "uW": "µW",
    "us": "µs",
    "um": "µm",
    "degC": "°C",
    "percent": "%",
    "delta_degC": "K",
}


def written(unit: str) -> str:
    """A unit as it is written for people."""
    return _WRITTEN.get(unit, unit)


@cache
def _registry() -> Any:
    # Imported at the first question: it takes several tenths of a second, which most programs do not need.
    import pint

    registry = cast(Any, pint).UnitRegistry(cache_folder=None)
    registry.define("ppb = 1e-9")  # gas sensors; Pint knows ppm alone
    return registry


def is_unit(unit: str) -> bool:
    """Whether the text is a unit; the empty text is, for numbers without unit."""
    try:
        _registry().Unit(unit)
    except Exception:  # Pint has no common root: undefined names, tokens, syntax and type errors all differ
        return False
    return True


def unit(text: str) -> Any:
    """The unit as Pint has it, which can be multiplied and divided; a Pint error where the text is none."""
    return _registry().Unit(text)


def is_same(one: Any, other: Any) -> bool:
    """Whether two units of `unit` mean the same number: `V` and `volt`, `V*A` and `W`, but not `V` and `mV`."""
    if one == other:
        return True
    try:
        return bool(abs(_registry().Quantity(1.0, one).to(other).magnitude - 1.0) < 1e-12)
    except Exception:  # Pint has no common root: other dimensions and units with an offset differ
        return False


def conversion(before: str, after: str) -> tuple[float, float]:
    """(factor, offset): a number in the unit `before`, times factor plus offset, is in the unit `after`. ValueError:
    there is no such conversion."""
    if before == after:
        return 1.0, 0.0
    try:
        at = [float(_registry().Quantity(number, before).to(after).magnitude) for number in (0.0, 1.0, 2.0)]
    except Exception as error:  # Pint has no common root
        raise ValueError(f"{before or 'a number without unit'} cannot be converted to {after or 'one'}") from error
    if abs(at[2] - 2 * at[1] + at[0]) > 1e-9 * max(map(abs, at)):
        raise ValueError(f"{before} and {after} are not proportional")
    return at[1] - at[0], at[0]


def is_of_dimension(one: Any, other: Any) -> bool:
    """Whether two units of `unit` measure the same: `V` and `mV`, `percent` and a number without unit."""
    return bool(one.dimensionality == other.dimensionality)


def difference(one: Any) -> Any:
    """The unit of the difference of two values in this unit of `unit`: of `degC`, `delta_degC`."""
    return (_registry().Quantity(1.0, one) - _registry().Quantity(0.0, one)).units
