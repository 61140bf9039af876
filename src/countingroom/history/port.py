"""The port of a store of time series. Every adapter passes tests/contract/test_history.py.

Methods block, so they are called from threads: `append` and `maintain` from one thread, queries from any number, and
neither waits for the other. If a store cannot work now (disk full, server away) it raises LinkError: no part of that
call was stored, and the caller tries again.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import Horizon
from countingroom.history.tracks import PointTrack, of_columns


class Position(Struct, frozen=True, kw_only=True, order=True):
    """The position in the stream up to which the store is complete. By `stored_ns` a new stream is recognised."""

    sequence: int = 0
    stored_ns: int = 0


class Maintained(Struct, frozen=True, kw_only=True):
    """What maintenance did."""

    rolled: int = 0
    """Minutes summed up."""
    early_ns: int | None = None
    """Raw samples older than this were removed before their time, for lack of disk space."""


class HistoryStore(Protocol):
    """Samples of points by time. A point is known once it was appended. A store that derives from this class has the
    methods with a body as they are here."""

    def position(self) -> Position: ...

    def append(self, columns: Columns, position: Position) -> None:
        """All of it and the position in one transaction, on disk when this returns. A call with the
        position that the store is at already has no effect, so an append with an unknown outcome can be repeated."""
        ...

    def points(self) -> dict[str, bool]:
        """Address -> whether it has texts."""
        ...

    def horizon(self) -> Horizon: ...

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        """Raw samples in [start_ns, end_ns), in order of time; the first `limit`. Unknown names have none."""
        ...

    def track(self, name: str, start_ns: int, end_ns: int, *, limit: int) -> PointTrack:
        """Samples of one point in [start_ns, end_ns), for computing: without what only an export needs. With more than
        `limit`, any that many of them."""
        return of_columns(self.samples((name,), start_ns, end_ns, limit=limit))

    def fits(self, name: str, start_ns: int, end_ns: int, most: int) -> bool:
        """Whether there are at most that many raw samples in [start_ns, end_ns)."""
        ...

    def buckets(self, name: str, start_ns: int, end_ns: int, plan: QueryPlan) -> Buckets:
        """Numbers reduced. From RAW: samples in [start_ns, end_ns). Otherwise whole minutes (or five) that begin from
        the one that holds start_ns to before end_ns. Late samples are in, whether maintained or not."""
        ...

    def buckets_each(self, names: tuple[str, ...], start_ns: int, end_ns: int, plan: QueryPlan) -> dict[str, Buckets]:
        """The same of several points. A store that can read them together does so in one question."""
        return {name: self.buckets(name, start_ns, end_ns, plan) for name in names}

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        """The latest raw sample, from since_ns to at_ns inclusive, of each that has one."""
        ...

    def maintain(self, now_ns: int) -> Maintained:
        """Compute the rollups that are due, and remove what is past its retention."""
        ...

    def close(self) -> None: ...
