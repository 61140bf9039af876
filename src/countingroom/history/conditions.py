"""Conditions in bulk: points at many times, or over many intervals, from the samples of a store.

The samples of one point are read a piece of time at a time, as large as memory allows, and only around the times that
are asked. What is computed is defined in core/history_conditions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from countingroom.core.errors import RequestError
from countingroom.core.history_conditions import MOST_CELLS, ConditionsQuery, PointAsOf, PointIntervals
from countingroom.core.values import Scalar
from countingroom.history.columns import Bytes, Integers, Numbers, scalar
from countingroom.history.port import HistoryStore
from countingroom.history.tracks import PointTrack, of_columns

MOST_ROWS = 1_000_000
"""Samples that are read together: about 60 MB."""
_GAPS = 500
"""Pieces of time that are read apart, because what lies between them is not asked."""
_FIRST_NS = 3_600_000_000_000
GAP_NS = 3_600_000_000_000
"""What lies between two times is left out if it is longer: to read less takes no longer than a further question."""
_TOGETHER_NS = 600_000_000_000
"""With a longer tolerance the sample that holds at a begin is asked for alone: so far back there can be any number."""
_SHORTEST_NS = 1_000_000_000
_NONE = 255


class AsOfArrays(Struct, frozen=True, kw_only=True):
    """A point at times, as arrays."""

    number: Numbers
    """NaN where there is none."""
    kind: Bytes
    quality: Bytes
    """255: no sample holds."""
    age_ns: Integers
    texts: dict[int, str]

    def values(self, worst: int) -> list[Scalar]:
        """Values as they were published; None where there is none, or its quality is worse."""
        found = [scalar(kind, number) for kind, number in zip(self.kind.tolist(), self.number.tolist(), strict=True)]
        texts: list[Scalar] = [self.texts.get(row, value) for row, value in enumerate(found)]
        allowed = (self.quality <= worst).tolist()
        return [value if is_allowed else None for value, is_allowed in zip(texts, allowed, strict=True)]

    def columns(self, worst: int) -> dict[str, Any]:
        """The columns of `PointAsOf`; a point without texts, ints and bools stays an array."""
        has = self.quality != _NONE
        is_plain = not self.texts and not self.kind.any()
        number = np.where(self.quality <= worst, self.number, np.nan)
        return {
            "value": number if is_plain else self.values(worst),
            "quality": np.ma.array(self.quality, mask=~has),
            "age_ns": np.ma.array(self.age_ns, mask=~has),
        }


class IntervalArrays(Struct, frozen=True, kw_only=True):
    """A point over intervals, as arrays; NaN where there is no value."""

    count: Integers
    low: Numbers
    high: Numbers
    mean: Numbers
    weighted: Numbers
    good: Numbers


def _go_on() -> None:
    """There is no deadline."""


def answer(
    store: HistoryStore, query: ConditionsQuery, check: Callable[[], None] = _go_on
) -> list[PointAsOf] | list[PointIntervals]:
    """The answer to a query. RequestError if it is too large, or if an interval does not end after its begin. Unknown
    points have no samples. `check` is called before each read of the store; it raises to end the work."""
    if len(query.points) * len(query.begin_ns) > MOST_CELLS:
        raise RequestError(
            f"{len(query.begin_ns)} times of {len(query.points)} points are too many for one question",
            code="too_large",
            suggestion=f"ask for at most {MOST_CELLS:,} values at once",
        )
    begin = np.array(query.begin_ns, np.int64)
    if not query.end_ns:
        return [_as_of(store, name, begin, query, check) for name in query.points]
    end = np.array(query.end_ns, np.int64)
    return [_plain_intervals(name, over(store, name, begin, end, query.tolerance_ns, check)) for name in query.points]


def _as_of(
    store: HistoryStore, name: str, times: Integers, query: ConditionsQuery, check: Callable[[], None]
) -> PointAsOf:
    found = as_of(store, name, times, query.tolerance_ns, check)
    has = (found.quality != _NONE).tolist()
    return PointAsOf(
        point=name,
        value=found.values(query.worst),
        quality=[one if known else None for one, known in zip(found.quality.tolist(), has, strict=True)],
        age_ns=[one if known else None for one, known in zip(found.age_ns.tolist(), has, strict=True)],
    )


def _plain_intervals(name: str, found: IntervalArrays) -> PointIntervals:
    def plain(column: Numbers) -> list[float | None]:
        return [None if np.isnan(value) else value for value in column.tolist()]

    return PointIntervals(
        point=name,
        count=found.count.tolist(),
        low=plain(found.low),
        high=plain(found.high),
        mean=plain(found.mean),
        weighted=plain(found.weighted),
        good=found.good.tolist(),
    )


def as_of(
    store: HistoryStore, name: str, times: Integers, tolerance_ns: int, check: Callable[[], None] = _go_on
) -> AsOfArrays:
    """The sample that holds at each time."""
    size = len(times)
    order = np.argsort(times, kind="stable")
    asked = times[order]
    number, kind = np.full(size, np.nan), np.zeros(size, np.uint8)
    quality, age = np.full(size, _NONE, np.uint8), np.zeros(size, np.int64)
    texts: dict[int, str] = {}
    for first, last, track in _pieces(store, name, asked, asked, tolerance_ns, check):
        begin, end = np.searchsorted(asked, (first, last)).tolist()
        row = np.searchsorted(track.time_ns, asked[begin:end], side="right") - 1
        behind = asked[begin:end] - track.time_ns[row] if len(track.time_ns) else np.zeros(0, np.int64)
        holds = np.flatnonzero((row >= 0) & (behind <= tolerance_ns)) if len(track.time_ns) else np.zeros(0, np.int64)
        place, row = order[begin:end][holds], row[holds]
        number[place], kind[place] = track.number[row], track.kind[row]
        quality[place], age[place] = track.quality[row], behind[holds]
        if track.texts:
            texts |= {
                to: track.texts[at] for to, at in zip(place.tolist(), row.tolist(), strict=True) if at in track.texts
            }
    return AsOfArrays(number=number, kind=kind, quality=quality, age_ns=age, texts=texts)


def over(
    store: HistoryStore,
    name: str,
    begin: Integers,
    end: Integers,
    tolerance_ns: int,
    check: Callable[[], None] = _go_on,
) -> IntervalArrays:
    """Statistics of each interval; RequestError where one does not end after its begin."""
    if len(begin) != len(end) or not (begin < end).all():
        raise RequestError(
            "an interval has no end after its begin", code="out_of_range", suggestion="give each begin a later end"
        )
    size = len(begin)
    sums = _Sums(size)
    order = np.argsort(begin, kind="stable")
    for first, last, track in _pieces(store, name, begin[order], end[order], tolerance_ns, check):
        low, high = np.maximum(begin, first), np.minimum(end, last)
        # In order: the sums over index ranges also run over what lies between one range and the next.
        chosen = order[(low < high)[order]]
        sums.add(chosen, low[chosen], high[chosen], track, tolerance_ns)
    with np.errstate(invalid="ignore", divide="ignore"):
        return IntervalArrays(
            count=sums.count,
            low=np.where(np.isfinite(sums.low), sums.low, np.nan),
            high=np.where(np.isfinite(sums.high), sums.high, np.nan),
            mean=sums.total / sums.numbers,
            weighted=sums.integral / sums.weight,
            good=sums.good / (end - begin).view(np.uint64),  # longer than an int64 may be
        )


class _Sums:
    """The sums of intervals over the pieces of time that were read so far."""

    def __init__(self, size: int) -> None:
        self.count = np.zeros(size, np.int64)
        self.numbers = np.zeros(size)
        self.total = np.zeros(size)
        self.low = np.full(size, np.inf)
        self.high = np.full(size, -np.inf)
        self.integral = np.zeros(size)
        self.weight = np.zeros(size)
        self.good = np.zeros(size)

    def add(self, chosen: Integers, begin: Integers, end: Integers, track: PointTrack, tolerance_ns: int) -> None:
        """The parts [begin, end) of these intervals, which lie in the time of the track."""
        time = track.time_ns
        if not len(chosen) or not len(time):
            return
        is_good = track.is_good
        has_number = is_good & ~np.isnan(track.number)
        number = np.where(has_number, track.number, 0.0)
        follows = np.append(time[1:], np.iinfo(np.int64).max)
        until = np.minimum(follows, time + tolerance_ns)
        span = (until - time).astype(np.float64)
        first, past = np.searchsorted(time, begin), np.searchsorted(time, end)
        last = np.maximum(past - 1, 0)

        def each(reduce: Any, column: NDArray[Any], nothing: float, end: Integers = past) -> NDArray[Any]:
            found = reduce(np.append(column, nothing), np.stack((first, end), 1).ravel())[::2]
            return np.where(first < end, found, nothing)

        self.count[chosen] += each(np.add.reduceat, is_good, 0).astype(np.int64)
        self.numbers[chosen] += each(np.add.reduceat, has_number, 0)
        self.total[chosen] += each(np.add.reduceat, number, 0)
        low = each(np.minimum.reduceat, np.where(has_number, number, np.inf), np.inf)
        high = each(np.maximum.reduceat, np.where(has_number, number, -np.inf), -np.inf)
        good = each(np.add.reduceat, span * is_good, 0, last)
        weight = each(np.add.reduceat, span * has_number, 0, last)
        integral = each(np.add.reduceat, span * number, 0, last)
        # The last sample may hold beyond the end, and one from before the begin may hold in it. What is beyond is never
        # added, because to subtract it would leave few digits of a short interval.
        to_end = np.where(first < past, np.minimum(until[last], end) - time[last], 0)
        held = np.maximum(first - 1, 0)
        into = np.where(first > 0, np.maximum(np.minimum(until[held], end) - begin, 0), 0)
        self.good[chosen] += good + to_end * is_good[last] + into * is_good[held]
        self.weight[chosen] += weight + to_end * has_number[last] + into * has_number[held]
        self.integral[chosen] += integral + to_end * number[last] + into * number[held]
        counts = (into > 0) & has_number[held]
        self.low[chosen] = np.minimum(self.low[chosen], np.minimum(low, np.where(counts, number[held], np.inf)))
        self.high[chosen] = np.maximum(self.high[chosen], np.maximum(high, np.where(counts, number[held], -np.inf)))


def _pieces(
    store: HistoryStore, name: str, begin: Integers, end: Integers, tolerance_ns: int, check: Callable[[], None]
) -> Iterator[tuple[int, int, PointTrack]]:
    """Pieces [first, last) of time that hold all intervals, or all times where begin is end; begin is in order. Each
    with its samples and those that may hold at its begin."""
    span = _FIRST_NS
    is_long = tolerance_ns > _TOGETHER_NS
    back = 0 if is_long else tolerance_ns
    for low, high in _stretches(begin, end, tolerance_ns):
        check()
        first = low
        held = of_columns(store.last_before((name,), low - 1, since_ns=low - tolerance_ns)) if is_long else None
        while first < high:
            check()
            last = min(high, first + span)
            track = store.track(name, first - back, last, limit=MOST_ROWS + 1)
            if len(track.time_ns) > MOST_ROWS:
                if span > _SHORTEST_NS:
                    span = max(_SHORTEST_NS, span // 2)
                    continue
                track = store.track(name, first - back, last, limit=2**62)
            if len(track.time_ns) < MOST_ROWS // 3:
                span = min(2 * span, 2**62)
            if held is not None:
                track = held.followed_by(track)
                held = track.last()
            yield first, last, track
            first = last


def _stretches(begin: Integers, end: Integers, tolerance_ns: int) -> list[tuple[int, int]]:
    """Stretches of time that hold all that is asked; long ones between them are left out."""
    if not len(begin):
        return []
    reached = np.maximum.accumulate(np.maximum(end, begin + 1))
    gap = begin[1:] - reached[:-1]
    cuts = np.flatnonzero(gap > max(tolerance_ns, GAP_NS))
    if len(cuts) > _GAPS:
        cuts = np.sort(cuts[np.argsort(gap[cuts])[-_GAPS:]])
    lows = begin[np.append(0, cuts + 1)]
    highs = reached[np.append(cuts, len(begin) - 1)]
    return list(zip(lows.tolist(), highs.tolist(), strict=True))
