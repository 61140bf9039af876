"""Readings: a value with its quality and the times of the device and of arrival."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

Int64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""A whole number that history and clients can hold, checked when a message is decoded."""

Scalar = float | int | str | bool | None


class Quality(IntEnum):
    """Quality of a value; greater is worse.

    GOOD: the present value of the device. UNCERTAIN: present, but with a restriction (limits of the sensor, an alarm
    severity of the IOC). STALE: an old value; no update came for too long, or the link is down. BAD: there is no value
    (NaN, a failed conversion, or no reading since the start); the value is then None.
    """

    GOOD = 0
    UNCERTAIN = 1
    STALE = 2
    BAD = 3


class Reading(Struct, frozen=True, kw_only=True):
    """One value of one point."""

    value: Scalar
    """None only when the quality is BAD. Never NaN."""
    quality: Quality
    device_ns: int
    """Time stamp of the device, ns since the epoch; the time of arrival when the device has no clock."""
    received_ns: int
    """Time of arrival, ns since the epoch."""
    alarm: int = 0
    """Priority of an alarm that the device itself gives to the value (1, 2, 3); 0: none. EPICS: minor 3, major 2."""
    reason: str = ""
    """Why the quality is not GOOD, where it is known: `the IOC sends the text 'n/a', which is no number`."""
