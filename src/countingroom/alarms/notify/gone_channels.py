"""Deletes the states of channels on the bus that the description no longer has; called at a takeover."""

from __future__ import annotations

from collections.abc import Iterable

from countingroom.bus.port import Bus, Current, Entry
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects


async def delete_gone(bus: Bus, publisher: Publisher, channels: Iterable[str]) -> None:
    """Delete the states of all channels except these. LinkError if the bus is not reached."""
    kept = {subjects.notification_key(name) for name in channels}
    async with bus.watch(subjects.STATE_BUCKET, "notification.*") as items:
        async for item in items:
            match item:
                case Entry(data=bytes()) if item.key not in kept:
                    publisher.delete(item.key)
                case Current():
                    return
                case _:
                    pass
