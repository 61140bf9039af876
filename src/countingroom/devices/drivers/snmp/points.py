"""The points of a table of OIDs. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.snmp.description import SnmpSection, SnmpValue


def points(section: SnmpSection) -> tuple[Point, ...]:
    """Every value of the table, in its order."""
    return tuple(_point(name, value) for name, value in section.values.items())


def channels(section: SnmpSection) -> tuple[str, ...]:
    """The channels in its names, in order."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in section.values if "." in name))


def _point(name: str, value: SnmpValue) -> Point:
    usual = 2 if value.type == "float" else 0
    precision = usual if value.precision is None else value.precision
    point = value.as_point(name, Type(value.type), precision=precision, writable=value.writable)
    choices = point.choices or (tuple(value.words.values()) if value.writable else ())
    codes = {str(number): word for word, number in value.words.items()} | point.codes
    # The number of the agent may be a whole one: a setpoint is then rounded to the next.
    rounding = abs(value.scale) / 2 if value.writable and value.scale != 1.0 else 0.0
    return replace(point, choices=choices, codes=codes, tolerance=max(point.tolerance, rounding))
