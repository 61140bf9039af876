"""The last sample of every point, in memory: most questions about the present need no look into the file."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np

from countingroom.history.columns import Columns, Integers, Kind, empty
from countingroom.history.retention import Horizon


class LastRows:
    """Last rows by the keys of points. Of two samples of one time the later received counts, then the worse. Used by
    several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._row: dict[int, int] = {}
        """Key -> its row in `_rows`."""
        self._rows = empty()

    def take(self, columns: Columns, point: Integers) -> None:
        """Put these samples in where they are later. `point` are the keys of their points."""
        if not len(columns):
            return
        chosen = _latest(columns, point)
        with self._lock:
            rows = self._rows
            known = np.fromiter((self._row.get(key, -1) for key in point[chosen].tolist()), np.int64, len(chosen))
            is_later = (known < 0) | _is_later(columns, chosen, rows, known)
            chosen, known = chosen[is_later], known[is_later]
            old = known >= 0
            for name in Columns.ARRAYS:
                getattr(rows, name)[known[old]] = getattr(columns, name)[chosen[old]]
            for row, source in zip(known[old].tolist(), chosen[old].tolist(), strict=True):
                rows.texts.pop(row, None)
                if source in columns.texts:
                    rows.texts[row] = columns.texts[source]
            if not old.all():
                new = chosen[~old]
                begin = len(rows)
                self._rows = rows.followed_by(columns.chosen(new))
                self._row |= {key: begin + place for place, key in enumerate(point[new].tolist())}

    def before(self, names: Mapping[int, str], at_ns: int, since_ns: int) -> tuple[Columns, list[int]]:
        """The rows of the points with these keys, where they are in [since_ns, at_ns]; and the keys of those that have
        a later row, so that an earlier one counts."""
        with self._lock:
            keys = [key for key in names if key in self._row]
            row = np.array([self._row[key] for key in keys], np.int64)
            time = self._rows.time_ns[row]
            found = self._rows.chosen(row[(time <= at_ns) & (time >= since_ns)])
        return found, [key for key, is_later in zip(keys, (time > at_ns).tolist(), strict=True) if is_later]

    def past(self, horizon: Horizon) -> list[int]:
        """The keys whose last row is older than the store keeps rows."""
        with self._lock:
            limit = np.where(self._rows.kind == Kind.TEXT, horizon.minute_ns, horizon.raw_ns)
            is_past = self._rows.time_ns < limit
            return [key for key, row in self._row.items() if is_past[row]]

    def drop(self, keys: list[int]) -> None:
        """Forget these."""
        gone = set(keys)
        with self._lock:
            left = [(key, row) for key, row in self._row.items() if key not in gone]
            self._rows = self._rows.chosen(np.array([row for _, row in left], np.int64))
            self._row = {key: place for place, (key, _) in enumerate(left)}

    def all(self) -> Columns:
        """All rows. They are not changed until `take`, which is called by the same thread."""
        with self._lock:
            return self._rows


def _latest(columns: Columns, point: Integers) -> Integers:
    """The row of each point that is the last."""
    newest = np.full(int(point.max()) + 1, np.iinfo(np.int64).min)
    np.maximum.at(newest, point, columns.time_ns)
    rows = np.flatnonzero(columns.time_ns == newest[point])
    rows = rows[np.lexsort((columns.quality[rows], columns.received_ns[rows], point[rows]))]
    return rows[np.append(point[rows][1:] != point[rows][:-1], True)]


def _is_later(
    columns: Columns, chosen: Integers, rows: Columns, known: Integers
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each chosen row is at or after the known one, by time, reception and quality."""
    if not len(rows):
        return np.ones(len(chosen), np.bool_)
    new = [getattr(columns, name)[chosen] for name in ("time_ns", "received_ns", "quality")]
    old = [getattr(rows, name)[known] for name in ("time_ns", "received_ns", "quality")]
    return (new[0] > old[0]) | ((new[0] == old[0]) & ((new[1] > old[1]) | ((new[1] == old[1]) & (new[2] >= old[2]))))
