"""Law: one row a point: what is known now, what was last published, and which rows differ. No clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from countingroom.core.messages import Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading
from countingroom.devices.host import quality
from countingroom.devices.host.deadband import moved
from countingroom.devices.port import Sample

Channels = set[str]
"""Channels whose points changed; the empty name is the device itself."""


class PointTable:
    """The readings of one device. What waits to be published is bounded by the number of points: the latest wins."""

    def __init__(self, device: str, points: Sequence[Point], now_ns: int) -> None:
        self.device = device
        self.points = {point.name: point for point in points}
        self.readings: dict[str, Reading] = dict.fromkeys(self.points, quality.never_heard(now_ns))
        self._published = dict(self.readings)
        self._waiting: dict[str, None] = {}
        self._heard: dict[str, float] = {}
        self._sequence = 0

    @property
    def heard(self) -> bool:
        """Whether the driver has news of at least one point."""
        return bool(self._heard)

    @property
    def waiting(self) -> bool:
        """Whether a delta is to be published."""
        return bool(self._waiting)

    def take(self, samples: Iterable[Sample], *, now_ns: int, monotonic: float) -> Channels:
        """What the driver said. Samples of points it never declared are passed over."""
        changed: Channels = set()
        for sample in samples:
            point = self.points.get(sample.point)
            if point is None:
                continue
            if sample.quality == Quality.STALE:
                self._heard.pop(point.name, None)
            else:
                self._heard[point.name] = monotonic
            self._set(point, quality.read(point, sample, self.readings[point.name], now_ns), changed)
        return changed

    def age(self, *, now_ns: int, monotonic: float) -> Channels:
        """Points of which nothing was heard for too long become STALE."""
        changed: Channels = set()
        for name, heard in self._heard.items():
            point = self.points[name]
            if point.stale_after_s and monotonic - heard > point.stale_after_s:
                self._set(point, quality.silent(self.readings[name], now_ns), changed)
        return changed

    def lose(self, *, now_ns: int) -> Channels:
        """The link is lost: every point is STALE."""
        changed: Channels = set()
        self._heard.clear()
        for name, point in self.points.items():
            self._set(point, quality.silent(self.readings[name], now_ns), changed)
        return changed

    def _set(self, point: Point, reading: Reading, changed: Channels) -> None:
        before = self.readings[point.name]
        self.readings[point.name] = reading
        if reading.value != before.value or reading.quality != before.quality:
            changed.add(point.channel)
        if moved(point.deadband, self._published[point.name], reading):
            self._waiting[point.name] = None
        else:
            self._waiting.pop(point.name, None)

    def message(self, *, full: bool, boot: str, sent_ns: int) -> Readings | None:
        """What is to be published now, which counts as published by this; None when a delta would be empty."""
        names = list(self.readings) if full else list(self._waiting)
        if not names:
            return None
        rows = [self.readings[name] for name in names]
        self._published.update(zip(names, rows, strict=True))
        self._waiting.clear()
        self._sequence += 1
        return Readings(
            device=self.device,
            boot=boot,
            sequence=self._sequence,
            full=full,
            sent_ns=sent_ns,
            points=names,
            values=[row.value for row in rows],
            qualities=[int(row.quality) for row in rows],
            device_ns=[row.device_ns for row in rows],
            received_ns=[row.received_ns for row in rows],
        )
