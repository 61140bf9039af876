"""Registers to values and back, bits in a register, and the plan of a poll. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

from countingroom.core.errors import DeviceError
from countingroom.core.scaling import scaled, unscaled
from countingroom.devices.drivers.modbus.pdu import MOST_WORDS

_FORMATS = {
    "bool": "H",
    "int": "H",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_MOST_FLOAT32 = 3.4028235e38
SIZED = ("string", "bcd")
"""Kinds whose number of registers the description says."""


class WordOrder(Struct, frozen=True):
    """How a device puts the bytes of a value into registers. Most significant byte and word first, by default."""

    bytes: str = "big"
    words: str = "big"


class NumberFormat(Struct, frozen=True, kw_only=True):
    """How registers hold a number: `number * scale + offset` is the value."""

    kind: str
    length: int = 1
    """Registers of a `bcd`."""
    scale: float = 1.0
    offset: float = 0.0
    no_value: tuple[float, ...] = ()
    """Numbers that mean that there is none."""

    @property
    def is_plain(self) -> bool:
        """Whether the number is the value."""
        return self.scale == 1 and self.offset == 0

    @property
    def is_whole(self) -> bool:
        """Whether every value is a whole number."""
        return not self.kind.startswith("float") and float(self.scale).is_integer() and float(self.offset).is_integer()


class Span(Struct, frozen=True, order=True):
    """Neighbouring registers."""

    address: int
    count: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.count


def width(kind: str, length: int = 1) -> int:
    """How many registers a value of this kind takes. Only texts and BCD numbers have a length."""
    if kind in SIZED:
        return length
    return struct.calcsize("=" + _FORMATS[kind]) // 2


def integer_range(kind: str) -> tuple[int, int] | None:
    """The least and the greatest number of an integer kind; None for the others."""
    if kind in ("bool", *SIZED) or kind.startswith("float"):
        return None
    bits = 16 * width(kind)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if _FORMATS[kind].islower() else (0, (1 << bits) - 1)


def in_registers(kind: str, number: float) -> float:
    """This number as registers of this kind give it: 0x8000 in an int16 is -32768, and a float32 is rounded."""
    if kind == "float32" and abs(number) < _MOST_FLOAT32:
        return struct.unpack("f", struct.pack("f", number))[0]
    limits = integer_range(kind)
    if limits is None or not limits[1] < number <= limits[1] - limits[0]:
        return number
    return number - (limits[1] - limits[0] + 1)


def decode(kind: str, words: Sequence[int], order: WordOrder) -> float | int:
    """The number in these registers. NaN comes out as NaN."""
    try:
        raw = struct.pack(f">{width(kind)}H", *_arranged(words, order))
        return struct.unpack(">" + _FORMATS[kind], raw)[0]
    except struct.error as error:
        raise DeviceError(f"{list(words)} is no {kind}: {error}", code="nonsense") from error


def encode(kind: str, value: float, order: WordOrder) -> tuple[int, ...]:
    """The registers that hold this number; DeviceError where they cannot."""
    try:
        number = value if kind.startswith("float") else int(value)
        raw = struct.pack(">" + _FORMATS[kind], number)
    except (struct.error, OverflowError, ValueError) as error:
        raise DeviceError(f"{value} does not fit a {kind} register: {error}", code="out_of_range") from error
    return tuple(_arranged(struct.unpack(f">{width(kind)}H", raw), order))


def decode_scaled(layout: NumberFormat, words: Sequence[int], order: WordOrder) -> float | int:
    """The value in these registers."""
    number = _from_bcd(words, order) if layout.kind == "bcd" else decode(layout.kind, words, order)
    if number in layout.no_value:
        raise DeviceError(f"{number:g} means that there is no value", code="no_value")
    if layout.is_plain:
        return number
    value = scaled(number, layout.scale, layout.offset)
    return int(value) if layout.is_whole else value


def encode_scaled(layout: NumberFormat, value: float, order: WordOrder) -> tuple[int, ...]:
    """The registers that hold this value, rounded to the next that they can hold."""
    number = value if layout.is_plain else unscaled(value, layout.scale, layout.offset)
    if not layout.kind.startswith("float"):
        if not math.isfinite(number):
            raise DeviceError(f"{value} does not fit a {layout.kind} register", code="out_of_range")
        number = round(number)
    return _to_bcd(int(number), layout.length, order) if layout.kind == "bcd" else encode(layout.kind, number, order)


def decode_text(words: Sequence[int], order: WordOrder) -> str:
    """The text in these registers, to its first NUL and without blanks at its end. The first register is first."""
    raw = b"".join(word.to_bytes(2, _byte_order(order)) for word in words)
    try:
        return raw.partition(b"\0")[0].decode().rstrip()
    except UnicodeDecodeError:
        raise DeviceError(f"{raw[:40]!r} is no text", code="nonsense") from None


def encode_text(text: str, length: int, order: WordOrder) -> tuple[int, ...]:
    """The registers that hold this text, filled with NUL."""
    raw = text.encode()
    if len(raw) > 2 * length:
        raise DeviceError(f"the text has {len(raw)} bytes; {2 * length} fit", code="out_of_range")
    raw = raw.ljust(2 * length, b"\0")
    return tuple(int.from_bytes(raw[place : place + 2], _byte_order(order)) for place in range(0, 2 * length, 2))


def _byte_order(order: WordOrder) -> Literal["big", "little"]:
    return "little" if order.bytes == "little" else "big"


def _from_bcd(words: Sequence[int], order: WordOrder) -> int:
    digits = "".join(f"{word:04x}" for word in _arranged(words, order))
    if not digits.isdecimal():
        raise DeviceError(f"{digits} has digits that are not decimal", code="nonsense")
    return int(digits)


def _to_bcd(value: int, length: int, order: WordOrder) -> tuple[int, ...]:
    digits = f"{value:0{4 * length}d}"
    if len(digits) > 4 * length or value < 0:
        raise DeviceError(f"{value} does not fit {4 * length} decimal digits", code="out_of_range")
    return tuple(_arranged([int(digits[place : place + 4], 16) for place in range(0, 4 * length, 4)], order))


def bit_of(word: int, bit: int | None) -> bool:
    """One bit of a register, or whether it is not 0."""
    return bool(word) if bit is None else bool(word >> bit & 1)


def with_bit(word: int, bit: int | None, on: bool) -> int:
    """The register with that bit changed and no other."""
    if bit is None:
        return int(on)
    return word | 1 << bit if on else word & ~(1 << bit)


def plan(spans: Iterable[Span], *, bridge: int = 0, most: int = MOST_WORDS) -> tuple[Span, ...]:
    """The fewest requests that cover the spans without splitting one. Registers between spans are read only in gaps of
    up to `bridge`: many devices refuse a request that contains an undefined register."""
    chunks: list[Span] = []
    for span in sorted(set(spans)):
        last = chunks[-1] if chunks else None
        if last and span.address <= last.end + bridge and max(span.end, last.end) - last.address <= most:
            chunks[-1] = Span(last.address, max(span.end, last.end) - last.address)
        else:
            chunks.append(span)
    return tuple(chunks)


def _arranged(words: Sequence[int], order: WordOrder) -> Sequence[int]:
    """Registers in the device's order as big-endian words, most significant first; and the other way round."""
    if order.words == "little":
        words = words[::-1]
    if order.bytes == "little":
        words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return words
