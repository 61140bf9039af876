"""Points: the named values of devices, with type, unit, limits and write rules."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from countingroom.core.errors import OutOfRange
from countingroom.core.values import Scalar


class Type(StrEnum):
    """The type of a point's values."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    STRING = "string"


class Limits(Struct, frozen=True, kw_only=True):
    """Limits beyond which a value is a warning (priority 3) or an alarm (priority 2); None: no limit."""

    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None


class Point(Struct, frozen=True, kw_only=True):
    """One named value of a device. Its address on the bus, in the API and in the history is `<device>.<name>`."""

    name: str
    """Unique in the device: `internal_temp`, or `<channel>.<column>` where the device has channels: `0.lv_vMon`."""
    channel: str = ""
    """The channel (row of the device's table) it belongs to; empty for the device itself."""
    column: str = ""
    """Its name within the channel (column of the table): `lv_vMon`; equals `name` when there is no channel."""
    label: str = ""
    """Short text for display: `LV V mon`."""
    description: str = ""
    type: Type = Type.FLOAT
    unit: str = ""
    """Short form of Pint: `V`, `uA`, `degC`, `g/s`; empty: no unit."""
    precision: Annotated[int, Meta(ge=0, le=20)] = 2
    """Number of significant decimals on this instrument."""
    deadband: float = 0.0
    """A change that is not larger than this is not published. 0: every change is published."""
    every_change: bool = False
    """Every change beyond the deadband is published and stored; otherwise only the newest of those that come while a
    message is under way."""
    limits: Limits = Limits()
    choices: tuple[Scalar, ...] = ()
    """The allowed values; empty: any value of the type."""
    codes: dict[str, str] = {}
    """Value as text -> its meaning: {"3": "ramping up"}."""
    severity: Annotated[int, Meta(ge=0, le=3)] = 0
    """For a bool point that is a fault flag: its priority (1, 2, 3) while true; 0: not a fault flag."""
    stale_after_s: float = 30.0
    """Without an update for this time its quality is STALE. 0: never (for values that change only by a command)."""
    main: bool = True
    """Shown in the main table of the device; other points are shown under `all values`."""

    writable: bool = False
    write_low: float | None = None
    write_high: float | None = None
    write_low_source: str = ""
    """What the lower limit comes from, where it is not the description or the driver: `IOC`."""
    write_high_source: str = ""
    """The same for the upper limit."""
    limited_by: str = ""
    """What says the limits of this setpoint that are None: `IOC`. Until it has, every value is refused."""
    readback: str = ""
    """The point that confirms a written value; empty: this point is its own readback."""
    tolerance: float = 0.0
    """The setpoint is confirmed when the readback differs by at most this."""
    confirm_s: float = 5.0
    """Deadline of the confirmation, in seconds after the write."""
    dangerous: bool = False
    """Writing it can harm, as for a limit that protects: it needs `Permission.ENDANGER`."""
    command_only: bool = False
    """Switched by commands of its device alone: `set` is refused, and the console offers no form for it."""
    formula: str = ""
    """How it is computed: the expression of a derived point, `0.12 + 1.003 x` of a calibrated one. Empty: it is not."""
    inputs: tuple[str, ...] = ()
    """Addresses of the points that it is computed from."""
    commands: dict[str, str] = {}
    """Value as text (`value_key`) -> the command that gives it, of its channel or else of the device: `hv_on`. A
    restored snapshot uses these and not `set`."""
    momentary: bool = False
    """Writing it triggers something; it keeps no value. Snapshots leave it out."""
    restore_step: Annotated[int, Meta(ge=0, le=1000)] = 0
    """Its place in the order of a restored snapshot, lowest first; switches that go off come first, in reverse. 0: none
    is given; a switch then comes last."""
    rate: str = ""
    """The point with the ramp rate (units per second), from which the console computes `about 0.5 s`."""

    def check_write(self, value: Scalar) -> float | int | str | bool:
        """The value converted to the type of this point; OutOfRange, with the limits, when it must not be sent."""
        if not self.writable:
            raise OutOfRange(f"{self.name} cannot be written", code="read_only")
        taken = _convert(self, value)
        if self.choices and taken not in self.choices:
            allowed = ", ".join(map(str, self.choices))
            raise OutOfRange(
                f"{self.name} takes one of {allowed}; got {value}",
                suggestion=f"choose one of {allowed}",
            )
        if isinstance(taken, (int, float)) and not isinstance(taken, bool):
            self._check_limits(taken)
        return taken

    def words(self, *values: Scalar) -> dict[str, str]:
        """The meanings of these values, by their keys in `codes`."""
        keys = map(value_key, values)
        return {key: self.codes[key] for key in keys if key in self.codes} if self.codes else {}

    def narrowed(self, low: float | None, high: float | None, source: str) -> Point:
        """This point with write limits that are at most as wide as those of `source`; None: it has none."""
        found: dict[str, float | str] = {}
        if low is not None and (self.write_low is None or low > self.write_low):
            found |= {"write_low": low, "write_low_source": source}
        if high is not None and (self.write_high is None or high < self.write_high):
            found |= {"write_high": high, "write_high_source": source}
        return replace(self, **found) if found else self

    def _check_limits(self, value: float) -> None:
        if self.limited_by and (self.write_low is None or self.write_high is None):
            raise OutOfRange(
                f"{self.name} cannot be written:"
                f" neither the description nor the {self.limited_by} has given its limits",
                code="no_limits",
                evidence={"value": value, "low": self.write_low, "high": self.write_high},
                suggestion=f"give write_low and write_high in the description, or limits in the {self.limited_by}",
            )
        low = -math.inf if self.write_low is None else self.write_low
        high = math.inf if self.write_high is None else self.write_high
        if low <= value <= high:
            return
        unit = f" {self.unit}" if self.unit else ""
        source = self.write_low_source if value < low else self.write_high_source
        raise OutOfRange(
            f"{self.name}: {value:g}{unit} is outside {low:g} to {high:g}{unit}"
            + (f", beyond the limit of the {source}" if source else ""),
            evidence={"value": value, "low": self.write_low, "high": self.write_high}
            | ({"limit_of": source} if source else {}),
            suggestion=f"give a value from {low:g} to {high:g}{unit}",
        )


def value_key(value: Scalar) -> str:
    """A value as the key of `codes` and `commands`: `true`, `1`, `fast`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _convert(point: Point, value: Scalar) -> float | int | str | bool:
    match point.type, value:
        case Type.BOOL, bool():
            return value
        case Type.BOOL, (0 | 1):
            return bool(value)
        case Type.STRING, str():
            return value
        case Type.INT, int() if not isinstance(value, bool):
            return value
        case Type.INT, float() if value.is_integer():
            return int(value)
        case Type.FLOAT, (int() | float()) if not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        case _:
            raise OutOfRange(f"{point.name} takes a {point.type.value}; got {value!r}", code="wrong_type")
