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
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.core.messages import Readings
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
    texts: dict[int, str]
    """Row -> text, for rows of kind TEXT."""

    def __len__(self) -> int:
        return len(self.names)

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
        )


def together(parts: Sequence[Columns]) -> Columns:
    """One after the other."""
    begins = accumulate((len(part) for part in parts), initial=0)
    arrays = ("time_ns", "number", "kind", "quality", "device_ns", "received_ns")
    return Columns(
        names=[name for part in parts for name in part.names],
        texts={
            begin + row: text for part, begin in zip(parts, begins, strict=False) for row, text in part.texts.items()
        },
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )


def scalar(kind: int, number: float) -> float | int | bool | None:
    """A stored number as the value it was."""
    if math.isnan(number):
        return None
    if kind == Kind.INT:
        return int(number)
    return bool(number) if kind == Kind.BOOL else float(number)


def flatten(messages: Sequence[Readings]) -> Columns:
    """The rows of all messages, in order."""
    values = list(chain.from_iterable(message.values for message in messages))
    size = len(values)
    kind = np.fromiter(map(_KINDS.__getitem__, map(type, values)), np.uint8, size)
    texts: dict[int, str] = {int(row): str(values[row]) for row in np.flatnonzero(kind == Kind.TEXT)}
    for row in texts:
        values[row] = None
    quality = _column(messages, "qualities", np.uint8, size)
    device = _column(messages, "device_ns", np.int64, size)
    received = _column(messages, "received_ns", np.int64, size)
    lengths = [len(message.points) for message in messages]
    sent = np.repeat(np.array([message.sent_ns for message in messages], np.int64), lengths)
    full = np.repeat(np.array([message.full for message in messages], np.bool_), lengths)
    news = np.where(np.abs(device - received) <= CLOCK_TOLERANCE_NS, device, received)
    return Columns(
        names=[f"{message.device}.{point}" for message in messages for point in message.points],
        time_ns=np.where(full | (quality == Quality.STALE), sent, news),
        number=np.array(values, np.float64),
        kind=kind,
        quality=quality,
        device_ns=device,
        received_ns=received,
        texts=texts,
    )


def _column(messages: Sequence[Readings], name: str, kind: Any, size: int) -> NDArray[Any]:
    return np.fromiter(chain.from_iterable(getattr(message, name) for message in messages), kind, size)
