"""The table of one device's points: present readings, published readings, and what differs. No clock, no I/O."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence

from countingroom.core.messages import Readings
from countingroom.core.points import Point
from countingroom.core.times import duration
from countingroom.core.values import Quality, Reading
from countingroom.devices.host import quality
from countingroom.devices.host.deadband import moved
from countingroom.devices.host.staleness import is_stale, stale
from countingroom.devices.port import Sample

TELL_AGAIN_S = 10.0
"""Least time between two events about refused values of one point, which may change with every sample."""

MOST_QUEUED = 100_000
"""Changes of points with `every_change` that wait to be published; then the oldest are dropped, and counted."""
MOST_ROWS = 10_000
"""Such changes in one message."""

Channels = set[str]
"""Channels with changed points; the empty name is the device itself."""


class PointTable:
    """The readings of one device. Of each point only the latest change waits to be published, so the memory is bounded
    by the number of points. Of a point with `every_change` all wait, up to MOST_QUEUED over all such points."""

    def __init__(self, device: str, points: Sequence[Point], now_ns: int) -> None:
        self.device = device
        self.points = {point.name: point for point in points}
        self.readings: dict[str, Reading] = dict.fromkeys(self.points, quality.without_value(now_ns))
        self._published = dict(self.readings)
        self._waiting: dict[str, None] = {}
        self._queue: deque[tuple[str, Reading]] = deque()
        """Changes of points with `every_change`."""
        self._full_is_next = False
        self.thinned: Counter[str] = Counter()
        """Point -> changes that were not published, because a newer one took their place."""
        self._last_sample: dict[str, float] = {}
        """Point -> monotonic time of its last sample, while its link is up."""
        self._untold: dict[str, str] = {}
        """Point -> why it is BAD, as long as no event has told it."""
        self._told: dict[str, tuple[str, float]] = {}
        """Point -> the reason that was told last, and when (monotonic)."""
        self._sequence = 0

    @property
    def has_samples(self) -> bool:
        """Whether the link of at least one point is up."""
        return bool(self._last_sample)

    @property
    def waiting(self) -> bool:
        """Whether a change waits to be published."""
        return bool(self._waiting or self._queue)

    def take(self, samples: Iterable[Sample], *, now_ns: int, monotonic: float) -> Channels:
        """Take samples of the driver. Samples of undeclared points are ignored."""
        changed: Channels = set()
        for sample in samples:
            point = self.points.get(sample.point)
            if point is None:
                continue
            if sample.quality == Quality.STALE:
                self._last_sample.pop(point.name, None)
            else:
                self._last_sample[point.name] = monotonic
            self._set(point, quality.read(point, sample, self.readings[point.name], now_ns), changed)
        return changed

    def describe(self, points: Sequence[Point]) -> None:
        """The same points, with other properties."""
        self.points = {point.name: point for point in points}

    def prove(self, names: Collection[str], *, monotonic: float) -> Collection[str]:
        """The last samples of these points are proven now. Returns the points that are STALE meanwhile."""
        for name in names:
            if name in self._last_sample:
                self._last_sample[name] = monotonic
        return {name for name in names if self.readings[name].quality is Quality.STALE}

    def drop_largest(self, names: Iterable[str], reason: str, *, now_ns: int) -> Channels:
        """Make the largest texts among these points BAD, until half of the text is gone: their message is too large."""
        changed: Channels = set()
        texts = {name: len(value) for name in names if isinstance(value := self.readings[name].value, str)}
        left = sum(texts.values()) / 2
        for name in sorted(texts, key=texts.__getitem__, reverse=True):
            if left <= 0:
                break
            left -= texts[name]
            self._set(self.points[name], quality.without_value(now_ns, reason), changed)
        return changed

    def tell_again(self) -> None:
        """The device is connected: reasons that were not told since the link was lost are told, also old ones."""
        for name, one in self.readings.items():
            if name not in self._told and _is_refused(one):
                self._untold[name] = one.reason

    def take_refusals(self, *, monotonic: float) -> list[tuple[str, str]]:
        """The points that are BAD for a reason that was not told before, each with it. A point of which something was
        told less than TELL_AGAIN_S ago waits."""
        due = [
            (name, reason)
            for name, reason in self._untold.items()
            if name not in self._told or monotonic - self._told[name][1] >= TELL_AGAIN_S
        ]
        for name, reason in due:
            del self._untold[name]
            self._told[name] = reason, monotonic
        return due

    def age(self, *, now_ns: int, monotonic: float) -> Channels:
        """Declare points without a sample for too long STALE."""
        changed: Channels = set()
        for name, last in self._last_sample.items():
            point = self.points[name]
            if is_stale(point, monotonic - last):
                before = self.readings[name]
                # What is BAD or STALE already keeps its own reason.
                reason = (
                    f"no value for more than {duration(point.stale_after_s)}" if before.quality < Quality.STALE else ""
                )
                self._set(point, stale(before, now_ns, reason), changed)
        return changed

    def until_stale(self, names: Iterable[str], *, monotonic: float) -> float:
        """Seconds until the first of these points, as they are now, is declared STALE; infinity where none will be."""
        return min(
            (
                last + stale_after_s - monotonic
                for name in names
                if (last := self._last_sample.get(name)) is not None
                and (stale_after_s := self.points[name].stale_after_s) > 0
                and self.readings[name].quality < Quality.STALE
            ),
            default=float("inf"),
        )

    def lose(self, *, now_ns: int) -> Channels:
        """The link is lost: declare every point STALE."""
        changed: Channels = set()
        self._last_sample.clear()
        self._told.clear()
        for name, point in self.points.items():
            self._set(point, stale(self.readings[name], now_ns), changed)
        return changed

    def _set(self, point: Point, reading: Reading, changed: Channels) -> None:
        before = self.readings[point.name]
        self.readings[point.name] = reading
        if reading.value != before.value or reading.quality != before.quality:
            changed.add(point.channel)
        if reading.reason != before.reason or reading.quality != before.quality:
            self._note_reason(point.name, reading)
        is_moved = moved(point.deadband, self._published[point.name], reading)
        if point.every_change:
            if is_moved:
                self._enqueue(point.name, reading)
            return
        # A computed value in whose place a newer one came is no lost measurement.
        if point.name in self._waiting and not point.inputs and moved(point.deadband, before, reading):
            self.thinned[point.name] += 1
        if is_moved:
            self._waiting[point.name] = None
        else:
            self._waiting.pop(point.name, None)

    def _enqueue(self, name: str, reading: Reading) -> None:
        if len(self._queue) >= MOST_QUEUED:
            self.thinned[self._queue.popleft()[0]] += 1
        self._queue.append((name, reading))
        self._published[name] = reading

    def _note_reason(self, name: str, reading: Reading) -> None:
        if _is_refused(reading):
            self._untold[name] = reading.reason
        else:
            self._untold.pop(name, None)

    def message(self, *, full: bool, boot: str, sent_ns: int) -> Readings | None:
        """The message to publish now; its readings then count as published. None when no change waits.

        Where changes of points with `every_change` wait, it carries those and is no full one; the next may be.
        """
        full = full and (not self._queue or self._full_is_next)
        self._full_is_next = not full  # the queue may have grown again by then: full messages must not wait for ever
        names = list(self.readings) if full else list(self._waiting)
        rows = [self.readings[name] for name in names]
        self._published.update(zip(names, rows, strict=True))
        self._waiting.clear()
        for _ in range(0 if full else min(len(self._queue), MOST_ROWS)):
            name, reading = self._queue.popleft()
            names.append(name)
            rows.append(reading)
        if not names:
            return None
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
            reasons={name: row.reason for name, row in zip(names, rows, strict=True) if row.reason},
            alarms={name: row.alarm for name, row in zip(names, rows, strict=True) if row.alarm},
        )


def _is_refused(reading: Reading) -> bool:
    return reading.quality is Quality.BAD and bool(reading.reason)
