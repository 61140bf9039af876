"""The points whose values leave: chosen by patterns, and thinned out in time. Pure.

Of each point the newest value is taken at fixed times, and only if it has changed: a value that came and went in
between does not leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

from countingroom.core.messages import Catalogue, Readings
from countingroom.core.mirror.raw_records import RawRecord, of_point
from countingroom.core.points import Point
from countingroom.core.values import Reading


class ChosenPoints:
    """The chosen points and their newest values."""

    def __init__(self, patterns: Sequence[str], every_s: float) -> None:
        """`patterns`: `<device>.<point>` with `*`. `every_s`: between two values of a point, in s."""
        self.every_s = every_s
        self._patterns = [re.compile(translate(one)) for one in patterns]
        self._points: dict[str, dict[str, Point]] = {}
        self._changed: dict[tuple[str, str], tuple[Point, Reading]] = {}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def catalogue(self, catalogue: Catalogue) -> None:
        """The points of a device, as it is now."""
        device = catalogue.device
        self._points[device] = {one.name: one for one in catalogue.points if self._has(f"{device}.{one.name}")}

    def take(self, message: Readings) -> None:
        """Readings of a device, those that changed or all."""
        chosen = self._points.get(message.device)
        if not chosen:
            return
        for name, reading in message.rows():
            if point := chosen.get(name):
                self._changed[message.device, name] = point, reading

    def changed(self) -> Iterator[RawRecord]:
        """The newest value of each point of which one came since the last call."""
        changed, self._changed = self._changed, {}
        for (device, _), (point, reading) in changed.items():
            yield of_point(device, point, reading)

    def _has(self, address: str) -> bool:
        return any(one.match(address) for one in self._patterns)
