"""Values of Channel Access as samples. Every value gives a sample; nothing here raises."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.port import Sample

LONG, DOUBLE, ENUM_AS_TEXT = 5, 6, 996
"""Types to request from a server: DBR codes of db_access.h. The last is aioca's: enums as text, the rest unchanged."""

EPOCH_S = 631152000
"""1 January 1990, the zero of EPICS time. A record that was never processed has this stamp."""

_QUALITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.UNCERTAIN, Quality.BAD)
"""By alarm severity: none, minor, major, invalid."""


class Variable(Struct, frozen=True, kw_only=True):
    """A process variable and its point."""

    pv: str
    point: Point
    words: dict[str, float | int | str | bool] = {}
    """Text of the IOC -> value of the point; empty: the value is used unchanged."""

    @property
    def datatype(self) -> int:
        """The type to request from the server."""
        if self.words or self.point.type is Type.STRING:
            return ENUM_AS_TEXT
        return DOUBLE if self.point.type is Type.FLOAT else LONG

    def to_send(self, value: float | int | str | bool) -> float | int | str:
        """The value to send to the IOC: the text where `words` has one, otherwise the value, a bool as 0 or 1."""
        for word, meaning in self.words.items():
            if meaning == value:
                return word
        return int(value) if isinstance(value, bool) else value


def sample(variable: Variable, given: Any) -> Sample:
    """The sample of an update: a value with time stamp and severity, or the loss of the link (`ok` false)."""
    point = variable.point
    if not given.ok:
        return Sample(point=point.name, value=None, quality=Quality.STALE)
    seconds: int = given.raw_stamp[0]
    stamp = None if seconds <= EPOCH_S else seconds * 1_000_000_000 + given.raw_stamp[1]
    severity: int = given.severity
    quality = _QUALITY[severity] if 0 <= severity <= 3 else Quality.BAD
    value = None if quality is Quality.BAD else _value(variable, given)
    if value is None:
        quality = Quality.BAD
    return Sample(point=point.name, value=value, quality=quality, device_ns=stamp)


def _value(variable: Variable, given: Any) -> Scalar:
    """The value of the point; None where there is none (NaN, an unknown word, an array)."""
    try:
        if variable.words:
            return _meaning(variable, given)
        match variable.point.type:
            case Type.FLOAT:
                number = float(given)
                return number if math.isfinite(number) else None
            case Type.INT:
                return int(given)
            case Type.BOOL:
                return bool(int(given))
            case Type.STRING:
                return str(given) if getattr(given, "shape", None) is None else _long_string(given)
    except (TypeError, ValueError, OverflowError):
        return None


def _meaning(variable: Variable, given: Any) -> Scalar:
    """The value for the text of an enum. Some servers send the number instead of the text; that is accepted too."""
    if isinstance(given, str):
        return variable.words.get(str(given).strip())
    return next((value for value in variable.words.values() if value == given), None)


def _long_string(array: Any) -> Scalar:
    """An EPICS string holds 39 characters; a longer one arrives as an array of bytes."""
    if array.dtype.itemsize != 1:
        return None
    return bytes(array).split(b"\0")[0].decode(errors="replace")
