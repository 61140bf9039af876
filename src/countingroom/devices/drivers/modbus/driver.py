"""The driver of Modbus devices. One poll reads the table in few requests; a refused one makes its own points BAD."""

from __future__ import annotations

from collections.abc import Sequence

from countingroom.core.errors import DeviceError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.modbus import codec
from countingroom.devices.drivers.modbus.codec import Span, WordOrder
from countingroom.devices.drivers.modbus.description import ModbusTable, Register
from countingroom.devices.drivers.modbus.link import ModbusLink
from countingroom.devices.drivers.modbus.points import points
from countingroom.devices.port import Sample


class ModbusDriver:
    """A register table over Modbus TCP."""

    def __init__(self, table: ModbusTable) -> None:
        self._registers = table.registers
        self._order = WordOrder(table.byte_order, table.word_order)
        self._points = points(table)
        self._plan = codec.plan(map(_span, self._registers.values()), bridge=table.bridge)
        self._link = ModbusLink(table.host, table.port, table.device_id, table.timeout)

    @property
    def points(self) -> tuple[Point, ...]:
        return self._points

    async def connect(self) -> None:
        await self._link.open()

    async def read(self) -> Sequence[Sample]:
        words: dict[int, int] = {}
        refused: DeviceError | None = None
        for chunk in self._plan:
            try:
                words.update(enumerate(await self._link.read(chunk.address, chunk.count), chunk.address))
            except DeviceError as error:
                refused = error
        if refused is not None and not words:
            raise refused
        return [self._sample(name, register, words) for name, register in self._registers.items()]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        register = self._registers[point]
        if isinstance(value, str):
            raise DeviceError(f"{point} takes no text", code="wrong_type")
        if register.type == "bool":
            (word,) = (0,) if register.bit is None else await self._link.read(register.address, 1)
            words = (codec.with_bit(word, register.bit, bool(value)),)
        else:
            words = codec.encode(register.type, value, self._order)
        await self._link.write(register.address, words)

    async def close(self) -> None:
        self._link.close()

    def _sample(self, name: str, register: Register, words: dict[int, int]) -> Sample:
        span = _span(register)
        if any(address not in words for address in range(span.address, span.end)):
            return Sample(point=name, value=None, quality=Quality.BAD)
        own = [words[address] for address in range(span.address, span.end)]
        if register.type == "bool":
            return Sample(point=name, value=codec.bit_of(own[0], register.bit))
        return Sample(point=name, value=codec.decode(register.type, own, self._order))


def _span(register: Register) -> Span:
    return Span(register.address, codec.width(register.type))
