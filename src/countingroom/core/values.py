"""Law: a reading is a value with its quality and both times; it never changes after it was made."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

Scalar = float | int | str | bool | None


class Quality(IntEnum):
    """How far a value can be believed; greater is worse.

    GOOD: the device says so now. UNCERTAIN: said with a reservation (limits of the sensor, an alarm severity of the
    IOC). STALE: it was true once; nothing was heard for too long or the link is down. BAD: the device says it is no
    value (NaN, a conversion that failed), or nothing was ever heard; the value is then None.
    """

    GOOD = 0
    UNCERTAIN = 1
    STALE = 2
    BAD = 3


class Reading(Struct, frozen=True, kw_only=True):
    """One value of one point."""

    value: Scalar
    """None only where quality is BAD. Never NaN."""
    quality: Quality
    device_ns: int
    """When the device says it was true (ns since the epoch); the time of arrival where the device has no clock."""
    received_ns: int
    """When we learnt it (ns since the epoch)."""
