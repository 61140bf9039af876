"""Law: a Modbus device is a table: a point's name, its address, how its words are read, what is known about it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from countingroom.core.description import Seconds, Section
from countingroom.devices.section import DeviceSection

Plain = float | int | str | bool
Kind = Literal["bool", "int", "int16", "uint16", "int32", "uint32", "float32", "float64"]
ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


class Register(Section):
    """One value of the table, in holding registers."""

    address: Annotated[int, Field(ge=0, le=65535)]
    """As on the wire: counted from 0."""
    type: Kind = "int"
    """`int` is uint16."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """For a bool: its bit, 0 the least significant. Without, the register is 0 or not."""
    input: bool = False
    """May be written."""
    deadband: Annotated[float, Field(ge=0)] = 0.0
    label: str = ""
    description: str = ""
    unit: str = ""
    precision: int | None = None
    """Decimals that mean something; 2 for floats, 0 for the rest."""
    alarm_low: float | None = None
    warning_low: float | None = None
    warning_high: float | None = None
    alarm_high: float | None = None
    choices: list[Plain] = []
    codes: dict[str, str] = {}
    """What a value means: `{"3": "alarm"}`."""
    severity: Annotated[int, Field(ge=0, le=3)] = 0
    """For a bool that is a fault flag: its priority while true."""
    main: bool = True
    write_low: float | None = None
    write_high: float | None = None
    readback: str = ""
    """The value of this table that proves a written one; empty: this one reads itself back."""
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    confirm: Seconds = 5.0

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.bit is not None and self.type != "bool":
            raise ValueError(f"`bit` is for `type: bool`; this is {self.type}")
        if not self.input and (self.write_low is not None or self.write_high is not None or self.readback):
            raise ValueError("write_low, write_high and readback are for values with `input: true`")
        return self


class ModbusTable(DeviceSection):
    """What every device with a register table has."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    device_id: Annotated[int, Field(ge=0, le=255)] = 1
    """The unit behind a gateway; also called slave id."""
    byte_order: Literal["big", "little"] = "big"
    """Within a register."""
    word_order: Literal["big", "little"] = "little"
    """Of the registers of one value: little has the least significant first."""
    bridge: Annotated[int, Field(ge=0, le=100)] = 0
    """Read across holes of up to this many registers, where the device allows it."""
    registers: dict[ValueName, Register]
    settings: dict[str, Plain] = {}
    """Value name -> what to write at the connection, with `apply_on_connect`."""

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, register in self.registers.items():
            if register.readback and register.readback not in self.registers:
                raise ValueError(f"registers.{name}.readback: there is no {register.readback}")
        for name in self.settings:
            if name not in self.registers or not self.registers[name].input:
                raise ValueError(f"settings.{name}: there is no such register with `input: true`")
        return self


class ModbusSection(ModbusTable):
    """Any Modbus TCP device."""

    driver: Literal["modbus"] = "modbus"
