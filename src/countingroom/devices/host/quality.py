"""Law: what a driver says becomes a reading by these rules; nothing a driver says can break what comes after.

NaN, infinity and what cannot be the point's type are BAD without a value. STALE keeps the last value and its device
time. A value that was never heard is BAD.
"""

from __future__ import annotations

import math

import msgspec

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.port import Sample


def never_heard(now_ns: int) -> Reading:
    """What is known of a point before its first news."""
    return Reading(value=None, quality=Quality.BAD, device_ns=now_ns, received_ns=now_ns)


def read(point: Point, sample: Sample, before: Reading, now_ns: int) -> Reading:
    """The reading that this sample makes, given the reading before it."""
    if sample.quality == Quality.STALE:
        return silent(before, now_ns)
    value = None if sample.quality == Quality.BAD else converted(point.type, sample.value)
    return Reading(
        value=value,
        quality=Quality.BAD if value is None else sample.quality,
        device_ns=now_ns if sample.device_ns is None else sample.device_ns,
        received_ns=now_ns,
    )


def silent(before: Reading, now_ns: int) -> Reading:
    """The same value, no longer to be relied on; BAD stays BAD, for there is no value to keep."""
    if before.quality >= Quality.STALE:
        return before
    return msgspec.structs.replace(before, quality=Quality.STALE, received_ns=now_ns)


def converted(kind: Type, value: Scalar) -> Scalar:
    """The value in the point's type; None where it cannot be."""
    match kind:
        case Type.FLOAT if isinstance(value, (int, float)):
            return _finite(value)
        case Type.INT if isinstance(value, int):
            return int(value)
        case Type.INT if isinstance(value, float) and value.is_integer():
            return int(value)
        case Type.BOOL if value in (0, 1) and not isinstance(value, str):
            return bool(value)
        case Type.STRING if value is not None:
            return str(value)
        case _:
            return None


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
