"""Rows of the alarm history that the keeper told of, until they are planned from: read from the database, or before.

Each row is given once: one that was planned before it was read is left out when it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from countingroom.core.alarms.history import AlarmEntry

HEARD = 20_000
"""Rows that are remembered until they are read; the oldest are forgotten."""

RowKey = tuple[int, str, str, int]
"""What makes a row of the history another one, before it has a number."""


class HeardRows:
    """The rows of one engine."""

    def __init__(self) -> None:
        self.has_lost = False
        """Whether rows were forgotten before they were given."""
        self._heard: dict[RowKey, AlarmEntry] = {}
        self._unsaved: set[RowKey] = set()
        """Those of them that the keeper could not save."""
        self._taken: dict[RowKey, None] = {}
        """Rows that were given before they were read."""

    def __len__(self) -> int:
        return len(self._heard)

    def saved(self, rows: Iterable[AlarmEntry]) -> None:
        """The database has these."""
        for row in rows:
            if _key(row) not in self._taken:
                self._heard[_key(row)] = row
                self._unsaved.discard(_key(row))
        self._bound()

    def unsaved(self, rows: Iterable[AlarmEntry]) -> None:
        """The database gets these later."""
        for row in rows:
            self._heard[_key(row)] = row
            self._unsaved.add(_key(row))
        self._bound()

    def keys(self) -> Collection[RowKey]:
        """Those that wait now; to be asked before a read."""
        return tuple(self._heard)

    def read(self, rows: Sequence[AlarmEntry], before: Collection[RowKey], *, is_whole: bool) -> list[AlarmEntry]:
        """The rows that were read and not given yet. `is_whole`: the database has no more; of those that waited
        `before` the unsaved ones are given too."""
        found = [row for row in rows if _key(row) not in self._taken]
        for key in map(_key, rows):
            self._heard.pop(key, None)
            self._taken.pop(key, None)
            self._unsaved.discard(key)
        if is_whole:  # what was saved before is read, so that the rest of it is not saved
            found += self._take([key for key in before if key in self._unsaved])
            for key in before:
                self._heard.pop(key, None)
        return found

    def take(self) -> list[AlarmEntry]:
        """All that wait, before they are read."""
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
