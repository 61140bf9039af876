"""Law: a device that is described no more is forgotten when a host begins, unless another host holds it."""

from __future__ import annotations

from collections.abc import Container

from countingroom.bus.port import Bus, Current, Entry
from countingroom.core import subjects

_KINDS = ("catalogue", "device", "channel")
"""What the state bucket keeps of a device, by the beginning of the key."""


async def forget(bus: Bus, described: Container[str]) -> tuple[str, ...]:
    """Delete what the bus keeps of devices that are neither described nor held; their names. LinkError as the bus."""
    held = await bus.holders()
    gone: dict[str, list[str]] = {}
    async with bus.watch(subjects.STATE_BUCKET) as entries:
        async for entry in entries:
            if isinstance(entry, Current):
                break
            if not isinstance(entry, Entry) or entry.data is None:
                continue
            kind, _, rest = entry.key.partition(".")
            name = rest.partition(".")[0]
            if kind in _KINDS and name not in described and f"device.{name}" not in held:
                gone.setdefault(name, []).append(entry.key)
    for keys in gone.values():
        for key in keys:
            await bus.delete(subjects.STATE_BUCKET, key)
    return tuple(gone)
