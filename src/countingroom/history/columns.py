"""Readings as columns, and the time at which each row is stored. Pure.

A change (a row of a delta) is stored at the device's own time, or at its arrival where the device's clock is off by
more than a minute. A row that a full message repeats, and one that became STALE, is stored at the time the message was
sent, because that is when the value holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from itertools import accumulate, chain
from typing import Any, ClassVar, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.core.messages import Readings
from countingroom.core.series import Samples
from countingroom.core.values import Quality, Reading, Scalar

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

CLOCK_TOLERANCE_NS = 60_000_000_000
"""A device clock that is further off is not used."""


class Kind(IntEnum):
    """What a stored value was. Ints beyond 2**53 come back rounded to the nearest double."""

    FLOAT = 0
    INT = 1
    BOOL = 2
    TEXT = 3


_KINDS: dict[type, Kind] = {float: Kind.FLOAT, int: Kind.INT, bool: Kind.BOOL, str: Kind.TEXT, type(None): Kind.FLOAT}


class Columns(Struct, frozen=True, kw_only=True):
    """Samples of many points; arrays of equal length."""

    names: list[str]
    """Addresses: `<device>.<point>`."""
    time_ns: Integers
    number: Numbers
    """NaN where there is no number: BAD rows and texts."""
    kind: Bytes
    quality: Bytes
    device_ns: Integers
    received_ns: Integers
    sent_ns: Integers
    """When the message was sent in which the sample came; 0: not known, of files from before it was stored."""
    place: Integers
    """Its row in that message."""
    alarm: Bytes
    """Priority of an alarm that the device itself has given to the value; 0: none."""
    whole: Bytes
    """1: its message had all points of its device. 0: it had not, or this is not known."""
    texts: dict[int, str]
    """Row -> text, for rows of kind TEXT."""

    ARRAYS: ClassVar[tuple[str, ...]] = (
        "time_ns",
        "number",
        "kind",
        "quality",
        "device_ns",
        "received_ns",
        "sent_ns",
        "place",
        "alarm",
        "whole",
    )

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, rows: Integers) -> Columns:
        """These rows, in this order."""
        names = self.names
        texts = self.texts
        return Columns(
            names=[names[row] for row in rows.tolist()],
            texts={place: texts[row] for place, row in enumerate(rows.tolist()) if row in texts} if texts else {},
            **{name: getattr(self, name)[rows] for name in Columns.ARRAYS},
        )

    def followed_by(self, other: Columns) -> Columns:
        """Both, one after the other."""
        return together((self, other))

    def value(self, row: int) -> Scalar:
        """The value as it was published."""
        return self.texts[row] if row in self.texts else scalar(self.kind[row], self.number[row])

    def reading(self, row: int) -> Reading:
        """The row as a Reading."""
        return Reading(
            value=self.value(row),
            quality=Quality(int(self.quality[row])),
            device_ns=int(self.device_ns[row]),
            received_ns=int(self.received_ns[row]),
            alarm=int(self.alarm[row]),
        )


def empty() -> Columns:
    """No rows."""
    return flatten(())


def together(parts: Sequence[Columns]) -> Columns:
    """One after the other."""
    begins = accumulate((len(part) for part in parts), initial=0)
    return Columns(
        names=[name for part in parts for name in part.names],
        texts={
            begin + row: text for part, begin in zip(parts, begins, strict=False) for row, text in part.texts.items()
        },
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Columns.ARRAYS},
    )


def scalar(kind: int, number: float) -> float | int | bool | None:
    """A stored number as the value it was."""
    if math.isnan(number):
        return None
    if kind == Kind.INT:
        return int(number)
    return bool(number) if kind == Kind.BOOL else float(number)


def scalars(columns: Columns) -> list[Scalar]:
    """The values of all rows as they were published."""
    found: list[Scalar] = columns.number.tolist()
    special = np.isnan(columns.number) | (columns.kind != Kind.FLOAT)
    for row in np.flatnonzero(special).tolist():
        found[row] = columns.value(row)
    return found


class Sent(Protocol):
    """A message of readings, in either form."""

    @property
    def full(self) -> bool: ...
    @property
    def sent_ns(self) -> int: ...
    @property
    def points(self) -> list[str]: ...
    @property
    def alarms(self) -> dict[str, int]: ...


def flatten(messages: Sequence[Readings]) -> Columns:
    """The rows of all messages, in order."""
    values = list(chain.from_iterable(message.values for message in messages))
    size = len(values)
    number, kind, texts = split(values)
    return assemble(
        messages,
        [len(message.points) for message in messages],
        names=[f"{message.device}.{point}" for message in messages for point in message.points],
        number=number,
        kind=kind,
        texts=texts,
        quality=_column(messages, "qualities", np.uint8, size),
        device=_column(messages, "device_ns", np.int64, size),
        received=_column(messages, "received_ns", np.int64, size),
        alarm=alarms_of(messages, size),
    )


def assemble(
    messages: Sequence[Sent],
    lengths: list[int],
    *,
    names: list[str],
    number: Numbers,
    kind: Bytes,
    texts: dict[int, str],
    quality: Bytes,
    device: Integers,
    received: Integers,
    alarm: Bytes,
) -> Columns:
    """Columns of the rows of messages, with what follows from the messages. `lengths`: rows of each."""
    sent = np.repeat(np.array([message.sent_ns for message in messages], np.int64), lengths)
    full = np.repeat(np.array([message.full for message in messages], np.bool_), lengths)
    news = np.where(np.abs(device - received) <= CLOCK_TOLERANCE_NS, device, received)
    return Columns(
        names=names,
        time_ns=np.where(full | (quality == Quality.STALE), sent, news),
        number=number,
        kind=kind,
        quality=quality,
        device_ns=device,
        received_ns=received,
        sent_ns=sent,
        place=np.arange(len(names)) - np.repeat(np.cumsum([0, *lengths])[:-1], lengths),
        alarm=alarm,
        whole=full.astype(np.uint8),
        texts=texts,
    )


def of_samples(points: Sequence[str], samples: Samples) -> Columns:
    """A page of an export as columns. `points` are what its indices mean."""
    number, kind, texts = split(list(samples.value))
    size = len(samples.time_ns)
    nothing = [0] * size
    return Columns(
        names=[points[index] for index in samples.point],
        time_ns=np.array(samples.time_ns, np.int64),
        number=number,
        kind=kind,
        quality=np.array(samples.quality, np.uint8),
        device_ns=np.array(samples.device_ns, np.int64),
        received_ns=np.array(samples.received_ns, np.int64),
        sent_ns=np.array(samples.sent_ns or nothing, np.int64),
        place=np.array(samples.place or nothing, np.int64),
        alarm=np.array(samples.alarm or nothing, np.uint8),
        whole=np.array(samples.whole or nothing, np.uint8),
        texts=texts,
    )


def split(values: list[Scalar]) -> tuple[Numbers, Bytes, dict[int, str]]:
    """Numbers, kinds and texts of values, as they are stored. It changes the list."""
    kind = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.uint8, len(values))
    texts: dict[int, str] = {int(row): str(values[row]) for row in np.flatnonzero(kind == Kind.TEXT)}
    for row in texts:
        values[row] = None
    return np.array(values, np.float64), kind, texts


def alarms_of(messages: Sequence[Sent], size: int) -> Bytes:
    """The priorities of the alarms that devices gave to their values."""
    found = np.zeros(size, np.uint8)
    begin = 0
    for message in messages:
        if message.alarms:
            for row, point in enumerate(message.points, begin):
                found[row] = message.alarms.get(point, 0)
        begin += len(message.points)
    return found


def _column(messages: Sequence[Readings], name: str, kind: Any, size: int) -> NDArray[Any]:
    return np.fromiter(chain.from_iterable(getattr(message, name) for message in messages), kind, size)
