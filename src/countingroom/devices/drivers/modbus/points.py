"""The points of a register table. Pure."""

from __future__ import annotations

from msgspec.structs import replace

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
    match register.kind:
        case "bool":
            return Type.BOOL
        case "string":
            return Type.STRING
        case _:
            return Type.INT if register.layout.is_whole else Type.FLOAT


def _point(name: str, register: Register) -> Point:
    kind = type_of(register)
    usual = 2 if kind is Type.FLOAT else 0
    precision = usual if register.precision is None else register.precision
    point = register.as_point(name, kind, precision=precision, writable=register.input)
    layout = register.layout
    if layout.is_plain or layout.kind.startswith("float"):
        return point
    # A register holds whole numbers, so a setpoint is rounded to the next one when it is written.
    return replace(point, tolerance=max(point.tolerance, abs(layout.scale) / 2))
