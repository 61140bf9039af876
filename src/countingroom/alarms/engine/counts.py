"""The counts of the engine for the metrics: announcements, batches and their delay."""

from __future__ import annotations

from collections.abc import Iterable

from countingroom.core.alarms.floods import FloodWindow
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.alarms.states import LOWEST_PRIORITY

_ANNOUNCEMENTS = (HistoryKind.ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN)


class EngineCounts:
    """Counts since the engine took over."""

    def __init__(self) -> None:
        self._announced = [0] * LOWEST_PRIORITY
        self._window = FloodWindow()
        self._batches = 0
        self._delay_s = 0.0
        self._longest_s = 0.0

    def take(self, rows: Iterable[AlarmEntry], at_s: float) -> None:
        """Count history rows that are published at `at_s` (monotonic clock)."""
        for row in rows:
            if row.kind in _ANNOUNCEMENTS:
                self._announced[row.priority - 1] += 1
                self._window.add(int(at_s))

    def delay(self, seconds: float) -> None:
        """Count a batch with its time from the first finding to the publication."""
        self._batches += 1
        self._delay_s += seconds
        self._longest_s = max(self._longest_s, seconds)

    def figures(self, at_s: float, *, evaluations: int, unsaved: int) -> EngineFigures:
        """The counts at `at_s` (monotonic clock)."""
        self._window.advance(int(at_s))
        return EngineFigures(
            evaluations=evaluations,
            announced=tuple(self._announced),
            announced_10min=self._window.sum,
            in_flood=self._window.is_flood,
            batches=self._batches,
            delay_s=self._delay_s,
            longest_s=self._longest_s,
            unsaved=unsaved,
        )
