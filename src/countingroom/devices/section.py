"""The keys that the section of every device has, whatever its driver."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, NamedTuple

from msgspec.structs import replace
from pydantic import Field

from countingroom.core.points import Limits, Point, Type
from countingroom.core.yaml.section import Seconds, Section
from countingroom.devices.calibration_section import CalibrationSection

Duration = Annotated[Seconds, Field(gt=0)]
Silence = Annotated[Seconds, Field(ge=0)]
"""A time without messages; 0 switches the rule off."""
Deadband = Annotated[float, Field(ge=0)]
Precision = Annotated[int, Field(ge=0, le=15)]
"""Significant decimals."""
Address = Annotated[str, Field(min_length=1)]
"""A host, or a port of this machine."""
Plain = float | int | str | bool
Problem = tuple[tuple[str | int, ...], str]
"""Where within the section, and what is wrong there."""

_ORDERS = (("alarm_low", "warning_low", "warning_high", "alarm_high"), ("write_low", "write_high"), ("low", "high"))


def disorder(section: Any) -> Iterator[Problem]:
    """Problems of limits in the wrong order. With them every write would be refused, or every value be an alarm."""
    for order in _ORDERS:
        given = [(key, limit) for key in order if (limit := getattr(section, key, None)) is not None]
        for (lower, low), (upper, high) in pairwise(given):
            if high < low:
                yield (upper,), f"{upper} {high:g} is below {lower} {low:g}"


def beyond(section: Any, low: float, high: float, kind: str) -> Iterator[Problem]:
    """Problems of limits that no value of this kind reaches: it goes from `low` to `high`."""
    for key in dict.fromkeys(key for order in _ORDERS for key in order):
        limit = getattr(section, key, None)
        if limit is not None and not low <= limit <= high:
            yield (key,), f"{key} {limit:.15g} is outside {low:.15g} to {high:.15g}, the range of {kind}"


class PointOverride(Section):
    """Changes that the description makes to a point of the driver."""

    label: str | None = None
    deadband: Deadband | None = None
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    write_low: float | None = None
    write_high: float | None = None
    stale_after: Silence | None = None
    every_change: bool | None = None
    """Publish every change, not only the newest while a message is under way."""
    dangerous: bool | None = None
    """Writing it can harm, and needs the role expert."""

    def problems(self) -> Iterator[Problem]:
        """Limits in the wrong order."""
        return disorder(self)


class ShownValue(Section):
    """One value of a device that has a table of points in the description."""

    label: str = ""
    description: str = ""
    unit: str = ""
    deadband: Deadband = 0.0
    every_change: bool = False
    """Publish every change, not only the newest while a message is under way."""
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    codes: dict[str, str] = {}
    """What a value means: `{"9": "over-current"}`."""
    severity: Annotated[int, Field(ge=0, le=3)] = 0
    """For a bool that is a fault flag: its priority while true."""
    main: bool = True
    """Shown in the device's main table."""

    def as_point(self, name: str, type: Type, *, precision: int) -> Point:
        """The point of this value in a table where it has that name: `pressure`, or `<channel>.<column>`."""
        channel, _, column = name.rpartition(".")
        return Point(
            name=name,
            channel=channel,
            column=column,
            label=self.label,
            description=self.description,
            type=type,
            unit=self.unit,
            precision=precision,
            deadband=self.deadband,
            every_change=self.every_change,
            limits=Limits(
                alarm_low=self.alarm_low,
                warning_low=self.warning_low,
                warning_high=self.warning_high,
                alarm_high=self.alarm_high,
            ),
            codes=self.codes,
            severity=self.severity,
            main=self.main,
        )


class TableValue(ShownValue):
    """One value that a driver reads or writes. Each driver adds the address of the value."""

    choices: list[Plain] = []
    """The only values it takes."""
    write_low: float | None = None
    write_high: float | None = None
    readback: str = ""
    """The value of this table that is the readback of this setpoint; empty: the value itself."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    confirm: Duration = 5.0
    """Deadline for the readback."""

    def write_problems(self, writable: str, *, is_writable: bool) -> Iterator[Problem]:
        """Limits in the wrong order, and keys of setpoints in a value that the key `writable` does not make one."""
        yield from disorder(self)
        if not is_writable:
            for key in ("write_low", "write_high", "readback"):
                if getattr(self, key) not in (None, ""):
                    yield (key,), f"{key} is for values with `{writable}: true`"

    def as_point(self, name: str, type: Type, *, precision: int, writable: bool = False) -> Point:
        """As of any value, with what is needed to write it."""
        return replace(
            super().as_point(name, type, precision=precision),
            choices=tuple(self.choices),
            writable=writable,
            write_low=self.write_low,
            write_high=self.write_high,
            readback=self.readback,
            tolerance=self.tolerance,
            confirm_s=self.confirm,
        )


class CommandOverride(Section):
    """Changes that the description makes to a command of the driver."""

    dangerous: bool
    """It can harm: it needs the role expert, and the console asks in red."""


class Unshared(NamedTuple):
    """A value that two devices cannot have at the same time."""

    key: str
    """Where it is in the section: `client_id`."""
    value: str
    within: tuple[str | int, ...]
    """Where it must be the only one: driver, host and port of the broker."""
    reason: str
    """What happens otherwise, and what to do."""
    keys: tuple[str, ...] = ()
    """Other keys of the section that `within` comes from: `host`, `port`."""


class DeviceSection(Section):
    """Base of every driver's section, which adds `driver: Literal["…"]` and its own keys."""

    builder: ClassVar[str] = ""
    """`module:function` that makes the device of it; empty: `build` in the module build.py beside the section's."""

    has_hardware: ClassVar[bool] = True
    """Whether there is something that a simulator can stand for."""

    title: str = ""
    """The title in the console; the device's name where empty."""
    group: str = ""
    """Heading in the console's navigation; the driver's own where empty."""
    card: bool = True
    """Whether the overview of the console has a card of it."""
    area: str = ""
    """Its area in the section `alarms`: `cooling/chiller`."""
    poll: Duration = 1.0
    """Between the starts of two polls; unused by monitoring drivers."""
    timeout: Duration = 2.0
    """For one answer of the device."""
    reconnect_first: Duration = 0.5
    """The first pause before connecting again; it doubles up to `reconnect_most`."""
    reconnect_most: Duration = 30.0
    apply_on_connect: bool = False
    """Write the settings of this section to the device when it connects, unless its `may_apply` refuses."""
    calibration: dict[str, CalibrationSection] = {}
    """Point name -> how its value is corrected."""
    points: dict[str, PointOverride] = {}
    """Point name, or a pattern with `*`, -> the changes."""
    commands: dict[str, CommandOverride] = {}
    """Command -> the changes."""

    def unshared(self) -> Iterator[Unshared]:
        """What no other device may have too."""
        yield from ()
