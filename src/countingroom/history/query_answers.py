"""The answers to queries: at most the requested number of rows, with gaps where no value was recorded. Pure except for
the store.

This module chooses resolution and gaps, so they are the same for every store; a store only reads.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import structs

from countingroom.core.errors import NotFound, RequestError
from countingroom.core.series import ExportQuery, Last, LastQuery, RangeQuery, RangesQuery, Samples, Series
from countingroom.core.values import Quality
from countingroom.history import buckets, text_stretches
from countingroom.history.buckets import Buckets
from countingroom.history.columns import Columns, Numbers, scalars
from countingroom.history.port import HistoryStore
from countingroom.history.query_plan import QueryPlan, coarser, plan
from countingroom.history.retention import Resolution
from countingroom.history.time_gaps import GAP_NS, ends_before_gap

FEWEST_ROWS, MOST_ROWS = 10, 50_000
_PAGE = 50_000
_WINDOW_NS = 600_000_000_000


def answer_range(store: HistoryStore, query: RangeQuery) -> Series:
    """The series; NotFound for a point without a history, RequestError for a range that ends before it begins."""
    whole = RangesQuery(
        points=(query.point,), start_ns=query.start_ns, end_ns=query.end_ns, max_points=query.max_points
    )
    return answer_ranges(store, whole)[0]


def answer_ranges(store: HistoryStore, query: RangesQuery) -> list[Series]:
    """The series of each point, in the order of the query; errors as of `answer_range`."""
    _check(store, query.points, query.start_ns, query.end_ns)
    if not FEWEST_ROWS <= query.max_points <= MOST_ROWS:
        raise RequestError(
            f"max_points is {query.max_points}", suggestion=f"ask for {FEWEST_ROWS} to {MOST_ROWS}", code="out_of_range"
        )
    has_text = store.points()
    single = {
        name: RangeQuery(point=name, start_ns=query.start_ns, end_ns=query.end_ns, max_points=query.max_points)
        for name in query.points
    }
    numbers = [one for name, one in single.items() if not has_text[name]]
    found = _numbers(store, query, numbers) if numbers else {}
    for name, one in single.items():
        if has_text[name]:
            found[name] = text_stretches.series(one, text_stretches.stretches(_texts(store, one)))
    return [found[name] for name in query.points]


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
    rows = _held(store, (query.point,), query.start_ns)
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


def _held(store: HistoryStore, names: tuple[str, ...], start_ns: int) -> Columns:
    """The samples that were in force when the range began, of each point that has one."""
    return store.last_before(names, start_ns - 1, since_ns=start_ns - GAP_NS)


def _numbers(store: HistoryStore, query: RangesQuery, wanted: list[RangeQuery]) -> dict[str, Series]:
    """Series of points that have numbers, read together."""
    names = tuple(one.point for one in wanted)
    horizon = store.horizon()
    chosen = plan(query.start_ns, query.end_ns, query.max_points, horizon)
    rows = store.buckets_each(names, query.start_ns, query.end_ns, chosen)
    found: dict[str, Series] = {}
    if query.start_ns >= horizon.raw_ns:
        few = [one for one in wanted if _is_few(store, one, chosen, rows[one.point])]
        found = _unreduced(store, few)
    while left := [one for one in wanted if one.point not in found]:
        drawn = _drawn(store, left, chosen, {one.point: rows[one.point] for one in left})
        found |= {series.point: series for series in drawn if len(series.time_ns) <= query.max_points}
        chosen = coarser(chosen)
        if names := tuple(one.point for one in left if one.point not in found):
            rows = store.buckets_each(names, query.start_ns, query.end_ns, chosen)
    return found


def _is_few(store: HistoryStore, query: RangeQuery, chosen: QueryPlan, rows: Buckets) -> bool:
    """Whether all samples of the range are few enough to be the answer. `rows` are the buckets of the range."""
    if chosen.base is Resolution.RAW:
        return int(rows.count.sum()) <= query.max_points
    is_inside = (rows.begin_ns >= query.start_ns) & (rows.begin_ns + chosen.bucket_ns <= query.end_ns)
    if int(rows.count[is_inside].sum()) > query.max_points:
        return False
    return store.fits(query.point, query.start_ns, query.end_ns, query.max_points)


def _unreduced(store: HistoryStore, wanted: list[RangeQuery]) -> dict[str, Series]:
    """Series of every sample, of points with few samples in the range; without those that gaps make too long."""
    if not wanted:
        return {}
    names = tuple(one.point for one in wanted)
    every = _by_name(store.samples(names, wanted[0].start_ns, wanted[0].end_ns, limit=2**62), names)
    rows = {name: buckets.samples(own.time_ns, own.number, own.quality.astype(np.int64)) for name, own in every.items()}
    drawn = _drawn(store, wanted, None, rows)
    return {
        one.point: series for one, series in zip(wanted, drawn, strict=True) if len(series.time_ns) <= one.max_points
    }


def _drawn(
    store: HistoryStore, wanted: list[RangeQuery], chosen: QueryPlan | None, rows: dict[str, Buckets]
) -> list[Series]:
    """The series of each. What held before is read only where nothing of the range begins with it: of dense points
    never, and it is half of what the answer costs."""
    start_ns = wanted[0].start_ns
    late = tuple(
        one.point for one in wanted if not (len(rows[one.point].begin_ns) and rows[one.point].begin_ns[0] <= start_ns)
    )
    held = _by_name(_held(store, late, start_ns), late) if late else {}
    return [_draw(one, chosen, rows[one.point], held.get(one.point)) for one in wanted]


def _by_name(columns: Columns, names: tuple[str, ...]) -> dict[str, Columns]:
    """The rows of each point, in their order."""
    if len(names) == 1:
        return {names[0]: columns}
    places = {name: place for place, name in enumerate(names)}
    place = np.fromiter(map(places.__getitem__, columns.names), np.int64, len(columns))
    return {name: columns.chosen(np.flatnonzero(place == places[name])) for name in names}


def _draw(query: RangeQuery, chosen: QueryPlan | None, rows: Buckets, held: Columns | None) -> Series:
    """Buckets, or samples where there is no plan, with the value that held before (None: they begin with the range)
    and the gaps."""
    time = np.maximum(rows.begin_ns, query.start_ns)
    if held:
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
