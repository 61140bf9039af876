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
