"""Removes devices from the bus that the description no longer contains, unless another host still holds them."""

from __future__ import annotations

from collections.abc import Container

from countingroom.bus.port import Bus, Current, Entry
from countingroom.core import subjects

_KINDS = ("catalogue", "device", "channel")
"""First part of the keys that the state bucket keeps for a device."""


async def forget(bus: Bus, described: Container[str]) -> tuple[str, ...]:
    """Delete the keys of devices that are neither described nor held by a host, and return their names."""
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
