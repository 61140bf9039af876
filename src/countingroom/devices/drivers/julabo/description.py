"""The section of a Julabo chiller: its serial line and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from countingroom.core.yaml.section import Section
from countingroom.devices.drivers.julabo.codec import COLDEST_C, HOTTEST_C
from countingroom.devices.section import Address, DeviceSection, Duration, Silence
from countingroom.devices.serial.address import socket_problem

LOWEST_C = -50.0
HIGHEST_C = 49.99
"""Setpoints are at least -50 and below 50 degC where the section says nothing; the line carries two decimals."""

SETPOINTS = ("setpoint_1", "setpoint_2", "setpoint_3")

Temperature = Annotated[float, Field(ge=COLDEST_C, le=HOTTEST_C)]


class JulaboSettings(Section):
    """Written when the chiller connects, with `apply_on_connect`, unless it is running."""

    setpoint_1: Temperature | None = None
    """degC"""
    setpoint_2: Temperature | None = None
    """degC"""
    setpoint_3: Temperature | None = None
    """degC"""
    used_setpoint: Literal[1, 2, 3] | None = None
    ext_is_used: bool | None = None
    """Control on the external Pt100 instead of the bath."""
    pressure_stage: Annotated[int, Field(ge=1)] | None = None


class JulaboSection(DeviceSection):
    """A Julabo circulator on a serial line."""

    driver: Literal["julabo"] = "julabo"
    port: Address
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port` of a serial server."""
    poll: Duration = 2.0
    baudrate: Annotated[int, Field(gt=0)] = 4800
    bits: Literal[7, 8] = 7
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    rtscts: bool = True
    read_gap: Silence = 0.02
    """Silence after the answer to a question. The manuals ask for 10 ms."""
    write_gap: Silence = 0.25
    """Silence after a setting. The manuals ask for 250 ms."""
    setpoint_low: Temperature = LOWEST_C
    """degC; the lowest setpoint that is sent. Of the model and of the liquid in the bath."""
    setpoint_high: Temperature = HIGHEST_C
    """degC; the highest setpoint that is sent."""
    pressure_stages: Annotated[int, Field(ge=1)] = 4
    """Stages of its pump."""
    settings: JulaboSettings = JulaboSettings()

    def problems(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """A malformed address of a serial server, and setpoints outside their limits."""
        if problem := socket_problem(self.port):
            yield ("port",), problem
        if self.setpoint_high < self.setpoint_low:
            yield (
                ("setpoint_high",),
                f"setpoint_high {self.setpoint_high:g} is below setpoint_low {self.setpoint_low:g}",
            )
        for name in SETPOINTS:
            value = getattr(self.settings, name)
            if value is not None and not self.setpoint_low <= value <= self.setpoint_high:
                yield (
                    ("settings", name),
                    f"{value:g} is outside setpoint_low {self.setpoint_low:g} to setpoint_high {self.setpoint_high:g}",
                )

    def warnings(self) -> Iterable[tuple[tuple[str, ...], str]]:
        """Limits of the setpoints that are not given. The serial line does not tell which bath it is."""
        missing = [name for name in ("setpoint_low", "setpoint_high") if name not in self.model_fields_set]
        if missing:
            verb = "are" if len(missing) > 1 else "is"
            yield (
                (),
                f"{' and '.join(missing)} of the bath {verb} not given: setpoints from {self.setpoint_low:g} to "
                f"{self.setpoint_high:g} degC are sent; give those of its model and of its liquid",
            )
