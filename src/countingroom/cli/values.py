"""Conversion between texts of the command line and values of points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from countingroom.core.errors import RequestError

if TYPE_CHECKING:
    from countingroom.core.messages import Catalogue, CommandSpec
    from countingroom.core.points import Point
    from countingroom.core.values import Scalar

_WITH_UNIT = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\W\d_][^\s]*|[%°Ω][^\s]*)")
"""A number and a unit."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+|0[xXbBoO][0-9a-fA-F_]+")
"""What would look like a number and a unit, and is a number."""
_SIGNS = {"degC": "°C", "percent": "%", "ohm": "Ω"}
"""Unit -> its other form."""
QUALITIES = ("", "uncertain", "stale", "bad")


def arguments(owner: str, commands: Iterable[CommandSpec], name: str, given: Iterable[str]) -> dict[str, Scalar]:
    """Arguments of the named command from NAME=VALUE texts."""
    specs: dict[str, list[CommandSpec]] = {}
    for spec in commands:
        specs.setdefault(spec.name, []).append(spec)
    if name not in specs:
        raise RequestError(
            f"{owner} has no {name}", source="cli", code="not_found", suggestion=f"it has: {', '.join(specs)}"
        )
    parameters = {one.name: one for spec in specs[name] for one in spec.parameters}
    values: dict[str, Scalar] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or key not in parameters:
            takes = " ".join(f"{one}=…" for one in parameters) or "no arguments"
            raise RequestError(
                f"{name} does not take {pair}", source="cli", code="invalid", suggestion=f"it takes {takes}"
            )
        values[key] = scalar(value, parameters[key])
    return values


def scalar(value: str, of: Any) -> Scalar:
    """Convert a text to the type of its point or parameter. The name of an enumerated number is accepted."""
    from math import isfinite

    from countingroom.core.points import Type

    named = {text.lower(): code for code, text in getattr(of, "codes", {}).items()}
    value = named.get(value.lower(), value)
    if of.type in (Type.FLOAT, Type.INT):
        value = _without_unit(value, of)
    try:
        match of.type:
            # Python reads 1_5, a mistyped 1.5, as 15, and the digits of other scripts.
            case Type.FLOAT | Type.INT if "_" in value or not value.isascii():
                pass
            case Type.FLOAT if isfinite(float(value)):
                return float(value)
            case Type.INT:
                return int(value, 0)
            case Type.BOOL:
                return {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}[value.lower()]
            case Type.STRING:
                return value
            case _:
                pass
    except (ValueError, KeyError):
        pass
    raise RequestError(
        f"{of.name} takes a {of.type.value}; got {value!r}",
        source="cli",
        code="wrong_type",
        suggestion=f"choose one of {', '.join(named)}" if named else "",
    )


def _without_unit(value: str, of: Any) -> str:
    """The number of `12.5degC` or `12.5 degC`, for a point in degC. Another unit is refused, not converted: what is
    written is what is sent."""
    match = _WITH_UNIT.fullmatch(value.strip())
    if match is None or _NUMBER.fullmatch(value.strip()):
        return value
    unit = getattr(of, "unit", "")
    if match[2] not in (unit, _SIGNS.get(unit)):
        raise RequestError(
            f"{of.name} is in {unit}; got {value!r}" if unit else f"{of.name} has no unit; got {value!r}",
            source="cli",
            code="wrong_unit",
            suggestion=f"write the number, or {match[1]}{unit}",
        )
    return match[1]


def point(plain: Any) -> Point:
    """A point as the API returns it."""
    import msgspec

    from countingroom.core.points import Point

    return msgspec.convert(plain, Point)


def catalogue(plain: Any) -> Catalogue:
    """A device's catalogue as the API returns it."""
    import msgspec

    from countingroom.core.messages import Catalogue

    return msgspec.convert(plain, Catalogue)


def shown(value: Any, quality: int, of: Any) -> str:
    """A reading as one line of text."""
    return " ".join(part for part in (number(value, of), of["unit"], QUALITIES[quality]) if part)


def number(value: Any, of: Any) -> str:
    """A number with as many decimals as the point declares."""
    if value is None:
        return "—"
    if isinstance(value, float):
        from countingroom.core.numbers import decimals

        return decimals(value, of["precision"]) if "precision" in of else f"{value:g}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return of.get("codes", {}).get(str(value), str(value))


def clock(ns: int) -> str:
    """The time of day in UTC."""
    import datetime

    return datetime.datetime.fromtimestamp(ns / 1e9, datetime.UTC).strftime("%H:%M:%S.%f")[:-3]
