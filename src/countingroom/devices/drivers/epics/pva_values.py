"""Values of PVAccess in the form in which `convert` and `completion` read those of Channel Access.

A normative type carries its value with alarm and time stamp: NTScalar, NTEnum, NTScalarArray. Another structure has no
value.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from msgspec import Struct

from countingroom.devices.drivers.epics.convert import decoded

_UNDEFINED = 3
"""Severity INVALID: a value without a defined alarm state is not to be trusted."""
_MOST_SHOWN = 60


class LostPv(Struct, frozen=True):
    """The link is lost."""

    ok: bool = False


class _Stamped:
    """A value with alarm and time stamp."""

    ok = True
    is_exact = True
    """Whole numbers arrive as they are, with 64 bits."""
    raw_stamp: tuple[int, int] = (0, 0)
    """Seconds since 1970 and nanoseconds; zero: it has none."""
    severity = 0
    status = 0
    alarm_text = ""
    """The alarm in the words of the IOC: `HIGH`."""
    unusable = ""
    """Why there is no value, where there is none."""


class Number(_Stamped, float):
    """A floating point number."""


class Whole(_Stamped, int):
    """A whole number, a bool, or the number of an enum."""


class Text(_Stamped, str):
    """A text, or the word of an enum."""


class NoValue(_Stamped):
    """A structure that is no single value."""


class Numbers(_Stamped, np.ndarray):
    """An array."""


def update(value: Any, *, as_text: bool) -> Any:
    """The update of a monitor. `as_text`: an enum is its word."""
    found = _plain(_field(value, "value"), as_text=as_text)
    alarm, stamp = _field(value, "alarm"), _field(value, "timeStamp")
    if alarm is not None:
        severity = int(_field(alarm, "severity") or 0)
        found.severity = severity if 0 <= severity <= _UNDEFINED else _UNDEFINED
        found.alarm_text = str(_field(alarm, "message") or "")[:_MOST_SHOWN]
    if stamp is not None:
        found.raw_stamp = (int(_field(stamp, "secondsPastEpoch") or 0), int(_field(stamp, "nanoseconds") or 0))
    return found


def _plain(value: Any, *, as_text: bool) -> Any:
    if isinstance(value, bool):
        return Whole(value)
    if isinstance(value, float):
        return Number(value)
    if isinstance(value, int):
        return Whole(value)
    if isinstance(value, str):
        return Text(value)
    if isinstance(value, np.ndarray):
        return cast("Any", value).view(Numbers)
    if isinstance(value, list):
        return np.array(cast("list[Any]", value), dtype=object).view(Numbers)
    return _of_enum(value, as_text=as_text)


def _of_enum(value: Any, *, as_text: bool) -> Any:
    index: Any = _field(value, "index")
    choices = words(value)
    if index is None:
        nothing = NoValue()
        nothing.unusable = "it is a structure without a single value"
        return nothing
    if not as_text:
        return Whole(index)
    # A number without a word is given as it is: `words` may know it.
    return Text(choices[int(index)]) if 0 <= index < len(choices) else Whole(index)


def words(value: Any) -> list[str]:
    """The words of an enum; none where it is no enum."""
    found: Any = _field(value, "choices") or ()
    return [] if isinstance(found, str) else [str(word) for word in found]  # a str: one of them is no UTF-8


def _field(value: Any, name: str) -> Any:
    """A field of a structure; None where there is none. A text that is no UTF-8, such as a unit with the degree sign of
    Latin-1, cannot be read: p4p raises."""
    try:
        return value[name]
    except UnicodeDecodeError as error:
        return decoded(bytes(error.object))
    except (KeyError, TypeError, IndexError):
        return None


class PvDescription(Struct, frozen=True, kw_only=True):
    """What an IOC says of a variable, with the names of Channel Access."""

    enums: tuple[str, ...] = ()
    units: str = ""
    precision: int | None = None
    lower_alarm_limit: float = math.nan
    lower_warning_limit: float = math.nan
    upper_warning_limit: float = math.nan
    upper_alarm_limit: float = math.nan
    lower_ctrl_limit: float = math.nan
    upper_ctrl_limit: float = math.nan


def description(value: Any) -> PvDescription | None:
    """What a value says of itself; None where it is a text, or no normative type."""
    inner = _field(value, "value")
    if inner is None or isinstance(inner, str):
        return None
    if named := words(inner):
        return PvDescription(enums=tuple(named))
    display, control, limits = (_field(value, name) for name in ("display", "control", "valueAlarm"))

    def limit(of: Any, name: str) -> float:
        found = None if of is None else _field(of, name)
        return math.nan if found is None else float(found)

    precision = None if display is None else _field(display, "precision")
    return PvDescription(
        units=str((None if display is None else _field(display, "units")) or ""),
        precision=None if precision is None else int(precision),
        lower_alarm_limit=limit(limits, "lowAlarmLimit"),
        lower_warning_limit=limit(limits, "lowWarningLimit"),
        upper_warning_limit=limit(limits, "highWarningLimit"),
        upper_alarm_limit=limit(limits, "highAlarmLimit"),
        lower_ctrl_limit=limit(control, "limitLow"),
        upper_ctrl_limit=limit(control, "limitHigh"),
    )
