"""The points of a register table. Pure."""

from __future__ import annotations

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.modbus.description import ModbusTable, Register


def points(table: ModbusTable) -> tuple[Point, ...]:
    """Every value of the table, in its order."""
    return tuple(_point(name, register) for name, register in table.registers.items())


def channels(table: ModbusTable) -> tuple[str, ...]:
    """The channels in its names, in order."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in table.registers if "." in name))


def type_of(register: Register) -> Type:
    """The point type of this register."""
    if register.type == "bool":
        return Type.BOOL
    return Type.FLOAT if register.type.startswith("float") else Type.INT


def _point(name: str, register: Register) -> Point:
    kind = type_of(register)
    usual = 2 if kind is Type.FLOAT else 0
    precision = usual if register.precision is None else register.precision
    return register.as_point(name, kind, precision=precision, writable=register.input)
