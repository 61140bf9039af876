"""Messages of the bus as columns, without an object for each value. Pure.

The columns of a message whose values are floats are copied as they are encoded, and those of a whole batch become
arrays at once. A message of any other form is decoded as `Readings`, which also tells what is wrong with one that
cannot be read; the result is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Annotated, Any

import numpy as np
from msgspec import Meta, Raw, Struct
from numpy.typing import NDArray

from countingroom.core.messages import Malformed, MessageDecoder, Readings
from countingroom.core.values import Int64, Scalar
from countingroom.history.columns import Bytes, Columns, Numbers, alarms_of, assemble, split

_FLOAT, _UNSIGNED, _SIGNED = b"\xcb", b"\xcf", b"\xd3"
"""What stands before the eight bytes of a number."""
_WIDE = 9
_NUMBER = np.dtype([("tag", np.uint8), ("value", ">f8")])
_STAMP = np.dtype([("tag", np.uint8), ("value", ">i8")])
_QUALITIES = b"\x00\x01\x02\x03"
_MOST = 1_000_000
"""Rows of a message, as `Readings` has it."""
_KEPT = 200_000
"""Names of points that are kept for messages with the same points."""


class Packed(Struct, frozen=True, kw_only=True, gc=False):
    """A message of readings, its columns as they were encoded."""

    device: str
    boot: str
    sequence: int
    full: bool
    sent_ns: int
    points: list[str]
    names: list[str]
    """Addresses of the points."""
    numbers: bytes
    """Nine bytes a row, where all values are floats."""
    values: list[Scalar] | None
    """Where they are not."""
    qualities: bytes
    device_ns: bytes
    """Nine bytes a row, as `received_ns`."""
    received_ns: bytes
    alarms: dict[str, int]


class _Raw(Struct, frozen=True, kw_only=True, gc=False):
    """`Readings`, the columns not decoded."""

    device: str
    boot: str
    sequence: Int64
    full: bool
    sent_ns: Int64
    points: Raw
    values: Raw
    qualities: Raw
    device_ns: Raw
    received_ns: Raw
    reasons: dict[str, str] = {}
    alarms: dict[str, Annotated[int, Meta(ge=1, le=3)]] = {}


class _OtherForm(Exception):
    """Of a column: it is not of the usual form, or wrong."""


class PackedDecoder:
    """Decodes messages of readings. It remembers names, so it is made once, and used by one thread at a time."""

    def __init__(self) -> None:
        self._decoder = MessageDecoder(Readings)
        self._raw = MessageDecoder(_Raw)
        self._texts = MessageDecoder(list[str])
        self._scalars = MessageDecoder(list[Scalar])
        self._names: dict[str, dict[str, str]] = {}
        """Device -> point -> its address: one text for all messages, whose hash is known."""
        self._known = 0
        """Addresses that are known, or more."""
        self._rows: dict[tuple[str, bytes], tuple[list[str], list[str]]] = {}
        """Device, its points as they are encoded -> points, addresses."""
        self._kept = 0

    def decode(self, data: bytes) -> Packed:
        """The message; Malformed when the data do not fit `Readings`."""
        try:
            return self._packed(self._raw.decode(data))
        except (Malformed, _OtherForm):
            return self._of(self._decoder.decode(data))

    def _packed(self, raw: _Raw) -> Packed:
        points, names = self._named(raw.device, bytes(raw.points))
        count = len(points)
        head = _HEADS[count] if count < len(_HEADS) else _head(count)
        begin, size = len(head), len(head) + _WIDE * count
        numbers, qualities = bytes(raw.values), bytes(raw.qualities)
        device, received = bytes(raw.device_ns), bytes(raw.received_ns)
        if not (
            len(qualities) == begin + count
            and len(device) == size == len(received)
            and qualities.startswith(head)
            and device.startswith(head)
            and received.startswith(head)
            and numbers.startswith(head)
        ):
            raise _OtherForm
        qualities = qualities[begin:]
        if qualities.translate(None, _QUALITIES):
            raise _OtherForm
        device = _stamps(device[begin:], count)
        received = _stamps(received[begin:], count)
        values = None
        if len(numbers) == size and numbers[begin::_WIDE].count(_FLOAT) == count:
            numbers = numbers[begin:]
        else:
            numbers, values = b"", self._scalars.decode(numbers)
        return Packed(
            device=raw.device,
            boot=raw.boot,
            sequence=raw.sequence,
            full=raw.full,
            sent_ns=raw.sent_ns,
            points=points,
            names=names,
            numbers=numbers,
            values=values,
            qualities=qualities,
            device_ns=device,
            received_ns=received,
            alarms=raw.alarms,
        )

    def _of(self, message: Readings) -> Packed:
        return Packed(
            device=message.device,
            boot=message.boot,
            sequence=message.sequence,
            full=message.full,
            sent_ns=message.sent_ns,
            points=message.points,
            names=self._addresses(message.device, message.points),
            numbers=b"",
            values=message.values,
            qualities=bytes(message.qualities),
            device_ns=_wide(message.device_ns),
            received_ns=_wide(message.received_ns),
            alarms=message.alarms,
        )

    def _named(self, device: str, encoded: bytes) -> tuple[list[str], list[str]]:
        found = self._rows.get((device, encoded))
        if found is None:
            points = self._texts.decode(encoded)
            found = points, self._addresses(device, points)
            if self._kept > _KEPT:
                self._rows.clear()
                self._kept = 0
            self._kept += len(points)
            self._rows[device, encoded] = found
        return found

    def _addresses(self, device: str, points: list[str]) -> list[str]:
        known = self._names.get(device)
        if known is None:
            known = self._names[device] = {}
        try:
            return [known[point] for point in points]
        except KeyError:
            self._known += len(points)
            if self._known > _KEPT:
                self._names.clear()
                self._known = len(points)
                known = self._names[device] = {}
            return [known.setdefault(point, f"{device}.{point}") for point in points]


def unpack(messages: Sequence[Packed]) -> Columns:
    """The rows of all messages, in order: the same as `flatten` of what they say."""
    lengths = [len(message.points) for message in messages]
    number, kind, texts = _values(messages, lengths)
    return assemble(
        messages,
        lengths,
        names=list(chain.from_iterable(message.names for message in messages)),
        number=number,
        kind=kind,
        texts=texts,
        quality=np.frombuffer(b"".join(message.qualities for message in messages), np.uint8),
        device=_wide_numbers((message.device_ns for message in messages), _STAMP).astype(np.int64),
        received=_wide_numbers((message.received_ns for message in messages), _STAMP).astype(np.int64),
        alarm=alarms_of(messages, sum(lengths)),
    )


def _values(messages: Sequence[Packed], lengths: list[int]) -> tuple[Numbers, Bytes, dict[int, str]]:
    floats = _wide_numbers((message.numbers for message in messages), _NUMBER).astype(np.float64)
    mixed = list(chain.from_iterable(message.values for message in messages if message.values is not None))
    if not mixed:
        return floats, np.zeros(len(floats), np.uint8), {}
    number, kind, texts = split(mixed)
    if not len(floats):
        return number, kind, texts
    is_mixed = np.repeat(np.array([message.values is not None for message in messages], np.bool_), lengths)
    rows = np.flatnonzero(is_mixed)
    every = np.empty(len(is_mixed), np.float64)
    every[rows], every[~is_mixed] = number, floats
    kinds = np.zeros(len(is_mixed), np.uint8)
    kinds[rows] = kind
    return every, kinds, {int(rows[place]): text for place, text in texts.items()}


def _wide_numbers(parts: Iterable[bytes], form: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(b"".join(parts), form)["value"]


def _head(count: int) -> bytes:
    """What stands before so many rows."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 65536:
        return b"\xdc" + count.to_bytes(2)
    if count <= _MOST:
        return b"\xdd" + count.to_bytes(4)
    raise _OtherForm


_HEADS = [_head(count) for count in range(1024)]


def _stamps(rows: bytes, count: int) -> bytes:
    """Times after 1970 take nine bytes each, but for the first four seconds. _OtherForm for others."""
    if rows[::_WIDE].count(_UNSIGNED) == count and rows[1::_WIDE].isascii():  # below 2**63
        return rows
    raise _OtherForm


def _wide(numbers: list[int]) -> bytes:
    return b"".join(_SIGNED + number.to_bytes(8, signed=True) for number in numbers)
