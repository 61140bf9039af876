"""A history store in memory, in the plainest way. The stores of the product are compared with it."""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.history import buckets
from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns
from countingroom.history.description import Retention
from countingroom.history.port import HistoryStore, Maintained, Position
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import MINUTE_NS, Horizon, Resolution, kept_from


class _Sample(Struct, frozen=True, kw_only=True):
    name: str
    time_ns: int
    number: float
    kind: int
    quality: int
    device_ns: int
    received_ns: int
    sent_ns: int
    place: int
    alarm: int
    whole: int
    text: str | None


_in_time = attrgetter("time_ns", "received_ns", "quality")


class MemoryStore(HistoryStore):
    """A HistoryStore that ends with its process."""

    def __init__(self, keep: Retention | None = None) -> None:
        self._keep = keep or Retention()
        self._lock = threading.RLock()
        self._position = Position()
        self._horizon = Horizon()
        self._samples: dict[str, list[_Sample]] = {}
        self._past: dict[tuple[str, Resolution], list[Buckets]] = {}

    def position(self) -> Position:
        return self._position

    def append(self, columns: Columns, position: Position) -> None:
        with self._lock:
            if position == self._position:
                return
            for row, name in enumerate(columns.names):
                sample = _Sample(
                    name=name,
                    time_ns=int(columns.time_ns[row]),
                    number=float(columns.number[row]),
                    kind=int(columns.kind[row]),
                    quality=int(columns.quality[row]),
                    device_ns=int(columns.device_ns[row]),
                    received_ns=int(columns.received_ns[row]),
                    sent_ns=int(columns.sent_ns[row]),
                    place=int(columns.place[row]),
                    alarm=int(columns.alarm[row]),
                    whole=int(columns.whole[row]),
                    text=columns.texts.get(row),
                )
                self._samples.setdefault(name, []).append(sample)
            for name in set(columns.names):
                self._samples[name].sort(key=_in_time)
            self._position = position

    def points(self) -> dict[str, bool]:
        with self._lock:
            return {name: any(s.text is not None for s in rows) for name, rows in sorted(self._samples.items())}

    def horizon(self) -> Horizon:
        return self._horizon

    def samples(self, names: tuple[str, ...], start_ns: int, end_ns: int, *, limit: int) -> Columns:
        with self._lock:
            found = [s for name in names for s in self._samples.get(name, ()) if start_ns <= s.time_ns < end_ns]
        return _columns(sorted(found, key=attrgetter("time_ns", "name", "received_ns", "quality"))[:limit])

    def fits(self, name: str, start_ns: int, end_ns: int, most: int) -> bool:
        return len(self.samples((name,), start_ns, end_ns, limit=most + 1)) <= most

    def buckets(self, name: str, start_ns: int, end_ns: int, plan: QueryPlan) -> Buckets:
        with self._lock:
            raw = self._reduced(name, 1)
            if plan.base is Resolution.RAW:
                chosen = (raw.begin_ns >= start_ns) & (raw.begin_ns < end_ns)
                return buckets.merge(buckets.select(raw, chosen), plan.bucket_ns)
            past = [part for base in Resolution if base <= plan.base for part in self._past.get((name, base), [])]
        kept = buckets.merge(buckets.concatenate([raw, *past]), plan.base)
        chosen = (kept.begin_ns >= start_ns // plan.base * plan.base) & (kept.begin_ns < end_ns)
        return buckets.merge(buckets.select(kept, chosen), plan.bucket_ns)

    def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
        with self._lock:
            last = [[s for s in self._samples.get(name, ()) if since_ns <= s.time_ns <= at_ns][-1:] for name in names]
        return _columns([sample for found in last for sample in found])

    def maintain(self, now_ns: int) -> Maintained:
        raw = kept_from(now_ns, self._keep.raw)
        minute = min(raw, kept_from(now_ns, self._keep.minute))
        five = min(minute, kept_from(now_ns, self._keep.five_minutes))
        with self._lock:
            for name, rows in self._samples.items():
                self._retire(name, Resolution.MINUTE, self._reduced(name, MINUTE_NS), raw)
                self._samples[name] = [s for s in rows if s.time_ns >= (raw if s.text is None else minute)]
                self._retire(name, Resolution.FIVE_MINUTES, self._take(name, Resolution.MINUTE, minute), minute)
                self._take(name, Resolution.FIVE_MINUTES, five)
            self._horizon = Horizon(raw_ns=raw, minute_ns=minute)
        return Maintained()

    def close(self) -> None:
        """Nothing is held open."""

    def _reduced(self, name: str, bucket_ns: int) -> Buckets:
        rows = [s for s in self._samples.get(name, ()) if s.text is None]
        return buckets.reduce(
            np.array([s.time_ns for s in rows], np.int64),
            np.array([s.number for s in rows], np.float64),
            np.array([s.quality for s in rows], np.int64),
            bucket_ns,
        )

    def _retire(self, name: str, base: Resolution, parts: Buckets, before_ns: int) -> None:
        past = buckets.select(parts, parts.begin_ns < before_ns)
        if len(past):
            self._past.setdefault((name, base), []).append(past)

    def _take(self, name: str, base: Resolution, before_ns: int) -> Buckets:
        """What is kept of that resolution before a time, which it is then no longer."""
        parts = self._past.pop((name, base), [])
        whole = buckets.concatenate(parts) if parts else buckets.reduce(*_NOTHING, MINUTE_NS)
        rest = buckets.select(whole, whole.begin_ns >= before_ns)
        if len(rest):
            self._past[name, base] = [rest]
        return buckets.select(whole, whole.begin_ns < before_ns)


_NOTHING = (np.array([], np.int64), np.array([], np.float64), np.array([], np.int64))


def _columns(rows: list[_Sample]) -> Columns:
    def column(name: str, kind: Any) -> NDArray[Any]:
        values: NDArray[Any] = np.array([getattr(row, name) for row in rows], kind)
        return values

    return Columns(
        names=[row.name for row in rows],
        time_ns=column("time_ns", np.int64),
        number=column("number", np.float64),
        kind=column("kind", np.uint8),
        quality=column("quality", np.uint8),
        device_ns=column("device_ns", np.int64),
        received_ns=column("received_ns", np.int64),
        sent_ns=column("sent_ns", np.int64),
        place=column("place", np.int64),
        alarm=column("alarm", np.uint8),
        whole=column("whole", np.uint8),
        texts={place: row.text for place, row in enumerate(rows) if row.text is not None},
    )
