"""The answers to queries: no more rows than asked for, with gaps where no value was recorded. Pure but for the store.

What is read, in which resolution and where lines end is the same for every store; a store only reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import structs

from countingroom.core.errors import NotFound, RequestError
from countingroom.core.series import ExportQuery, Last, LastQuery, RangeQuery, Samples, Series
from countingroom.core.values import Quality
from countingroom.history import buckets, text_stretches
from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns, Numbers, scalars
from countingroom.history.port import HistoryStore
from countingroom.history.query_plan import QueryPlan, coarser, plan
from countingroom.history.time_gaps import GAP_NS, ends_before_gap

FEWEST_ROWS, MOST_ROWS = 10, 50_000
_PAGE = 50_000
_WINDOW_NS = 600_000_000_000


def answer_range(store: HistoryStore, query: RangeQuery) -> Series:
    """The series; NotFound for a point without a history, RequestError for a range that ends before it begins."""
    _check(store, (query.point,), query.start_ns, query.end_ns)
    if not FEWEST_ROWS <= query.max_points <= MOST_ROWS:
        raise RequestError(
            f"max_points is {query.max_points}", suggestion=f"ask for {FEWEST_ROWS} to {MOST_ROWS}", code="out_of_range"
        )
    if store.points()[query.point]:
        return text_stretches.series(query, text_stretches.stretches(_texts(store, query)))
    return _numbers(store, query)


def answer_last(store: HistoryStore, query: LastQuery) -> Last:
    """The readings; points that have none are left out."""
    rows = store.last_before(query.points, query.at_ns)
    return Last(readings={name: rows.reading(row) for row, name in enumerate(rows.names)})


def answer_export(store: HistoryStore, query: ExportQuery) -> tuple[Samples, int | None]:
    """A page, and where the next one starts or None."""
    _check(store, query.points, query.start_ns, query.end_ns)
    limit = min(max(1, query.limit), _PAGE)
    rows, following = _page(store, query.points, query.start_ns, query.end_ns, limit)
    index = {name: place for place, name in enumerate(query.points)}
    page = Samples(
        point=[index[name] for name in rows.names],
        time_ns=rows.time_ns.tolist(),
        value=scalars(rows),
        quality=rows.quality.tolist(),
        device_ns=rows.device_ns.tolist(),
        received_ns=rows.received_ns.tolist(),
    )
    if query.messages:
        page = structs.replace(
            page,
            sent_ns=rows.sent_ns.tolist(),
            place=rows.place.tolist(),
            alarm=rows.alarm.tolist(),
            whole=rows.whole.tolist(),
        )
    return page, following


def _check(store: HistoryStore, names: tuple[str, ...], start_ns: int, end_ns: int) -> None:
    if start_ns >= end_ns:
        raise RequestError("the range ends before it begins", code="out_of_range", suggestion="give from before to")
    known = store.points()
    if missing := [name for name in names if name not in known]:
        raise NotFound(
            f"there is no history of {', '.join(missing)}",
            suggestion="look up the points that have one: countingroom history points",
        )


def _page(store: HistoryStore, names: tuple[str, ...], start: int, end: int, limit: int) -> tuple[Columns, int | None]:
    """Some rows and where the next page starts. Rows of one time are on one page, however many they are."""
    window = _WINDOW_NS
    while True:
        stop = min(end, start + window)
        rows = store.samples(names, start, stop, limit=limit + 1)
        if len(rows) > limit:
            stop = max(int(rows.time_ns[-1]), int(rows.time_ns[0]) + 1)
            rows = store.samples(names, start, stop, limit=2**62)
        if len(rows) or stop == end:
            return rows, None if stop == end else stop
        start, window = stop, 2 * window


def _texts(store: HistoryStore, query: RangeQuery) -> Iterator[text_stretches.TextSample]:
    """The text that held when the range began, then every sample in it."""
    start: int | None = query.start_ns
    rows = _held(store, query)
    while True:
        for row in range(len(rows)):
            value = rows.value(row)
            yield text_stretches.TextSample(
                time_ns=int(rows.time_ns[row]),
                text=None if value is None else str(value),
                quality=int(rows.quality[row]),
            )
        if start is None:
            return
        rows, start = _page(store, (query.point,), start, query.end_ns, _PAGE)


def _held(store: HistoryStore, query: RangeQuery) -> Columns:
    """The sample that was in force when the range began, if there is one."""
    return store.last_before((query.point,), query.start_ns - 1, since_ns=query.start_ns - GAP_NS)


def _numbers(store: HistoryStore, query: RangeQuery) -> Series:
    horizon, held = store.horizon(), _held(store, query)
    chosen = plan(query.start_ns, query.end_ns, query.max_points, horizon)
    if query.start_ns >= horizon.raw_ns and store.fits(query.point, query.start_ns, query.end_ns, query.max_points):
        every = store.samples((query.point,), query.start_ns, query.end_ns, limit=query.max_points)
        series = _draw(query, None, buckets.samples(every.time_ns, every.number, every.quality.astype(np.int64)), held)
        if len(series.time_ns) <= query.max_points:
            return series
    while True:
        rows = store.buckets(query.point, query.start_ns, query.end_ns, chosen)
        series = _draw(query, chosen, rows, held)
        if len(series.time_ns) <= query.max_points:
            return series
        chosen = coarser(chosen)


def _draw(query: RangeQuery, chosen: QueryPlan | None, rows: Buckets, held: Columns) -> Series:
    """Buckets, or samples where there is no plan, with the value that held before and the gaps."""
    time = np.maximum(rows.begin_ns, query.start_ns)
    if len(held) and not (len(time) and time[0] == query.start_ns):
        before = buckets.samples(held.time_ns, held.number, held.quality.astype(np.int64))
        rows = buckets.concatenate((before, rows))
        time = np.append(query.start_ns, time)
        count = np.append(0, rows.count[1:])
    else:
        count = rows.count
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = rows.total / rows.good
    ends = np.flatnonzero(ends_before_gap(rows.first_ns, rows.last_ns, query.end_ns))
    after = ends + 1
    return Series(
        point=query.point,
        resolution=chosen.label if chosen else "raw",
        bucket_ns=chosen.bucket_ns if chosen else 0,
        time_ns=np.insert(time, after, np.maximum(rows.last_ns[ends], time[ends]) + 1).tolist(),
        mean=_plain(np.insert(mean, after, np.nan)),
        low=_plain(np.insert(rows.low, after, np.nan)),
        high=_plain(np.insert(rows.high, after, np.nan)),
        quality=np.insert(rows.quality, after, Quality.BAD).tolist(),
        count=np.insert(count, after, 0).tolist(),
    )


def _plain(column: Numbers) -> list[float | None]:
    """Numbers as JSON has them: None where there is none."""
    return [value if finite else None for value, finite in zip(column.tolist(), np.isfinite(column), strict=True)]
