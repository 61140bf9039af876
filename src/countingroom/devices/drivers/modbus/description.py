"""The section of a Modbus device: a table of point name -> register address, type and properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from countingroom.devices.drivers.modbus.codec import (
    SIZED,
    NumberFormat,
    WordOrder,
    in_registers,
    integer_range,
    width,
)
from countingroom.devices.drivers.modbus.pdu import (
    MOST_WORDS,
    READ_WRITE,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_REGISTER,
    WRITE_REGISTERS,
)
from countingroom.devices.section import Address, DeviceSection, Plain, Precision, Problem, TableValue, beyond

_REGISTERS = 65536
_MOST_BCD = 4

Kind = Literal[
    "bool", "int", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string", "bcd"
]
Table = Literal["holding", "input", "coil", "discrete"]
Order = Literal["big", "little"]
_BITS = ("coil", "discrete")
_WRITE_FUNCTIONS = {"coil": (WRITE_COIL, WRITE_COILS), "holding": (WRITE_REGISTER, WRITE_REGISTERS, READ_WRITE)}
ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


class Register(TableValue):
    """One value of the table, in holding registers or in another table of the device."""

    address: Annotated[int, Field(ge=0, le=65535)]
    """As on the wire: counted from 0."""
    table: Table = "holding"
    """`input` registers and `discrete` inputs can only be read; coils and discrete inputs are bool."""
    type: Kind = "int"
    """`int` is uint16."""
    length: Annotated[int, Field(ge=1, le=125)] = 1
    """Registers of a text (two bytes each) or of a BCD number (four digits each)."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """For a bool: its bit, 0 the least significant. Without, the register is 0 or not."""
    scale: float = 1.0
    """The value is the number in the registers times `scale` plus `offset`."""
    offset: float = 0.0
    no_value: list[int | float] = []
    """Numbers in the registers, before `scale`, that mean that there is no value: `[0x8000]`. Such a value is BAD."""
    device_id: Annotated[int, Field(ge=0, le=255)] | None = None
    """Its unit, where it is not that of the device."""
    word_order: Order | None = None
    """Where it is not that of the device."""
    byte_order: Order | None = None
    """Where it is not that of the device."""
    input: bool = False
    """May be written."""
    write_function: Literal[5, 6, 15, 16, 23] | None = None
    """5 (one coil) or 15 for coils; 16 (several registers), 6 (one) or 23 (write and read) for registers."""
    precision: Precision | None = None
    """Decimals that mean something; 2 for floats, 0 for the rest."""

    @property
    def kind(self) -> str:
        """The type; bool where the table has bits only."""
        return "bool" if self.table in _BITS else self.type

    @property
    def width(self) -> int:
        """Addresses that it takes."""
        return width(self.kind, self.length)

    @property
    def layout(self) -> NumberFormat:
        """How its registers hold a number."""
        return NumberFormat(
            kind=self.kind,
            length=self.length,
            scale=self.scale,
            offset=self.offset,
            no_value=tuple(in_registers(self.kind, number) for number in self.no_value),
        )

    @property
    def function(self) -> int:
        """The function that writes it."""
        return self.write_function or (WRITE_COIL if self.table == "coil" else WRITE_REGISTERS)

    def problems(self) -> Iterable[Problem]:
        """Properties that contradict each other."""
        yield from self.write_problems("input", is_writable=self.input)
        if self.layout.is_plain and (limits := integer_range(self.kind)):
            yield from beyond(self, *limits, self.type)
        if self.address + self.width > _REGISTERS:
            yield (
                ("address",),
                f"a {self.type} needs {self.width} registers from {self.address} on; {_REGISTERS - 1} is the last",
            )
        if self.bit is not None and (self.type != "bool" or self.table in _BITS):
            yield ("bit",), f"a bit is for `type: bool` in a register; this is {self.type} in {self.table}"
        if self.table in _BITS and "type" in self.model_fields_set and self.type != "bool":
            yield ("type",), f"values of `table: {self.table}` are bool; this is {self.type}"
        if not self.layout.is_plain and self.kind in ("bool", "string"):
            yield ("scale" if self.scale != 1 else "offset",), f"scale and offset are for numbers; this is {self.kind}"
        if self.no_value and self.kind in ("bool", "string"):
            yield ("no_value",), f"no_value is for numbers; this is {self.kind}"
        if self.scale == 0:
            yield ("scale",), "with scale 0 every value is the same"
        if self.length != 1 and self.kind not in SIZED:
            yield ("length",), f"length is for `string` and `bcd`; a {self.kind} has {self.width}"
        if self.kind == "bcd" and self.length > _MOST_BCD:
            yield ("length",), f"a bcd has at most {_MOST_BCD} registers"
        yield from self._write_function_problems()

    def _write_function_problems(self) -> Iterable[Problem]:
        functions = _WRITE_FUNCTIONS.get(self.table, ())
        if self.input and not functions:
            yield ("input",), f"values of `table: {self.table}` cannot be written"
        elif self.write_function is not None and self.write_function not in functions:
            yield ("write_function",), f"for `table: {self.table}` one of {', '.join(map(str, functions)) or 'none'}"
        elif self.write_function == WRITE_REGISTER and self.width > 1:
            yield ("write_function",), f"function 6 writes one register; this has {self.width}"


class ModbusTable(DeviceSection):
    """The keys of every device with a register table."""

    host: Address | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    framing: Literal["tcp", "rtu"] = "tcp"
    """`rtu`: a serial server that passes RTU frames on, without the header of Modbus TCP."""
    serial: str = ""
    """`/dev/ttyUSB0`: a serial bus with RTU, in place of `host`."""
    baudrate: Annotated[int, Field(gt=0)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    device_id: Annotated[int, Field(ge=0, le=255)] = 1
    """The unit behind a gateway; also called slave id."""
    byte_order: Order = "big"
    """Within a register."""
    word_order: Order = "big"
    """Of the registers of one value: big has the most significant first."""
    bridge: Annotated[int, Field(ge=0, le=100)] = 0
    """Read across holes of up to this many registers, where the device allows it."""
    most_registers: Annotated[int, Field(ge=1, le=MOST_WORDS)] = MOST_WORDS
    """Registers of one question. Some devices take fewer than the protocol allows."""
    registers: dict[ValueName, Register]
    settings: dict[str, Plain] = {}
    """Value name -> what to write at the connection, with `apply_on_connect`."""

    def unit_of(self, register: Register) -> int:
        """The unit that has this value."""
        return self.device_id if register.device_id is None else register.device_id

    def order_of(self, register: Register) -> WordOrder:
        """How the bytes of this value are ordered."""
        return WordOrder(register.byte_order or self.byte_order, register.word_order or self.word_order)

    def problems(self) -> Iterable[Problem]:
        """An address too much or too little; values that one question cannot hold; names without a register."""
        if bool(self.host) == bool(self.serial):
            yield ("host",), "give either `host` or `serial`"
        for name, register in self.registers.items():
            if register.table not in _BITS and register.width > self.most_registers:
                limit = f"it has {register.width} registers, and most_registers is {self.most_registers}"
                yield ("registers", name), limit
        for name, register in self.registers.items():
            if register.readback and register.readback not in self.registers:
                yield ("registers", name, "readback"), f"there is no register {register.readback}"
        for name in self.settings:
            if name not in self.registers or not self.registers[name].input:
                yield ("settings", name), "there is no such register with `input: true`"


class ModbusSection(ModbusTable):
    """Any device with Modbus TCP or RTU."""

    driver: Literal["modbus"] = "modbus"

    def warnings(self) -> Iterable[Problem]:
        """Values without an explicit order of registers. The default was the other one before."""
        if "word_order" in self.model_fields_set:
            return
        for name, register in self.registers.items():
            if register.kind != "string" and register.width > 1 and register.word_order is None:
                yield (
                    ("registers", name),
                    "no word_order is given, so its most significant register is first; "
                    "before this version it was last: write `word_order: big` or `word_order: little` at the device",
                )
                return

    def problems(self) -> Iterable[Problem]:
        """Writable numbers without limits."""
        yield from super().problems()
        for name, register in self.registers.items():
            if register.input and register.kind not in ("bool", "string") and not register.choices:
                for key in ("write_low", "write_high"):
                    if getattr(register, key) is None:
                        yield ("registers", name), f"a number with `input: true` says its limits: {key} is missing"
