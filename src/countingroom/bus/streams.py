"""Law: every stream and bucket the house needs is made here, before anything is written, and each has a bound.

They are made at the start and not on first use: what a power cut may cost is a stream made seconds before it.
"""

from __future__ import annotations

from countingroom.bus.port import Bus
from countingroom.core import subjects

MIB = 1 << 20
STORE_BYTES = 4096 * MIB
"""What all of it takes on disk unless asked otherwise."""

_STATE_BYTES = 64 * MIB


async def prepare(bus: Bus, *, max_bytes: int = STORE_BYTES) -> None:
    """Make what is missing, adapt what is there. The readings get most of the room, the events an eighth; an eighth
    stays free for buckets and the server's own."""
    await bus.ensure_stream(subjects.READINGS_STREAM, ["readings.>"], max_bytes=max_bytes * 5 // 8)
    await bus.ensure_stream(subjects.EVENTS_STREAM, ["events.>"], max_bytes=max_bytes // 8)
    await bus.ensure_bucket(subjects.STATE_BUCKET, max_bytes=min(_STATE_BYTES, max_bytes // 16))
