"""Registers to values and back, bits in a register, and the plan of a poll. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from msgspec import Struct

from countingroom.core.errors import DeviceError

MOST_WORDS = 125
"""Registers of one request: the protocol's limit."""

_FORMATS = {
    "bool": "H",
    "int": "H",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "float64": "d",
}


class WordOrder(Struct, frozen=True):
    """How a device puts the bytes of a value into registers. Big-endian bytes, least significant word first, by
    default."""

    bytes: str = "big"
    words: str = "little"


class Span(Struct, frozen=True, order=True):
    """Neighbouring registers."""

    address: int
    count: int

    @property
    def end(self) -> int:
        """The first address after it."""
        return self.address + self.count


def width(kind: str) -> int:
    """How many registers a value of this kind takes."""
    return struct.calcsize("=" + _FORMATS[kind]) // 2


def integer_range(kind: str) -> tuple[int, int] | None:
    """The least and the greatest number of an integer kind; None for the others."""
    if kind == "bool" or kind.startswith("float"):
        return None
    bits = 16 * width(kind)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if _FORMATS[kind].islower() else (0, (1 << bits) - 1)


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
