"""Creates all streams and buckets, each with a size limit, before the first message is written.

They are created at the start and not on first use, because a power cut can lose a stream that was created seconds
before.
"""

from __future__ import annotations

from countingroom.bus.port import Bus
from countingroom.core import subjects

MIB = 1 << 20
STORE_BYTES = 4096 * MIB
"""Default disk space for all of them together."""

STATE_BYTES = 192 * MIB
"""Limit of the bucket of states. 100,000 points have 41 MB of catalogues, and their alarms in a flood 45 MB more: with
64 MiB no process could publish a state any more. The memory is taken as it is needed.
"""


ON_DISK = {
    subjects.READINGS_STREAM: ["readings.>"],
    subjects.EVENTS_STREAM: ["events.>"],
    f"KV_{subjects.POSITIONS_BUCKET}": [f"$KV.{subjects.POSITIONS_BUCKET}.>"],
}
"""Streams on disk -> their subjects. All others are in memory."""


async def prepare(bus: Bus, *, max_bytes: int = STORE_BYTES) -> None:
    """Create the missing ones and change the existing ones. Readings get five eighths of `max_bytes`, events one
    eighth; the rest is for buckets and for the server itself."""
    for name, most in limits(max_bytes).items():
        await bus.ensure_stream(name, ON_DISK[name], max_bytes=most)
    await bus.ensure_bucket(subjects.STATE_BUCKET, max_bytes=min(STATE_BYTES, max_bytes // 16))


def limits(max_bytes: int) -> dict[str, int]:
    """Stream -> its part of `max_bytes`, of those that `prepare` makes on disk."""
    return {subjects.READINGS_STREAM: max_bytes * 5 // 8, subjects.EVENTS_STREAM: max_bytes // 8}
