"""The driver of SECoP nodes: the node sends each change, a `ping` proves that the values still hold.

At each connection the node is asked to describe itself. What it does not have as described is BAD, with the reason;
ranges and words are those of the node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.points import Point
from countingroom.core.values import Quality
from countingroom.devices.drivers.secop.commands import DEADLINE_S, NodeCommand
from countingroom.devices.drivers.secop.connection import NodeUpdate, SecopConnection
from countingroom.devices.drivers.secop.description import SecopSection
from countingroom.devices.drivers.secop.structure import Leaf, differs, leaves
from countingroom.devices.port import Sample, Sink

_PING = "countingroom"


class SecopDriver:
    """The parameters and commands of a node as points: a ProvingDriver."""

    def __init__(self, section: SecopSection, commands: Sequence[NodeCommand]) -> None:
        self._section = section
        self._source = f"{section.host}:{section.port}"
        self._commands = {command.point.name: command for command in commands}
        self._described = {
            f"{module}:{name}": accessible
            for module, described in section.modules.items()
            for name, accessible in described.accessibles.items()
            if not accessible.is_command
        }
        self._leaves: dict[str, list[Leaf]] = {
            f"{module}:{name}": leaves(module, name, accessible.model_dump())
            for module, described in section.modules.items()
            for name, accessible in described.accessibles.items()
            if not accessible.is_command
        }
        self._by_point = {leaf.point.name: leaf for each in self._leaves.values() for leaf in each}
        self._points: tuple[Point, ...] = (
            *(leaf.point for leaf in self._by_point.values()),
            *(command.point for command in commands if command.point.name not in self._by_point),
        )
        self.changed: dict[str, str] = {}
        """Point -> why the node does not have it as described."""
        self._raw: dict[str, Any] = {}
        """Parameter -> its last value, as the protocol has it."""
        self._latest: dict[str, Sample] = {}
        self._sink: Sink = _discard
        self._is_up = False
        self._connection = self._new_connection()

    @property
    def points(self) -> tuple[Point, ...]:
        """Every value and every command. After a connection they have the ranges of the node."""
        return self._points

    @property
    def thinned(self) -> int:
        """A node sends every change."""
        return 0

    def monitor(self, sink: Sink) -> None:
        """Pass every sample to the sink."""
        self._sink = sink

    async def connect(self) -> None:
        """Connect, compare the node with its description, and subscribe. Every value is there when it returns."""
        await self.close()
        section = self._section
        await self._connection.open(section.host, section.port, section.timeout)
        report = await self._connection.request("describe", timeout_s=section.timeout)
        try:
            self._compare(report)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LinkError(f"the node does not describe itself in SECoP: {error!r}", source=self._source) from error
        self._is_up = True
        idle = [name for name, command in self._commands.items() if command.argument is None]
        self._give([Sample(point=name, value=False) for name in idle])
        await self._connection.request("activate", timeout_s=section.timeout)
        self._give([_bad(name, reason) for name, reason in self.changed.items()])

    async def read(self) -> Sequence[Sample]:
        """The last sample of each point; LinkError when there is no connection."""
        if not self._is_up:
            raise LinkError("there is no connection to the node", source=self._source)
        return list(self._latest.values())

    async def prove(self) -> Collection[str]:
        """Ask the node for a sign of life over the same connection as its updates; without one, the link is lost."""
        try:
            await self._connection.request("ping", _PING, timeout_s=self._section.timeout)
        except LinkError:
            self._connection.abort()
            raise
        return [name for name, sample in self._latest.items() if sample.quality is not Quality.STALE]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        """Change a parameter, or carry out a command. DeviceError with the text of the node where it refuses."""
        if command := self._commands.get(point):
            return await self._do(command, value)
        leaf = self._by_point[point]
        if point in self.changed:
            raise DeviceError(f"{point} cannot be written: {self.changed[point]}", source=self._source)
        raw = self._raw.get(leaf.specifier)
        if leaf.path and raw is None:
            raise DeviceError(f"{leaf.specifier} has no value yet, of which this is a part", source=self._source)
        new = leaf.replaced(raw, value)
        await self._connection.request("change", leaf.specifier, new, timeout_s=self._section.timeout)
        return None

    async def close(self) -> None:
        """End the connection."""
        self._is_up = False
        self._latest.clear()
        self._raw.clear()
        await self._connection.close()
        self._connection = self._new_connection()

    def _new_connection(self) -> SecopConnection:
        return SecopConnection(self._source, self._take, self._lost)

    async def _do(self, command: NodeCommand, value: float | int | str | bool) -> None:
        name = command.point.name
        self._give([Sample(point=name, value=value)])
        try:
            await self._connection.request(
                "do", f"{command.module}:{command.name}", command.to_send(value), timeout_s=DEADLINE_S
            )
        finally:
            if self._is_up and command.argument is None:
                self._give([Sample(point=name, value=False)])

    def _compare(self, report: Mapping[str, Any]) -> None:
        """Find what differs from the description, and take the ranges of the node; LinkError for another node."""
        wanted, found = self._section.equipment_id, report.get("equipment_id", "")
        if wanted and found != wanted:
            raise LinkError(
                f"the node is {found}, and not {wanted}",
                code="wrong_device",
                source=self._source,
                suggestion="check host and port, or the key equipment_id",
            )
        self.changed.clear()
        fresh: dict[str, Point] = {}
        for specifier, each in self._leaves.items():
            module, name = specifier.split(":", 1)
            accessible: dict[str, Any] | None = report["modules"].get(module, {}).get("accessibles", {}).get(name)
            reason = (
                f"the node has no {specifier}"
                if accessible is None
                else differs(self._described[specifier].datainfo, accessible["datainfo"])
            )
            if reason or accessible is None:
                self.changed.update({leaf.point.name: reason for leaf in each})
                continue
            for leaf, now in zip(each, leaves(module, name, accessible), strict=True):
                fresh[leaf.point.name] = _with_ranges(leaf.point, now)
                self._by_point[leaf.point.name] = replace(leaf, info=now.info)
            self._leaves[specifier] = [self._by_point[leaf.point.name] for leaf in each]
        self._points = tuple(fresh.get(point.name, point) for point in self._points)

    def _take(self, update: NodeUpdate) -> None:
        each = self._leaves.get(update.specifier, ())
        if not each:
            return
        if update.error:
            self._give([_bad(leaf.point.name, update.error) for leaf in each])
            return
        self._raw[update.specifier] = update.value
        stamp = None if update.time_s is None else round(update.time_s * 1e9)
        self._give([_sample(leaf, update.value, stamp) for leaf in each if leaf.point.name not in self.changed])

    def _lost(self) -> None:
        if self._is_up:
            self._is_up = False
            self._give([Sample(point=point.name, value=None, quality=Quality.STALE) for point in self._points])

    def _give(self, samples: list[Sample]) -> None:
        self._latest.update({one.point: one for one in samples})
        if samples:
            self._sink(samples)


def _with_ranges(point: Point, now: Leaf) -> Point:
    """The point with the range and the words of the node; what it may be written is never more than the node takes."""
    return replace(
        point,
        write_low=now.point.write_low if point.writable else None,
        write_high=now.point.write_high if point.writable else None,
        choices=now.point.choices,
        codes=now.point.codes,
        writable=point.writable and now.point.writable,
    )


def _sample(leaf: Leaf, raw: Any, stamp: int | None) -> Sample:
    try:
        return Sample(point=leaf.point.name, value=leaf.value(raw), device_ns=stamp)
    except ValueError as error:
        return _bad(leaf.point.name, str(error))


def _bad(name: str, reason: str) -> Sample:
    return Sample(point=name, value=None, quality=Quality.BAD, reason=reason)


def _discard(batch: Sequence[Sample]) -> None:
    """The sink before `monitor` is called."""
