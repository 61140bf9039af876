"""The points of a MARTA plant: its registers, with units, limits and severities that follow from their names. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.marta.alarms import text_of
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.marta.names import MAIN, severity_of, unit_of
from countingroom.devices.drivers.modbus.points import points as table_points

RANGES = {
    "set_temperature_setpoint": (-35.0, 25.0),
    "set_speed_setpoint": (0.0, 6000.0),
    "set_flow_setpoint": (0.0, 5.0),
}
"""degC, rpm, g/s"""

COMMANDS = {
    "set_start_chiller": {"true": "start_chiller", "false": "stop_chiller"},
    "set_start_co2": {"true": "start_co2", "false": "stop_co2"},
}
"""Start bit -> the commands that switch it."""
STEPS = {"set_flow_active": 10, "set_start_chiller": 20, "set_start_co2": 30}
"""Order of a restored snapshot, after the setpoints: the chiller before CO2."""
RESET = "set_alarm_reset"

STATUS_CODES = {"1": "ready", "2": "CO2 in operation", "3": "alarm"}

ALARMS = Point(
    name="alarms",
    label="Alarms",
    description="the alarms that are set, most severe first, one line each; empty when there is none",
    type=Type.STRING,
)


def alarm_bits(section: MartaSection) -> tuple[str, ...]:
    """The registers that are alarms: read-only bits with a severity in their name."""
    return tuple(
        name
        for name, register in section.registers.items()
        if register.type == "bool" and not register.input and severity_of(name)
    )


def points(section: MartaSection) -> tuple[Point, ...]:
    """The register table, and the alarms as one text."""
    bits = frozenset(alarm_bits(section))
    return (*(_point(point, section, point.name in bits) for point in table_points(section)), ALARMS)


def _point(point: Point, section: MartaSection, is_alarm: bool) -> Point:
    """Properties in the section win over those that follow from the name."""
    if is_alarm:
        text = text_of(point.name, section.alarm_codes)
        return replace(
            point,
            label=point.label or point.name,
            description=point.description or text,
            severity=point.severity or severity_of(point.name),
            main=False,
        )
    main = point.name in MAIN or section.registers[point.name].label != ""
    if point.writable:
        point = replace(
            point,
            commands=COMMANDS.get(point.name, {}),
            restore_step=STEPS.get(point.name, 0),
            momentary=point.name == RESET,
        )
    point = replace(point, unit=point.unit or unit_of(point.name), label=point.label or point.name, main=main)
    if point.name == "status":
        return replace(point, codes=point.codes or STATUS_CODES)
    if point.name in RANGES:
        low, high = RANGES[point.name]
        readback = point.name.removeprefix("set_")
        return replace(
            point,
            write_low=low if point.write_low is None else point.write_low,
            write_high=high if point.write_high is None else point.write_high,
            readback=point.readback or (readback if readback in section.registers else ""),
            tolerance=point.tolerance or 0.01,
        )
    return point
