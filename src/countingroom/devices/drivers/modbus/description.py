"""The section of a Modbus device: a table of point name -> register address, type and properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from countingroom.devices.drivers.modbus.codec import integer_range, width
from countingroom.devices.section import Address, DeviceSection, Plain, Precision, Problem, TableValue, beyond

_REGISTERS = 65536

Kind = Literal["bool", "int", "int16", "uint16", "int32", "uint32", "float32", "float64"]
ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


class Register(TableValue):
    """One value of the table, in holding registers."""

    address: Annotated[int, Field(ge=0, le=65535)]
    """As on the wire: counted from 0."""
    type: Kind = "int"
    """`int` is uint16."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """For a bool: its bit, 0 the least significant. Without, the register is 0 or not."""
    input: bool = False
    """May be written."""
    precision: Precision | None = None
    """Decimals that mean something; 2 for floats, 0 for the rest."""

    def problems(self) -> Iterable[Problem]:
        """Properties that contradict each other."""
        yield from self.write_problems("input", is_writable=self.input)
        if limits := integer_range(self.type):
            yield from beyond(self, *limits, self.type)
        if self.address + (count := width(self.type)) > _REGISTERS:
            yield (
                ("address",),
                f"a {self.type} needs {count} registers from {self.address} on; {_REGISTERS - 1} is the last",
            )
        if self.bit is not None and self.type != "bool":
            yield ("bit",), f"a bit is for `type: bool`; this is {self.type}"


class ModbusTable(DeviceSection):
    """The keys of every device with a register table."""

    host: Address
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

    def problems(self) -> Iterable[Problem]:
        """Readbacks and settings without a register."""
        for name, register in self.registers.items():
            if register.readback and register.readback not in self.registers:
                yield ("registers", name, "readback"), f"there is no register {register.readback}"
        for name in self.settings:
            if name not in self.registers or not self.registers[name].input:
                yield ("settings", name), "there is no such register with `input: true`"


class ModbusSection(ModbusTable):
    """Any Modbus TCP device."""

    driver: Literal["modbus"] = "modbus"

    def problems(self) -> Iterable[Problem]:
        """Writable numbers without limits."""
        yield from super().problems()
        for name, register in self.registers.items():
            if register.input and register.type != "bool" and not register.choices:
                for key in ("write_low", "write_high"):
                    if getattr(register, key) is None:
                        yield ("registers", name), f"a number with `input: true` says its limits: {key} is missing"
