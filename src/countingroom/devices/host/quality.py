"""Makes a reading of a driver's sample. Whatever the driver returns, the reading is valid.

NaN, infinity and values of another type are BAD without a value. A point that never had a value is BAD.
"""

from __future__ import annotations

import math

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.host.staleness import stale
from countingroom.devices.port import Sample


def without_value(now_ns: int) -> Reading:
    """The reading of a point before its first sample."""
    return Reading(value=None, quality=Quality.BAD, device_ns=now_ns, received_ns=now_ns)


def read(point: Point, sample: Sample, before: Reading, now_ns: int) -> Reading:
    """The reading of this sample, given the reading before it."""
    if sample.quality == Quality.STALE:
        return stale(before, now_ns)
    value = None if sample.quality == Quality.BAD else converted(point.type, sample.value)
    return Reading(
        value=value,
        quality=Quality.BAD if value is None else sample.quality,
        device_ns=now_ns if sample.device_ns is None else sample.device_ns,
        received_ns=now_ns,
    )


def converted(kind: Type, value: Scalar) -> Scalar:
    """The value in the point's type; None where it has none."""
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
