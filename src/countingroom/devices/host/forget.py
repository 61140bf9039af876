"""Removes devices from the bus that the description no longer contains, unless another host still holds them."""

from __future__ import annotations

from collections.abc import Container

from countingroom.bus.port import Bus, Current, Entry
from countingroom.core import subjects
from countingroom.core.fleet.usage import device_of

_KINDS = ("catalogue", "device", "channel")
"""First part of the keys that the state bucket keeps for a device."""


async def forget(bus: Bus, described: Container[str]) -> tuple[str, ...]:
    """Delete the keys of devices that are neither described nor held by a host, and return their names. Those with the
    values of a node of the fleet are of its keeper, which holds no lease for them."""
    held = await bus.holders()
    nodes: set[str] = set()
    gone: dict[str, list[str]] = {}
    async with bus.watch(subjects.STATE_BUCKET) as entries:
        async for entry in entries:
            if isinstance(entry, Current):
                break
            if not isinstance(entry, Entry) or entry.data is None:
                continue
            kind, _, rest = entry.key.partition(".")
            name = rest.partition(".")[0]
            if kind == "node":
                nodes.add(device_of(name))
            if kind in _KINDS and name not in described and f"device.{name}" not in held:
                gone.setdefault(name, []).append(entry.key)
    former = {name: keys for name, keys in gone.items() if name not in nodes}
    for keys in former.values():
        for key in keys:
            await bus.delete(subjects.STATE_BUCKET, key)
    return tuple(former)
