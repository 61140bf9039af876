"""The points of a Julabo. Pure."""

from __future__ import annotations

from countingroom.core.points import Point, Type
from countingroom.devices.drivers.julabo.description import JulaboSection

NOT_KNOWN = 0
"""The pump stage before the first write: the chiller has no request that reads it."""


def points(section: JulaboSection) -> tuple[Point, ...]:
    """All points of a Julabo."""
    return (
        Point(
            name="status_code",
            label="Status",
            description="below 0 a fault, 0 and 1 manual control, 2 and 3 remote control",
            type=Type.INT,
            precision=0,
            codes={"0": "manual stop", "1": "manual start", "2": "remote stop", "3": "remote start"},
        ),
        Point(name="status_text", label="Status text", type=Type.STRING),
        _temperature("internal_temp", "Bath", "bath temperature"),
        *(_setpoint(number, section) for number in (1, 2, 3)),
        Point(
            name="used_setpoint",
            label="Setpoint in use",
            type=Type.INT,
            precision=0,
            choices=(1, 2, 3),
            writable=True,
        ),
        Point(name="power", label="Power", description="heating, or cooling below 0", unit="percent", precision=1),
        Point(
            name="ext_is_used",
            label="External control",
            description="controls on the external Pt100 instead of the bath",
            type=Type.BOOL,
            writable=True,
        ),
        _temperature("external_temp", "External Pt100", "no value while no sensor is plugged in"),
        Point(
            name="running",
            label="Running",
            type=Type.BOOL,
            writable=True,
            main=False,
            commands={"true": "start", "false": "stop"},
        ),
        Point(
            name="pressure_stage",
            label="Pump stage",
            description="as sent from here; the chiller does not say which stage holds",
            type=Type.INT,
            precision=0,
            codes={str(NOT_KNOWN): "not known"},
            writable=True,
            write_low=1,
            write_high=section.pressure_stages,
            main=False,
        ),
        Point(name="version", label="Version", type=Type.STRING, main=False),
    )


def _temperature(name: str, label: str, description: str) -> Point:
    return Point(name=name, label=label, description=description, unit="degC", deadband=0.01)


def _setpoint(number: int, section: JulaboSection) -> Point:
    return Point(
        name=f"setpoint_{number}",
        label=f"Setpoint {number}",
        unit="degC",
        writable=True,
        write_low=section.setpoint_low,
        write_high=section.setpoint_high,
        tolerance=0.006,
    )
