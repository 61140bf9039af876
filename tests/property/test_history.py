"""What is reduced agrees with what anybody computes from the samples by hand."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.messages import Readings
from countingroom.core.series import RangeQuery
from countingroom.core.values import Quality
from countingroom.history.buckets import Buckets, merge, reduce
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.missing_messages import Hole, Numbering
from countingroom.history.port import HistoryStore, Position
from countingroom.history.query_answers import answer_range
from countingroom.history.query_plan import QueryPlan, plan
from countingroom.history.retention import Horizon, Resolution
from countingroom.history.text_stretches import TextSample, stretches
from countingroom.history.time_gaps import GAP_NS, ends_before_gap
from tests.examples import examples
from tests.memory_store import MemoryStore

S = 1_000_000_000
number = st.floats(-1e6, 1e6, width=32)
sample = st.tuples(st.integers(0, 4000 * S), number, st.sampled_from([0, 0, 0, 1, 2, 3]))
samples = st.lists(sample, min_size=1, max_size=60)


def arrays(rows: list[tuple[int, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, value, quality = zip(*rows, strict=True)
    values = [math.nan if q == Quality.BAD else v for v, q in zip(value, quality, strict=True)]
    return np.array(time, np.int64), np.array(values), np.array(quality, np.int64)


def equal(one: Buckets, other: Buckets) -> None:
    for name in Buckets.__struct_fields__:
        assert np.allclose(getattr(one, name), getattr(other, name), equal_nan=True), name


@given(samples, st.sampled_from([1, 7 * S, 60 * S, 300 * S]))
def test_buckets_are_what_a_loop_computes(rows: list[tuple[int, float, int]], bucket_ns: int) -> None:
    found = reduce(*arrays(rows), bucket_ns)
    assert found.begin_ns.tolist() == sorted({time // bucket_ns * bucket_ns for time, _, _ in rows})
    for row, begin in enumerate(found.begin_ns.tolist()):
        inside = [r for r in rows if begin <= r[0] < begin + bucket_ns]
        good = [value for _, value, quality in inside if quality < Quality.STALE]
        assert (found.count[row], found.good[row]) == (len(inside), len(good))
        assert found.quality[row] == max(quality for _, _, quality in inside)
        assert (found.first_ns[row], found.last_ns[row]) == (min(inside)[0], max(inside)[0])
        if good:
            assert (found.low[row], found.high[row]) == (min(good), max(good))
            assert math.isclose(found.total[row], math.fsum(good), abs_tol=1e-3)
        else:
            assert np.isnan([found.low[row], found.high[row], found.total[row]]).all()


@given(samples)
def test_stages_lose_nothing(rows: list[tuple[int, float, int]]) -> None:
    rows = list({time: (time, value, quality) for time, value, quality in rows}.values())
    direct = reduce(*arrays(rows), 300 * S)
    equal(merge(reduce(*arrays(rows), 60 * S), 300 * S), direct)
    equal(merge(direct, 300 * S), direct)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30, unique=True), st.integers(10_001, 20_000))
def test_a_gap_is_where_nothing_was_heard_for_too_long(seconds: list[int], end: int) -> None:
    times = np.array(sorted(seconds), np.int64) * S
    found = ends_before_gap(times, times, end * S).tolist()
    following = [*times[1:].tolist(), end * S]
    assert found == [then - at > GAP_NS for at, then in zip(times.tolist(), following, strict=True)]


@given(st.integers(0, 10**18), st.integers(1, 10**17), st.integers(10, 5000), st.integers(0, 10**18))
def test_a_plan_fits_and_reads_only_what_is_kept(start: int, span: int, rows: int, raw_ns: int) -> None:
    made = plan(start, start + span, rows, Horizon(raw_ns=raw_ns, minute_ns=raw_ns // 2))
    first, last = start // made.bucket_ns, (start + span - 1) // made.bucket_ns
    assert last - first + 1 <= rows
    assert made.base is not Resolution.RAW or start >= raw_ns
    assert made.base is not Resolution.MINUTE or start >= raw_ns // 2
    assert not made.base or made.bucket_ns % made.base == 0


@given(st.lists(st.tuples(st.integers(1, 200), st.sampled_from("ab"), st.sampled_from([0, 2])), max_size=40))
def test_thinned_texts_can_be_filled_up_again(steps: list[tuple[int, str, int]]) -> None:
    time = 0
    told: list[TextSample] = []
    for seconds, text, quality in steps:
        time += seconds * S
        told.append(TextSample(time_ns=time, text=text, quality=quality))
    found = stretches(told)
    assert sum(stretch.count for stretch in found) == len(told)
    for one in told:
        holding = [stretch for stretch in found if stretch.begin_ns <= one.time_ns <= stretch.last_ns]
        assert [(stretch.text, stretch.quality) for stretch in holding] == [(one.text, one.quality)]


@given(st.lists(st.integers(1, 60), max_size=60))
def test_every_number_is_taken_once_and_every_missing_one_is_in_a_hole(numbers: list[int]) -> None:
    numbering = Numbering()
    taken: list[int] = []
    missing: set[int] = set()
    for one in numbers:
        match numbering.take(readings([(one, 0.0, 0)], number=one)):
            case Hole(first=first, last=last):
                missing |= set(range(first, last + 1))
                taken.append(one)
            case True:
                taken.append(one)
            case False:
                pass
    begin = numbers[0] if numbers else 1
    assert len(taken) == len(set(taken))
    assert set(taken) == {one for one in numbers if one >= begin}
    assert set(range(begin, max(numbers, default=0) + 1)) - set(taken) <= missing


def readings(rows: list[tuple[int, float, int]], *, number: int = 1) -> Readings:
    return Readings(
        device="d",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=rows[-1][0],
        points=["p"] * len(rows),
        values=[None if quality == Quality.BAD else value for _, value, quality in rows],
        qualities=[quality for _, _, quality in rows],
        device_ns=[time for time, _, _ in rows],
        received_ns=[time for time, _, _ in rows],
    )


step = st.one_of(
    st.lists(st.tuples(st.integers(0, 7200 * S), number, st.sampled_from([0, 0, 1, 3])), min_size=1, max_size=20),
    st.integers(0, 7200 * S),
)


@settings(max_examples=examples(25, part=2), deadline=None)
@given(st.lists(step, max_size=8), st.integers(0, 3600), st.integers(1, 7200), st.integers(10, 60))
def test_the_fast_store_answers_as_the_plain_one(
    steps: list[list[tuple[int, float, int]] | int], start: int, span: int, most: int
) -> None:
    """Appends and maintenance in any order, samples late at will."""
    query = RangeQuery(point="d.p", start_ns=start * S, end_ns=(start + span) * S, max_points=most)
    with TemporaryDirectory() as directory:
        plain, fast = MemoryStore(), DuckStore(Path(directory) / "h.duckdb")
        stores: tuple[HistoryStore, HistoryStore] = (plain, fast)
        for place, one in enumerate([[(0, 0.0, 0)], *steps]):
            for store in stores:
                if isinstance(one, int):
                    store.maintain(one)
                else:
                    store.append(flatten([readings(one)]), Position(sequence=place + 1, stored_ns=place + 1))
        for base, bucket in (
            (Resolution.MINUTE, 120 * S),
            (Resolution.FIVE_MINUTES, 300 * S),
            (Resolution.RAW, 13 * S),
        ):
            made = QueryPlan(base=base, bucket_ns=bucket)
            mine, other = (store.buckets("d.p", query.start_ns, query.end_ns, made) for store in stores)
            for name in ("begin_ns", "count", "good", "low", "high", "total", "quality", "first_ns", "last_ns"):
                assert np.allclose(getattr(mine, name), getattr(other, name), equal_nan=True), name
        one, two = answer_range(plain, query), answer_range(fast, query)
        assert (one.time_ns, one.quality, one.count, one.resolution) == (
            two.time_ns,
            two.quality,
            two.count,
            two.resolution,
        )
        fast.close()
