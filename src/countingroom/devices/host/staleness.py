"""When a point is declared STALE, and what its reading is then. Pure.

A STALE reading keeps the last value and its device time. Three things lead to it: no sample for `stale_after_s`, a lost
link, and a driver that reports the point as STALE.
"""

from __future__ import annotations

import msgspec

from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading


def is_stale(point: Point, silent_s: float) -> bool:
    """Whether the point had no sample for too long; never where `stale_after_s` is 0."""
    return 0 < point.stale_after_s < silent_s


def stale(before: Reading, now_ns: int, reason: str = "") -> Reading:
    """The reading after that. BAD stays BAD, because there is no value to keep."""
    if before.quality >= Quality.STALE:
        return msgspec.structs.replace(before, reason=reason) if reason else before
    return msgspec.structs.replace(before, quality=Quality.STALE, received_ns=now_ns, reason=reason, alarm=0)


def with_least_stale_after(point: Point, least_s: float) -> Point:
    """The point with `stale_after_s` raised to at least this; 0 (never stale) stays."""
    # A device polled every 30 s with points that are stale after 10 s would otherwise be STALE between any two polls.
    if not 0 < point.stale_after_s < least_s:
        return point
    return msgspec.structs.replace(point, stale_after_s=least_s)
