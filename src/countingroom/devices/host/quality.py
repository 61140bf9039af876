"""Makes a reading of a driver's sample. Whatever the driver returns, the reading is valid and can be published.

NaN, infinity and values of another type are BAD without a value, and so are whole numbers and texts that the bus cannot
carry. A point that never had a value is BAD.
"""

from __future__ import annotations

import math

from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.host.staleness import stale
from countingroom.devices.port import Sample

LEAST_INT = -(1 << 63)
MOST_INT = (1 << 64) - 1
"""The whole numbers that a message of the bus can carry."""
MOST_TEXT_BYTES = 65_536
"""Of a text in UTF-8. A message with all points of a device must stay below the limit of the bus, 8 MiB."""
_MOST_NS = (1 << 63) - 1
_MOST_SHOWN = 60
"""Letters of a refused value in its reason."""
_MOST_REASON = 300
_WORDS = {Type.FLOAT: "number", Type.INT: "whole number", Type.BOOL: "on or off (1 or 0)", Type.STRING: "text"}


def without_value(now_ns: int, reason: str = "") -> Reading:
    """The reading of a point before its first sample, or after a value that must not be published."""
    return Reading(value=None, quality=Quality.BAD, device_ns=now_ns, received_ns=now_ns, reason=_shortened(reason))


def read(point: Point, sample: Sample, before: Reading, now_ns: int) -> Reading:
    """The reading of this sample, given the reading before it."""
    if sample.quality == Quality.STALE:
        return stale(before, now_ns, _shortened(sample.reason))
    value: Scalar = None
    reason = sample.reason
    if sample.quality != Quality.BAD:
        try:
            value = converted(point.type, sample.value)
        except (ValueError, TypeError, OverflowError) as error:
            reason = str(error)
        else:
            if value is None and sample.value is not None:
                reason = f"{_shown(sample.value)} is no {_WORDS[point.type]}"
    stamped = sample.device_ns is not None and 0 <= sample.device_ns <= _MOST_NS
    return Reading(
        value=value,
        quality=Quality.BAD if value is None else sample.quality,
        device_ns=sample.device_ns if stamped and sample.device_ns is not None else now_ns,
        received_ns=now_ns,
        alarm=0 if value is None else min(max(sample.alarm, 0), 3),
        reason=_shortened(reason),
    )


def converted(kind: Type, value: Scalar) -> Scalar:
    """The value in the point's type; None where it has none. ValueError where it has one that cannot be carried."""
    match kind:
        case Type.FLOAT if isinstance(value, (int, float)):
            return _finite(value)
        case Type.INT if isinstance(value, int):
            return _whole(int(value))
        case Type.INT if isinstance(value, float) and value.is_integer():
            return _whole(int(value))
        case Type.BOOL if value in (0, 1) and not isinstance(value, str):
            return bool(value)
        case Type.STRING if value is not None:
            return _text(str(value))
        case _:
            return None


def _shown(value: Scalar) -> str:
    """The value as it came, shortened: `'21,5'`, `nan`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"a whole number of {value.bit_length()} bits" if value.bit_length() > 64 else str(value)
    text = repr(value[:_MOST_SHOWN]) + "…" if isinstance(value, str) and len(value) > _MOST_SHOWN else repr(value)
    return text.encode(errors="replace").decode()


def _shortened(reason: str) -> str:
    """A reason that a message can carry, whatever the driver gives."""
    text = reason if len(reason) <= _MOST_REASON else f"{reason[:_MOST_REASON]}…"
    return text.encode(errors="replace").decode()


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: int) -> int:
    if not LEAST_INT <= value <= MOST_INT:
        raise ValueError(f"the whole number has {value.bit_length()} bits; at most 64 are published")
    return value


def _text(value: str) -> str:
    size = len(value.encode())  # UnicodeEncodeError, a ValueError, for half a surrogate pair
    if size > MOST_TEXT_BYTES:
        raise ValueError(f"the text has {size} bytes; at most {MOST_TEXT_BYTES} are published")
    return value
