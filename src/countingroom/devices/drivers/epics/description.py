"""The section of an EPICS device: a table of point name -> process variable and the properties of its value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from pydantic import AfterValidator, Field

from countingroom.core.points import Point, Type
from countingroom.core.subjects import is_token
from countingroom.devices.drivers.epics.completion import IOC, Unsaid
from countingroom.devices.section import DeviceSection, Duration, Plain, Precision, Problem, TableValue

STALE_AFTER_S = 10.0
"""An IOC sends changes only, so its server is asked every `poll`. Without an answer for so long a value is STALE."""


def _value_name(value: str) -> str:
    if not 1 <= len(parts := value.split(".")) <= 2 or not all(is_token(part) for part in parts):
        raise ValueError(f"a value is named `name` or `channel.column`, of letters, digits, _ and -; got {value!r}")
    return value


ValueName = Annotated[str, AfterValidator(_value_name)]


class ChannelAccessSection(DeviceSection):
    """A device that consists of process variables.

    Channel Access has one client a process, so all EPICS devices of one host search at the union of their addresses.
    Where no device names any, the `EPICS_CA_…` variables of the environment hold, as for every EPICS program.
    """

    address_list: list[str] = []
    """Where to search by UDP, `host` or `host:port`: as EPICS_CA_ADDR_LIST."""
    name_servers: list[str] = []
    """Where to search by TCP, `host` or `host:port`: as EPICS_CA_NAME_SERVERS."""
    refresh: Duration = 60.0
    """A variable without an update for so long is asked for its value, because a server may have lost the
    subscription. It is then subscribed to again."""


class EpicsValue(TableValue):
    """One process variable and the properties of its value. `choices` are those of `words` where empty."""

    pv: Annotated[str, Field(min_length=1, pattern=r"^\S+$")]
    """The process variable: `cleanroom:T1`; the section's `prefix` comes before it."""
    type: Literal["float", "int", "bool", "string"] = "float"
    """Type to request from the IOC. An enum is its number as `int`, its text as `string`."""
    words: dict[str, Plain] = {}
    """Text of the IOC's enum -> value of this point: `{"Off": 0, "On": 1}`."""
    precision: Precision = 2
    writable: bool = False
    rate: str = ""
    """The value of this table with the ramp rate of this setpoint, in units per second."""

    def problems(self) -> Iterable[Problem]:
        """Keys that contradict each other."""
        yield from self.write_problems("writable", is_writable=self.writable)

    @property
    def has_write_limits(self) -> bool:
        """Whether it is a setpoint that is a number. Its limits are those of the IOC and of the table."""
        return self.writable and self.type in {"float", "int"} and not (self.words or self.choices)

    def unsaid(self) -> frozenset[Unsaid]:
        """What the IOC says of the point, because the table does not."""
        said = self.model_fields_set
        is_number = self.type in {"float", "int"}
        limits = {"alarm_low", "warning_low", "warning_high", "alarm_high"}
        left = {
            Unsaid.UNIT: is_number and "unit" not in said,
            Unsaid.PRECISION: self.type == "float" and "precision" not in said,
            Unsaid.LIMITS: is_number and not said & limits,
            Unsaid.WORDS: not self.words and not said & {"codes", "choices"},
            Unsaid.WRITE_LIMITS: self.has_write_limits,
        }
        return frozenset(one for one, is_left in left.items() if is_left)

    def point(self, name: str) -> Point:
        """The point of this value in a table where it has that name: `pressure`, or `<channel>.<column>`."""
        return msgspec.structs.replace(
            self.as_point(name, Type(self.type), precision=self.precision, writable=self.writable),
            choices=tuple(self.choices or self.words.values()),
            codes=self.codes or {str(value): word for word, value in self.words.items() if str(value) != word},
            stale_after_s=STALE_AFTER_S,
            rate=self.rate,
            limited_by=IOC if self.has_write_limits else "",
        )


class EpicsSection(ChannelAccessSection):
    """Any EPICS device, described by its table of values."""

    driver: Literal["epics"]
    protocol: Literal["ca", "pva"] = "ca"
    """Channel Access, or PVAccess, for which the addresses are those of the device alone."""
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
