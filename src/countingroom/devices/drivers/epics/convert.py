"""Values of Channel Access as samples. Every value gives a sample; no function here raises.

A value is requested in the type in which the IOC keeps it and converted here: a server that converts cuts 3.9 to 3, and
5000000123 to 705032827, without a word.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.epics.completion import Unsaid
from countingroom.devices.port import Sample

ENUM_AS_TEXT = 996
"""Type to request for enums as text and all else in its own type: a code of aioca."""
TEXT_AS_BYTES = 999
"""Type to write a text to an array of characters: a code of aioca."""

EPOCH_S = 631152000
"""1 January 1990, the zero of EPICS time. A record that was never processed has this stamp."""

MOST_WHOLE = 1 << 53
"""Channel Access carries a number of 64 bits as a double, which holds whole numbers exactly below this: 2^53 may be
a rounded 2^53 + 1."""

_QUALITY = (Quality.GOOD, Quality.UNCERTAIN, Quality.UNCERTAIN, Quality.BAD)
"""By alarm severity: none, minor, major, invalid."""
_PRIORITIES = (0, 3, 2, 0)
"""Of an alarm in the console, by alarm severity. An invalid value is none, and is BAD instead."""
_SEVERITIES = ("", "minor", "major", "invalid")
_STATUS = (
    *("NO_ALARM", "READ", "WRITE", "HIHI", "HIGH", "LOLO", "LOW", "STATE", "COS", "COMM", "TIMEOUT", "HWLIMIT", "CALC"),
    *("SCAN", "LINK", "SOFT", "BAD_SUB", "UDF", "DISABLE", "SIMM", "READ_ACCESS", "WRITE_ACCESS"),
)
"""Alarm status by its number in alarm.h of EPICS."""
_MOST_SHOWN = 60
"""Letters of a refused text that are repeated in its reason."""


class Variable(Struct, frozen=True, kw_only=True):
    """A process variable and its point."""

    pv: str
    point: Point
    words: dict[str, float | int | str | bool] = {}
    """Text of the IOC -> value of the point; empty: the value is used unchanged."""
    unsaid: frozenset[Unsaid] = frozenset()
    """What the IOC says of the point, because the table does not."""

    @property
    def datatype(self) -> int | None:
        """The type to request from the server; None: the one in which it keeps the value."""
        return ENUM_AS_TEXT if self.words or self.point.type is Type.STRING else None

    def to_send(self, value: float | int | str | bool) -> float | int | str:
        """The value to send to the IOC: the text where `words` has one, otherwise the value, a bool as 0 or 1."""
        for word, meaning in self.words.items():
            if meaning == value:
                return word
        return int(value) if isinstance(value, bool) else value


def not_found(variable: Variable) -> Sample:
    """The sample of a variable for which no server answers."""
    reason = f"no server answers for {variable.pv}"
    return Sample(point=variable.point.name, value=None, quality=Quality.STALE, reason=reason)


class _Unusable(Exception):
    """A value that the point cannot take, with the reason."""


def sample(variable: Variable, given: Any) -> Sample:
    """The sample of an update: a value with time stamp and severity, or the loss of the link (`ok` false)."""
    point = variable.point
    if not given.ok:
        return Sample(point=point.name, value=None, quality=Quality.STALE, reason=f"the link to {variable.pv} is lost")
    seconds: int = given.raw_stamp[0]
    stamp = None if seconds <= EPOCH_S else seconds * 1_000_000_000 + given.raw_stamp[1]
    severity: int = given.severity
    quality = _QUALITY[severity] if 0 <= severity <= 3 else Quality.BAD
    reason = _alarm(severity, getattr(given, "status", 0), getattr(given, "alarm_text", "")) if severity else ""
    value: Scalar = None
    if quality is not Quality.BAD:
        try:
            value = _value(variable, given)
        except _Unusable as unusable:
            reason = str(unusable)
            quality = Quality.BAD
    alarm = _PRIORITIES[severity] if 0 <= severity <= 3 and value is not None else 0
    return Sample(point=point.name, value=value, quality=quality, device_ns=stamp, alarm=alarm, reason=reason)


def _alarm(severity: int, status: int, text: str) -> str:
    """`HIGH alarm of the IOC (minor)`. `text`: the name of the alarm where the IOC sends it (PVAccess)."""
    kind = _SEVERITIES[severity] if 0 <= severity <= 3 else f"severity {severity}"
    name = text or (_STATUS[status] if 0 < status < len(_STATUS) else "")
    return f"{f'{name} ' if name else ''}alarm of the IOC ({kind})"


def _value(variable: Variable, given: Any) -> Scalar:
    """The value of the point; _Unusable where there is none."""
    if unusable := getattr(given, "unusable", ""):
        raise _Unusable(unusable)
    if getattr(given, "shape", ()) != ():
        if variable.point.type is Type.STRING and not variable.words and given.dtype.itemsize == 1:
            return _long_string(given)
        raise _Unusable(f"it is an array of {len(given)} values; a point holds one")
    if variable.words:
        return _meaning(variable, given)
    match variable.point.type:
        case Type.FLOAT:
            return _number(given)
        case Type.INT:
            return _whole(given)
        case Type.BOOL:
            return _on_or_off(given)
        case Type.STRING:
            return str(given)


def _number(given: Any) -> float:
    number = _parsed(given) if isinstance(given, str) else float(given)
    if not math.isfinite(number):
        raise _Unusable(f"the IOC sends {number}, which is no number")
    return number


def _parsed(text: str) -> float:
    try:
        return float(text.replace("_", "?"))  # Python would take 1_000 as a number
    except ValueError:
        raise _Unusable(f"the IOC sends the text {_shown(text)}, which is no number") from None


def _whole(given: Any) -> int:
    number = given if isinstance(given, int) else _number(given)
    if isinstance(number, float) and not number.is_integer():
        raise _Unusable(f"{number!r} is no whole number")
    if abs(number) >= MOST_WHOLE and not (isinstance(number, int) and getattr(given, "is_exact", False)):
        raise _Unusable(f"{number:g} is not below 2^53, from which on Channel Access rounds whole numbers")
    return int(number)


def _on_or_off(given: Any) -> bool:
    number = _whole(given)
    if number not in (0, 1):
        # The third state of an enum, often a fault, would otherwise be "on".
        raise _Unusable(f"{number} is neither 0 nor 1")
    return bool(number)


def _meaning(variable: Variable, given: Any) -> Scalar:
    """The value for the text of an enum. Some servers send the number instead of the text; that is accepted too."""
    if isinstance(given, str):
        word = str(given).strip()
        if word in variable.words:
            return variable.words[word]
        raise _Unusable(f"the IOC sends {_shown(word)}; known are {', '.join(variable.words)}")
    for value in variable.words.values():
        if value == given:
            return value
    raise _Unusable(f"the IOC sends {given:g}, which is the value of none of {', '.join(variable.words)}")


def _long_string(array: Any) -> str:
    """An EPICS string holds 39 characters; a longer one arrives as an array of bytes."""
    return decoded(bytes(array).split(b"\0")[0])


def decoded(raw: bytes) -> str:
    """A text of an IOC: UTF-8, or else Latin-1, in which many IOCs write a degree sign or a micro sign."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")
