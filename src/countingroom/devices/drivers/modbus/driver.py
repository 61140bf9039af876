"""The driver of Modbus devices. One poll reads the table in few requests; what fails makes its own points BAD."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.modbus import codec, pdu
from countingroom.devices.drivers.modbus.codec import Span
from countingroom.devices.drivers.modbus.connection import ModbusAddress, ModbusConnections, NoAnswer
from countingroom.devices.drivers.modbus.description import ModbusTable, Register
from countingroom.devices.drivers.modbus.points import points
from countingroom.devices.drivers.modbus.read_plan import Area, Chunk, ReadPlan
from countingroom.devices.port import Sample

_MOST_MISSES = 2
"""Requests of one poll without any answer before the link counts as lost."""
_MOST_MISSES_OF_ALL = 6
"""Requests without an answer in one poll: each takes a timeout, and the host gives a poll fifteen of them."""

Words = dict[tuple[Area, int], int]
Reasons = dict[tuple[Area, Span], str]


class ModbusDriver:
    """A register table over Modbus TCP or RTU."""

    def __init__(self, table: ModbusTable, connections: ModbusConnections | None = None) -> None:
        self._table = table
        self._registers = table.registers
        self._points = points(table)
        self._areas = {name: Area(table.unit_of(one), one.table) for name, one in table.registers.items()}
        self._plan = ReadPlan(
            ((self._areas[name], _span(one)) for name, one in table.registers.items()),
            bridge=table.bridge,
            most=table.most_registers,
        )
        self._connection = (connections or ModbusConnections()).at(place_of(table))

    @property
    def points(self) -> tuple[Point, ...]:
        return self._points

    async def connect(self) -> None:
        await self._connection.join(self, self._table.timeout)
        self._plan.opened()

    async def read(self) -> Sequence[Sample]:
        words: Words = {}
        reasons: Reasons = {}
        waiting = list(self._plan.due())
        misses = 0
        error: DeviceError | None = None
        while waiting:
            chunk = waiting.pop(0)
            try:
                values = await self._ask(chunk)
            except NoAnswer as missing:
                self._plan.missed(chunk)
                misses, error = misses + 1, missing
                if misses >= (_MOST_MISSES_OF_ALL if words else _MOST_MISSES):
                    break
            except pdu.ModbusRefusal as refusal:
                error = refusal
                if refusal.cause.evidence.get("exception") in pdu.OF_THE_REQUEST:
                    waiting[:0] = halves = self._plan.refused(chunk)
                    if halves:
                        continue
            except DeviceError as nonsense:
                error = nonsense
            else:
                self._plan.answered(chunk)
                words.update(((chunk.area, chunk.address + place), value) for place, value in enumerate(values))
                continue
            reasons.update(((chunk.area, span), error.cause.message) for span in chunk.spans)
        if error is not None and not words:
            raise self._as_link_error(error)
        return [self._sample(name, register, words, reasons) for name, register in self._registers.items()]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        register, area = self._registers[point], self._areas[point]
        if isinstance(value, str) != (register.kind == "string"):
            raise DeviceError(f"{point} takes no {'text' if isinstance(value, str) else 'number'}", code="wrong_type")
        if register.kind == "bool":
            word = 0
            if register.bit is not None:
                request = pdu.read_request(area.table, register.address, 1)
                (word,) = await self._request(area, request, lambda: f"read {point}")
            words: tuple[int, ...] = (codec.with_bit(word, register.bit, bool(value)),)
        elif isinstance(value, str):
            words = codec.encode_text(value, register.length, self._table.order_of(register))
        else:
            words = codec.encode_scaled(register.layout, value, self._table.order_of(register))
        request = pdu.write_request(register.function, register.address, words)
        # The answer of function 23 proves nothing: some servers read before they write. The next poll is the proof.
        await self._request(area, request, lambda: f"write {point} ({_where(area, register.address)})")

    async def close(self) -> None:
        await self._connection.leave(self)

    async def _ask(self, chunk: Chunk) -> list[int]:
        request = pdu.read_request(chunk.area.table, chunk.address, chunk.count)
        return await self._request(chunk.area, request, lambda: self._shown(chunk))

    def _shown(self, chunk: Chunk) -> str:
        names = [name for name, register in self._registers.items() if self._is_in(name, register, chunk)]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"read {shown} ({_where(chunk.area, chunk.address, chunk.count)})"

    def _is_in(self, name: str, register: Register, chunk: Chunk) -> bool:
        return self._areas[name] == chunk.area and _span(register) in chunk.spans

    async def _request(self, area: Area, request: bytes, doing: Callable[[], str]) -> list[int]:
        """The values in the answer. Every error names the values that were asked for."""
        place = self._connection.place.text
        try:
            return await self._connection.ask(self, area.unit, request, self._table.timeout)
        except DeviceError as error:
            cause = error.cause
            raise type(error)(
                f"{place} did not {doing()}: {cause.message}", code=cause.code, source=place, evidence=cause.evidence
            ) from error

    def _as_link_error(self, error: DeviceError) -> Exception:
        if isinstance(error, NoAnswer) or error.cause.evidence.get("exception") in pdu.GATEWAY:
            return LinkError(
                error.cause.message,
                source=self._connection.place.text,
                suggestion="check that the device is on, and its number in device_id",
            )
        return error

    def _sample(self, name: str, register: Register, words: Words, reasons: Reasons) -> Sample:
        span, area = _span(register), self._areas[name]
        own = [words.get((area, address)) for address in range(span.address, span.end)]
        values = [word for word in own if word is not None]
        if len(values) < span.count:
            reason = reasons.get((area, span), f"{_where(area, span.address, span.count)} is not answered")
            return Sample(point=name, value=None, quality=Quality.BAD, reason=reason)
        try:
            return Sample(point=name, value=self._value(register, values))
        except DeviceError as error:
            reason = f"{_where(area, span.address, span.count)}: {error.cause.message}"
            return Sample(point=name, value=None, quality=Quality.BAD, reason=reason)

    def _value(self, register: Register, words: list[int]) -> Scalar:
        match register.kind:
            case "bool":
                return codec.bit_of(words[0], register.bit)
            case "string":
                return codec.decode_text(words, self._table.order_of(register))
            case _:
                return codec.decode_scaled(register.layout, words, self._table.order_of(register))


def place_of(table: ModbusTable) -> ModbusAddress:
    """The address of the table's connection, with the settings that matter there."""
    if table.serial:
        return ModbusAddress(
            serial=table.serial, baudrate=table.baudrate, parity=table.parity, stop_bits=table.stop_bits
        )
    return ModbusAddress(host=table.host or "", port=table.port, is_rtu=table.framing == "rtu")


def _span(register: Register) -> Span:
    return Span(register.address, register.width)


def _where(area: Area, address: int, count: int = 1) -> str:
    last = f" to {address + count - 1}" if count > 1 else ""
    return f"{area.table} {address}{last} of unit {area.unit}"
