"""The encoding of SNMP: the part of BER that it uses, and the floats of Net-SNMP in an Opaque. Pure."""

from __future__ import annotations

import struct

Oid = tuple[int, ...]

INTEGER, OCTET_STRING, NULL, OBJECT_ID, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
IP_ADDRESS, COUNTER32, GAUGE32, TIME_TICKS, OPAQUE, COUNTER64 = 0x40, 0x41, 0x42, 0x43, 0x44, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB = 0x80, 0x81, 0x82
OPAQUE_FLOAT, OPAQUE_DOUBLE = 0x9F78, 0x9F79
"""Tags of what is in an Opaque."""

_EMPTY = (NULL, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB)
UNSIGNED = (COUNTER32, GAUGE32, TIME_TICKS, COUNTER64)
NAMES = {
    INTEGER: "Integer32",
    OCTET_STRING: "OctetString",
    NULL: "Null",
    OBJECT_ID: "ObjectIdentifier",
    IP_ADDRESS: "IpAddress",
    COUNTER32: "Counter32",
    GAUGE32: "Gauge32",
    TIME_TICKS: "TimeTicks",
    OPAQUE: "Opaque",
    COUNTER64: "Counter64",
    OPAQUE_FLOAT: "Opaque Float",
    OPAQUE_DOUBLE: "Opaque Double",
    NO_SUCH_OBJECT: "noSuchObject",
    NO_SUCH_INSTANCE: "noSuchInstance",
    END_OF_MIB: "endOfMibView",
}
_FLOATS = {OPAQUE_FLOAT: ">f", OPAQUE_DOUBLE: ">d"}
_MOST_INTEGER = 9
"""Bytes: a Counter64 with its leading zero."""

Content = int | float | bytes | Oid | None


class BerError(ValueError):
    """The bytes are no message of SNMP."""


def oid(text: str) -> Oid:
    """`1.3.6.1`, or `.1.3.6.1`. ValueError where it is none."""
    parts = text.strip().removeprefix(".").split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise ValueError(f"{text!r} is no OID in numbers, such as 1.3.6.1.2.1.1.3.0")
    found = tuple(int(part) for part in parts)
    if found[0] > 2 or (found[0] < 2 and found[1] >= 40) or max(found) >= 1 << 32 or len(found) > 128:
        raise ValueError(f"{text!r} is no OID: the first number is 0, 1 or 2, and none is above 4294967295")
    return found


def dotted(given: Oid) -> str:
    """`1.3.6.1`."""
    return ".".join(map(str, given))


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, length and content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def encoded(tag: int, value: Content) -> bytes:
    """A value with this tag. BerError where it does not fit the tag."""
    try:
        match tag:
            case _ if tag in _FLOATS:
                number = struct.pack(_FLOATS[tag], value)
                return tlv(OPAQUE, tag.to_bytes(2, "big") + bytes((len(number),)) + number)
            case _ if isinstance(value, int) and (tag == INTEGER or tag in UNSIGNED):
                return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
            case 0x06 if isinstance(value, tuple):
                return tlv(tag, _oid_bytes(value))
            case _ if value is None and tag in _EMPTY:
                return tlv(tag, b"")
            case _ if isinstance(value, bytes) and tag in (OCTET_STRING, IP_ADDRESS, OPAQUE):
                return tlv(tag, value)
            case _:
                raise BerError(f"{value!r} is no {NAMES.get(tag, tag)}")
    except (struct.error, OverflowError) as error:
        raise BerError(f"{value!r} is no {NAMES.get(tag, tag)}: {error}") from None


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    """A sequence of encoded parts."""
    return tlv(tag, b"".join(parts))


class BerReader:
    """Reads values one after the other, from `at` to `end` of the bytes of a message. Raises BerError."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    @property
    def is_at_end(self) -> bool:
        return self.at >= self.end

    def next_tag(self) -> int:
        """The tag that comes next."""
        if self.is_at_end:
            raise BerError("the message ends early")
        return self.data[self.at]

    def content(self, tag: int | None = None) -> tuple[int, int]:
        """Begin and end of the content of the next value, which has this tag."""
        found = self.next_tag()
        if tag is not None and found != tag:
            raise BerError(f"there is a value with tag {found:#x} where {tag:#x} is expected")
        if self.at + 2 > self.end:
            raise BerError("the message ends early")
        size, begin = self.data[self.at + 1], self.at + 2
        if size >= 0x80:
            count = size & 0x7F
            if not 1 <= count <= 4 or begin + count > self.end:
                raise BerError("a length is none")
            size, begin = int.from_bytes(self.data[begin : begin + count], "big"), begin + count
        if begin + size > self.end:
            raise BerError("the message ends early")
        self.at = begin + size
        return begin, self.at

    def inside(self, tag: int = SEQUENCE) -> BerReader:
        """A reader of the content of the next value."""
        begin, end = self.content(tag)
        return BerReader(self.data, begin, end)

    def integer(self) -> int:
        """The next value, which is an integer."""
        begin, end = self.content(INTEGER)
        return _integer(self.data[begin:end], is_signed=True)

    def octets(self) -> bytes:
        """The next value, which is an octet string."""
        begin, end = self.content(OCTET_STRING)
        return self.data[begin:end]

    def object_id(self) -> Oid:
        """The next value, which is an OID."""
        begin, end = self.content(OBJECT_ID)
        return _oid_of(self.data[begin:end])

    def value(self) -> tuple[int, Content]:
        """Tag and content of the next value, whatever it is. A float in an Opaque has the tag of the float."""
        tag = self.next_tag()
        begin, end = self.content()
        data = self.data[begin:end]
        match tag:
            case 0x02:
                return tag, _integer(data, is_signed=True)
            case 0x06:
                return tag, _oid_of(data)
            case 0x44:
                return _opaque(data)
            case _ if tag in UNSIGNED:
                return tag, _integer(data, is_signed=False)  # some agents leave out the zero before a high bit
            case _ if tag in _EMPTY:
                return tag, None
            case _:
                return tag, data


def _integer(data: bytes, *, is_signed: bool) -> int:
    if not 1 <= len(data) <= _MOST_INTEGER:
        raise BerError(f"an integer has {len(data)} bytes")
    return int.from_bytes(data, "big", signed=is_signed)


def _opaque(data: bytes) -> tuple[int, Content]:
    tag = int.from_bytes(data[:2], "big")
    form = _FLOATS.get(tag)
    if form and len(data) == 3 + struct.calcsize(form) and data[2] == struct.calcsize(form):
        return tag, struct.unpack(form, data[3:])[0]
    return OPAQUE, data


def _oid_bytes(given: Oid) -> bytes:
    found = bytearray()
    for number in (given[0] * 40 + given[1], *given[2:]):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        found.extend(reversed(septets))
    return bytes(found)


def _oid_of(data: bytes) -> Oid:
    if not data or data[-1] & 0x80:
        raise BerError("an OID ends early")
    numbers: list[int] = []
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
        if number >= 1 << 39:
            raise BerError("a number of an OID is too large")
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return (first, numbers[0] - 40 * first, *numbers[1:])
