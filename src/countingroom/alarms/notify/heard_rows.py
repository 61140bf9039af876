"""Rows of the alarm history that the keeper has reported, until the notifier plans messages from them.

Normally the notifier reads the rows from the database. While the database is away it takes them from here. Each row is
given once: a row that was taken from here is left out when it is read later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from countingroom.core.alarms.history import AlarmEntry

HEARD = 20_000
"""The most rows that are remembered until they are read; beyond it the oldest are forgotten."""

RowKey = tuple[int, str, str, int]
"""Identifies a row before the database has given it a number: time (ns), alarm, kind, occurrence."""


class HeardRows:
    """The rows of one engine."""

    def __init__(self) -> None:
        self.has_lost = False
        """Whether rows were forgotten before they were given."""
        self._heard: dict[RowKey, AlarmEntry] = {}
        self._unsaved: set[RowKey] = set()
        """Rows that the keeper could not save yet."""
        self._taken: dict[RowKey, None] = {}
        """Rows that were given before they were read from the database."""

    def __len__(self) -> int:
        return len(self._heard)

    def saved(self, rows: Iterable[AlarmEntry]) -> None:
        """Take in rows that the database has."""
        for row in rows:
            if _key(row) not in self._taken:
                self._heard[_key(row)] = row
                self._unsaved.discard(_key(row))
        self._bound()

    def unsaved(self, rows: Iterable[AlarmEntry]) -> None:
        """Take in rows that the keeper saves later."""
        for row in rows:
            self._heard[_key(row)] = row
            self._unsaved.add(_key(row))
        self._bound()

    def keys(self) -> Collection[RowKey]:
        """Keys of the rows that wait now. Call it before a read of the database."""
        return tuple(self._heard)

    def read(self, rows: Sequence[AlarmEntry], before: Collection[RowKey], *, is_whole: bool) -> list[AlarmEntry]:
        """The rows of a read that were not given yet. `is_whole`: the database has no further rows; then the unsaved
        rows among `before`, the keys that waited before the read, are given too."""
        found = [row for row in rows if _key(row) not in self._taken]
        for key in map(_key, rows):
            self._heard.pop(key, None)
            self._taken.pop(key, None)
            self._unsaved.discard(key)
        if is_whole:  # all saved rows of `before` were in this read, so the rest of `before` is not saved
            found += self._take([key for key in before if key in self._unsaved])
            for key in before:
                self._heard.pop(key, None)
        return found

    def take(self) -> list[AlarmEntry]:
        """Give all rows that wait, without a read of the database."""
        return self._take(list(self._heard))

    def _take(self, keys: Iterable[RowKey]) -> list[AlarmEntry]:
        found: list[AlarmEntry] = []
        for key in keys:
            if (row := self._heard.pop(key, None)) is not None:
                found.append(row)
                self._taken[key] = None
                self._unsaved.discard(key)
        for key in list(islice(self._taken, max(0, len(self._taken) - 2 * HEARD))):
            del self._taken[key]
        return found

    def _bound(self) -> None:
        for key in list(islice(self._heard, max(0, len(self._heard) - HEARD))):
            del self._heard[key]
            self._unsaved.discard(key)
            self.has_lost = True


def _key(row: AlarmEntry) -> RowKey:
    return row.time_ns, row.alarm, row.kind.value, row.occurrence
