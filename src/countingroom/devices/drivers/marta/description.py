"""The section of a MARTA plant: its address, its register file and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from countingroom.devices.drivers.marta.table import REGISTERS, TEXTS
from countingroom.devices.drivers.modbus.description import ModbusTable, Order, Problem, Register, ValueName
from countingroom.devices.section import Address

NEEDED = (
    "status",
    "set_start_chiller",
    "set_start_co2",
    "set_flow_active",
    "set_alarm_reset",
    "set_temperature_setpoint",
    "set_speed_setpoint",
    "set_flow_setpoint",
)
"""Registers without which states and commands have no meaning."""


class MartaSection(ModbusTable):
    """A MARTA CO2 plant. Its register file is included at this level: `<<: !include marta_registers.yml`."""

    driver: Literal["marta"] = "marta"
    host: Address  # pyright: ignore[reportGeneralTypeIssues, reportIncompatibleVariableOverride] (a plant needs one)
    word_order: Order = "little"
    """The plants have the least significant register first."""
    registers: dict[ValueName, Register] = {name: Register.model_validate(entry) for name, entry in REGISTERS.items()}
    """The plant's own where none are given."""
    alarm_codes: dict[str, str] = TEXTS
    """Alarm bit -> its text; where it is missing or `?`, the text is composed from the bit's name."""

    def problems(self) -> Iterable[Problem]:
        """Missing registers that states and commands need."""
        yield from super().problems()
        for name in NEEDED:
            if name not in self.registers:
                yield ("registers",), f"register {name} is missing; states and commands need it"
            elif name.startswith("set_") and not self.registers[name].input:
                yield ("registers", name), "it is written by commands: `input: true` is missing"
