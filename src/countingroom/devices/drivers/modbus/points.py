"""The points of a register table. Pure."""

from __future__ import annotations

from countingroom.core.points import Limits, Point, Type
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
    channel, dot, column = name.partition(".")
    kind = type_of(register)
    return Point(
        name=name,
        channel=channel if dot else "",
        column=column if dot else name,
        label=register.label,
        description=register.description,
        type=kind,
        unit=register.unit,
        precision=(2 if kind is Type.FLOAT else 0) if register.precision is None else register.precision,
        deadband=register.deadband,
        limits=Limits(
            alarm_low=register.alarm_low,
            warning_low=register.warning_low,
            warning_high=register.warning_high,
            alarm_high=register.alarm_high,
        ),
        choices=tuple(register.choices),
        codes=register.codes,
        severity=register.severity,
        main=register.main,
        writable=register.input,
        write_low=register.write_low,
        write_high=register.write_high,
        readback=register.readback,
        tolerance=register.tolerance,
        confirm_s=register.confirm,
    )
