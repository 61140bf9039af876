"""What nodes and instances use, as points of a device `node-<node>` with a channel for each instance. Pure.

They are ordinary points: they are stored in the history, drawn in trends, and have limits and alarms as those of any
device. A value that a node does not tell has no point.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from countingroom.core.fleet.specs import InstanceId
from countingroom.core.messages import Catalogue
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Scalar

DRIVER = "fleet"
"""In the catalogues of nodes."""
_MIB = 2**20
_NO_TOKEN = re.compile(r"[^A-Za-z0-9_]+")


class HostUse(Struct, frozen=True, kw_only=True):
    """What the computer of a node tells. None: it does not."""

    busy_s: float | None = None
    """Time that its cores have worked since it was started, added up."""
    cores: int = 0
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    disk_bytes: int | None = None
    disk_used_bytes: int | None = None
    uptime_s: float | None = None
    boot: str = ""


class InstanceUse(Struct, frozen=True, kw_only=True):
    """What one instance uses."""

    cpu_s: float | None = None
    """Time of cores that it has used since it was started."""
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    """What it wrote beside its volumes: the layer of its container, or its folder with its log."""
    ends: int = 0
    """Ends in a row."""


class NodeUse(Struct, frozen=True, kw_only=True):
    """One measurement of a node."""

    at_s: float
    """By a clock that is never set."""
    host: HostUse = HostUse()
    clock_offset_s: float | None = None
    instances: Mapping[InstanceId, InstanceUse] = {}
    volumes: Mapping[tuple[InstanceId, str], str] = {}
    """(instance, folder in it) -> why the volume does not answer; empty: it does."""


class UseLimits(Struct, frozen=True, kw_only=True):
    """Limits that the points of a node have."""

    disk: tuple[float, float] = (85.0, 95.0)
    """Percent of the disk in use that is a warning, and an alarm."""
    clock_offset: tuple[float, float] = (0.5, 2.0)
    """Seconds between the clocks of the node and of this computer, in both directions."""


def device_of(node: str) -> str:
    """The device that the values of a node belong to."""
    return f"node-{node}"


def channel_of(id: InstanceId) -> str:
    """The channel of an instance in the device of its node."""
    return id.service + (f"-{id.index}" if id.index else "")


class MeasuredNode(Struct, frozen=True, kw_only=True):
    """The points of a node with their values. None: it is not known yet."""

    points: tuple[Point, ...] = ()
    values: Mapping[str, Scalar] = {}
    reasons: Mapping[str, str] = {}
    """Point -> what is wrong, of those that are a fault."""


def measured(use: NodeUse, before: NodeUse | None, limits: UseLimits) -> MeasuredNode:
    """The values of a measurement. `before`: the one before it, for what is a rate."""
    rows = [*_host_rows(use, before, limits), *_instance_rows(use, before)]
    return MeasuredNode(
        points=tuple(point for point, _, _ in rows),
        values={point.name: value for point, value, _ in rows},
        reasons={point.name: why for point, _, why in rows if why},
    )


def catalogue(node: str, points: Sequence[Point], boot: str) -> Catalogue:
    """What the console, the history and the alarms need to know of them."""
    channels = tuple(dict.fromkeys(point.channel for point in points if point.channel))
    return Catalogue(
        device=device_of(node),
        title=f"Node {node}",
        driver=DRIVER,
        group="Nodes",
        card=False,
        points=tuple(points),
        channels=channels,
        boot=boot,
    )


_Row = tuple[Point, Scalar, str]


def _host_rows(use: NodeUse, before: NodeUse | None, limits: UseLimits) -> Iterator[_Row]:
    host, old = use.host, before.host if before else HostUse()
    if host.busy_s is not None and host.cores:
        busy = _rate(host.busy_s, old.busy_s, use, before)
        value = None if busy is None else min(busy / host.cores * 100, 100.0)
        yield _point("cpu", "CPU", "%", 1.0, f"of its {host.cores} cores"), value, ""
    if host.memory_bytes and host.memory_used_bytes is not None:
        used = 100 * host.memory_used_bytes / host.memory_bytes
        yield _point("memory", "Memory", "%", 0.5, f"in use of {host.memory_bytes / 2**30:.3g} GiB"), used, ""
    if host.disk_bytes and host.disk_used_bytes is not None:
        warning, alarm = limits.disk
        point = _point("disk", "Disk", "%", 0.1, f"in use of {host.disk_bytes / 2**30:.3g} GiB")
        used = 100 * host.disk_used_bytes / host.disk_bytes
        yield _limited(point, Limits(warning_high=warning, alarm_high=alarm)), used, ""
    if use.clock_offset_s is not None:
        warning, alarm = limits.clock_offset
        point = _point("clock_offset", "Clock offset", "s", 0.005, "its clock minus that of this computer", 3)
        both = Limits(alarm_low=-alarm, warning_low=-warning, warning_high=warning, alarm_high=alarm)
        yield _limited(point, both), use.clock_offset_s, ""
    if host.uptime_s is not None:
        yield _point("uptime", "Uptime", "h", 0.1, "since the computer was started", 1), host.uptime_s / 3600, ""
    if host.boot:
        point = Point(name="boot", column="boot", label="Boot id", type=Type.STRING, stale_after_s=0.0, main=False)
        yield point, host.boot, ""


def _instance_rows(use: NodeUse, before: NodeUse | None) -> Iterator[_Row]:
    for id, one in sorted(use.instances.items()):
        old = before.instances.get(id) if before else None
        channel = channel_of(id)
        if one.cpu_s is not None:
            busy = _rate(one.cpu_s, old.cpu_s if old else None, use, before)
            value = None if busy is None else busy * 100
            yield _point("cpu", "CPU", "%", 1.0, "of one core", channel=channel), value, ""
        for name, label, used in (("memory", "Memory", one.memory_bytes), ("disk", "Disk", one.disk_bytes)):
            if used is not None:
                yield _point(name, label, "MiB", 1.0, "", channel=channel), used / _MIB, ""
        ends = Point(
            name=f"{channel}.ends",
            channel=channel,
            column="ends",
            label="Ends",
            description="ends in a row, before it worked for long enough",
            type=Type.INT,
            precision=0,
            stale_after_s=0.0,
        )
        yield ends, one.ends, ""
    for (id, folder), why in sorted(use.volumes.items()):
        channel, column = channel_of(id), f"volume{_NO_TOKEN.sub('_', folder)}"
        point = Point(
            name=f"{channel}.{column}",
            channel=channel,
            column=column,
            label=f"{folder} lost",
            description=f"the volume at {folder} does not answer",
            type=Type.BOOL,
            severity=2,
            stale_after_s=0.0,
        )
        yield point, bool(why), why


def _rate(now: float, before: float | None, use: NodeUse, last: NodeUse | None) -> float | None:
    """By how much a sum has grown in each second; None where it is not known, or began anew."""
    if before is None or last is None or use.at_s <= last.at_s or now < before:
        return None
    return (now - before) / (use.at_s - last.at_s)


def _point(
    name: str, label: str, unit: str, deadband: float, about: str, precision: int = 1, *, channel: str = ""
) -> Point:
    return Point(
        name=f"{channel}.{name}" if channel else name,
        channel=channel,
        column=name,
        label=label,
        description=about,
        unit=unit,
        precision=precision,
        deadband=deadband,
        stale_after_s=0.0,  # its publisher says when it is: it knows whether the node answers
    )


def _limited(point: Point, limits: Limits) -> Point:
    return Point(
        name=point.name,
        column=point.column,
        label=point.label,
        description=point.description,
        unit=point.unit,
        precision=point.precision,
        deadband=point.deadband,
        stale_after_s=point.stale_after_s,
        limits=limits,
    )
