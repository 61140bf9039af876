"""Completes names of devices, points, commands and partitions in the shell, from the running console.

Without an answer of the console there are no completions: an error text would stand in the middle of the command
line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from countingroom.core.errors import CountingRoomError

_PATIENCE_S = 2.0


def devices(ctx: Any, incomplete: str) -> list[str]:
    """Names of devices."""
    return _fitting(incomplete, _names("/api/v1/devices", "devices", "device", ctx))


def points(ctx: Any, incomplete: str) -> list[str]:
    """DEVICE.POINT. Until the dot: `DEVICE.`"""
    device, dot, _ = incomplete.partition(".")
    if not dot:
        return [f"{name}." for name in devices(ctx, incomplete)]
    told = _get(f"/api/v1/devices/{device}", ctx)
    catalogue: list[Any] = (told or {}).get("catalogue", {}).get("points", [])
    return _fitting(incomplete, (f"{device}.{one['name']}" for one in catalogue))


def devices_and_points(ctx: Any, incomplete: str) -> list[str]:
    """Names of devices; with a dot, of the points of that device."""
    return points(ctx, incomplete) if "." in incomplete else devices(ctx, incomplete)


def recorded_points(ctx: Any, incomplete: str) -> list[str]:
    """Points that have a history."""
    told = _get("/api/v1/history/points", ctx, prefix=incomplete)
    return _fitting(incomplete, (told or {}).get("points", []))


def commands(ctx: Any, incomplete: str) -> list[str]:
    """Commands of the device that is given before."""
    device = ctx.params.get("device") or ""
    told = _get(f"/api/v1/devices/{device}", ctx) if device else None
    catalogue: list[Any] = (told or {}).get("catalogue", {}).get("commands", [])
    return _fitting(incomplete, dict.fromkeys(one["name"] for one in catalogue))


def partitions(ctx: Any, incomplete: str) -> list[str]:
    """Names of partitions."""
    return _fitting(incomplete, _names("/api/v1/partitions", "partitions", "partition", ctx))


def systems(ctx: Any, incomplete: str) -> list[str]:
    """Names of systems."""
    return _fitting(incomplete, _names("/api/v1/systems", "systems", "system", ctx))


def alarms(ctx: Any, incomplete: str) -> list[str]:
    """Identities of alarms that are not at rest."""
    told = _get("/api/v1/alarms", ctx, state="all") or {}
    return _fitting(incomplete, [one["id"] for one in told.get("alarms", [])])


def rules(ctx: Any, incomplete: str) -> list[str]:
    """Names of rules."""
    told = _get("/api/v1/rules", ctx) or {}
    return _fitting(incomplete, [one["rule"] for one in told.get("rules", [])])


def snapshots(ctx: Any, incomplete: str) -> list[str]:
    """Names of snapshots."""
    return _fitting(incomplete, _names("/api/v1/snapshots", "snapshots", "name", ctx))


def alarm_areas(ctx: Any, incomplete: str) -> list[str]:
    """Areas of alarms that are not at rest."""
    return _fitting(incomplete, (_get("/api/v1/alarms", ctx, limit=1) or {}).get("areas", []))


def wanted(ctx: Any, incomplete: str) -> list[str]:
    """Which alarms a list has."""
    return _fitting(incomplete, ("open", "unacknowledged", "shelved", "all"))


def _fitting(incomplete: str, names: Any) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _names(path: str, table: str, key: str, ctx: Any) -> Iterator[str]:
    for one in (_get(path, ctx) or {}).get(table, []):
        name = one.get(key) or one.get("name")
        if name and isinstance(name, str):
            yield name


def _get(path: str, ctx: Any, **parameters: Any) -> dict[str, Any] | None:
    from countingroom.cli.client import Client
    from countingroom.cli.running import DEFAULT_URL, running_console

    try:
        url = ctx.params.get("url") or DEFAULT_URL
        with Client(running_console() if url == DEFAULT_URL else url, timeout_s=_PATIENCE_S) as api:
            found = api.get(path, **parameters)
    except CountingRoomError:
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None
