"""The section of an EPICS device: a table of point name -> process variable and the properties of its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from countingroom.core.points import Limits, Point, Type
from countingroom.core.subjects import is_token
from countingroom.core.values import Scalar
from countingroom.core.yaml.section import Section
from countingroom.devices.section import Deadband, DeviceSection, Duration, Precision, disorder

Plain = float | int | str | bool
Problem = tuple[tuple[str | int, ...], str]
"""(path within the section, message)."""


def _value_name(value: str) -> str:
    if not 1 <= len(parts := value.split(".")) <= 2 or not all(is_token(part) for part in parts):
        raise ValueError(f"a value is named `name` or `channel.column`, of letters, digits, _ and -; got {value!r}")
    return value


ValueName = Annotated[str, AfterValidator(_value_name)]


class ChannelAccessSection(DeviceSection):
    """A device whose values are process variables.

    Channel Access has one client a process, so all EPICS devices of one host search at the union of their addresses.
    Where no device names any, the `EPICS_CA_…` variables of the environment hold, as for every EPICS program.
    """

    address_list: list[str] = []
    """Where to search by UDP, `host` or `host:port`: as EPICS_CA_ADDR_LIST."""
    name_servers: list[str] = []
    """Where to search by TCP, `host` or `host:port`: as EPICS_CA_NAME_SERVERS."""


class EpicsValue(Section):
    """One process variable and the properties of its value."""

    pv: Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
    """The process variable: `cleanroom:T1`; the section's `prefix` comes before it."""
    type: Literal["float", "int", "bool", "string"] = "float"
    """Type to request from the IOC. An enum is its number as `int`, its text as `string`."""
    words: dict[str, Plain] = {}
    """Text of the IOC's enum -> value of this point: `{"Off": 0, "On": 1}`."""
    label: str = ""
    description: str = ""
    unit: str = ""
    precision: Precision = 2
    deadband: Deadband = 0.0
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    choices: list[Plain] = []
    """The only values it takes; those of `words` where empty."""
    codes: dict[str, str] = {}
    """What a value means: `{"9": "over-current"}`."""
    severity: Annotated[int, Field(ge=0, le=3)] = 0
    """For a bool that is a fault flag: its priority while true."""
    main: bool = True
    """Shown in the device's main table."""
    writable: bool = False
    write_low: float | None = None
    write_high: float | None = None
    readback: str = ""
    """The value of this table that is the readback of this setpoint; empty: the value itself."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    confirm: Duration = 5.0
    """Deadline for the readback."""
    rate: str = ""
    """The value of this table with the ramp rate of this setpoint, in units per second."""

    def problems(self) -> Iterable[Problem]:
        """Keys that contradict each other."""
        yield from disorder(self)
        if not self.writable:
            for key in ("write_low", "write_high", "readback"):
                if getattr(self, key) not in (None, ""):
                    yield (key,), f"{key} is for values with `writable: true`"
        elif self.type in {"float", "int"} and not (self.words or self.choices):
            for key in ("write_low", "write_high"):
                if getattr(self, key) is None:
                    yield (), f"a number with `writable: true` says its limits: {key} is missing"

    def point(self, name: str) -> Point:
        """The point of this value in a table where it has that name: `pressure`, or `<channel>.<column>`."""
        channel, _, column = name.rpartition(".")
        choices: tuple[Scalar, ...] = tuple(self.choices or self.words.values())
        return Point(
            name=name,
            channel=channel,
            column=column,
            label=self.label,
            description=self.description,
            type=Type(self.type),
            unit=self.unit,
            precision=self.precision,
            deadband=self.deadband,
            limits=Limits(
                alarm_low=self.alarm_low,
                warning_low=self.warning_low,
                warning_high=self.warning_high,
                alarm_high=self.alarm_high,
            ),
            choices=choices,
            codes=self.codes or {str(value): word for word, value in self.words.items() if str(value) != word},
            severity=self.severity,
            stale_after_s=0.0,  # an IOC sends only changes, and Channel Access reports a lost link at once
            main=self.main,
            writable=self.writable,
            write_low=self.write_low,
            write_high=self.write_high,
            readback=self.readback,
            tolerance=self.tolerance,
            confirm_s=self.confirm,
            rate=self.rate,
        )


class EpicsSection(ChannelAccessSection):
    """Any EPICS device, described by its table of values."""

    driver: Literal["epics"]
    prefix: str = ""
    """Prefix of every process variable: `cleanroom:`."""
    values: Annotated[dict[ValueName, EpicsValue], Field(min_length=1)]
    """Name of the value, or `<channel>.<column>` for a device with channels, -> what it is."""

    def problems(self) -> Iterable[Problem]:
        """Names in the table that cannot be used."""
        for name, value in self.values.items():
            for key, other in (("readback", value.readback), ("rate", value.rate)):
                if other and other not in self.values:
                    yield ("values", name, key), f"there is no value {other} in this table"
