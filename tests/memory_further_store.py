"""A further store of the history in memory, in the plainest way, with faults that a test switches on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from countingroom.core.errors import LinkError
from countingroom.history.columns import Columns
from countingroom.history.port import Position
from countingroom.history.stores.port import StoreLimits, moved
from tests.memory_store import MemoryStore


def key(columns: Columns, row: int) -> tuple[Any, ...]:
    """What makes a sample the same as another one."""
    return columns.names[row], *(int(getattr(columns, name)[row]) for name in ("time_ns", "sent_ns", "place"))


class MemoryFurtherStore:
    """A FurtherStore that ends with its process."""

    limits = StoreLimits()

    def __init__(self) -> None:
        self._kept = MemoryStore()
        self.is_down = False
        self.before: Callable[[str], None] = lambda call: None
        """Called at the begin of each call with its name; it may raise or wait."""
        self.after: Callable[[str], None] = lambda call: None
        """Called when a call has taken effect; when it raises, the caller does not know that."""
        self.aborted = 0
        self._is_cut = False
        """A server that is restored from a backup ends its connections: the next call fails."""

    def backup(self) -> MemoryStore:
        """What it holds now, for `restore`."""
        kept, self._kept._lock = self._kept, None  # type: ignore[assignment] # pyright: ignore
        try:
            return copy.deepcopy(kept)
        finally:
            kept._lock = MemoryStore()._lock  # pyright: ignore[reportPrivateUsage]

    def restore(self, backup: MemoryStore) -> None:
        """Hold what a backup held."""
        backup._lock = MemoryStore()._lock  # pyright: ignore[reportPrivateUsage]
        self._kept = backup
        self._is_cut = True

    def position(self) -> Position:
        self._begin("position")
        return self._kept.position()

    def append(self, columns: Columns, position: Position, *, after: Position) -> None:
        self._begin("append")
        if (is_at := self._kept.position()) != after:
            raise moved("memory", is_at, after)
        self._kept.append(columns, position)
        self.after("append")

    def fill(self, columns: Columns) -> None:
        self._begin("fill")
        there = self.samples(tuple(self._kept.points()), 0, 2**62, limit=2**62)
        known = {key(there, row) for row in range(len(there))}
        new = [row for row in range(len(columns)) if key(columns, row) not in known]
        position = self._kept.position()
        # MemoryStore stores nothing at the position that it is at.
        self._kept.append(columns.chosen(np.array(new, np.int64)), Position(sequence=-1))
        self._kept.append(columns.chosen(np.array([], np.int64)), position)
        self.after("fill")

    def points(self) -> dict[str, bool]:
        return self._kept.points()

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        return self._kept.samples(names, start_ns, end_ns, limit=limit)

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        return self._kept.last_before(names, at_ns, since_ns=since_ns)

    def abort(self) -> None:
        self.aborted += 1

    def close(self) -> None:
        """Nothing is held open."""

    def _begin(self, call: str) -> None:
        if self.is_down:
            raise LinkError("the store is away", code="store_failed")
        if self._is_cut:
            self._is_cut = False
            raise LinkError("the connection was ended", code="store_failed")
        self.before(call)
