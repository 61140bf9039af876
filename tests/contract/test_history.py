"""Every store of time series behaves as history/port.py says, and so does what is answered from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from countingroom.core.errors import NotFound, RequestError
from countingroom.core.messages import Readings
from countingroom.core.series import ExportQuery, LastQuery, RangeQuery, RangesQuery, Series
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import flatten
from countingroom.history.description import HistorySection, Retention
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import HistoryStore, Position
from countingroom.history.query_answers import answer_export, answer_last, answer_range, answer_ranges
from countingroom.history.query_plan import QueryPlan
from countingroom.history.retention import MINUTE_NS, Resolution
from tests.memory_store import MemoryStore

S = 1_000_000_000
HOUR = 3600 * S
T0 = 1_790_000_100 * S // (300 * S) * (300 * S)
GOOD, UNCERTAIN, STALE, BAD = Quality
KEEP = Retention(raw=3600.0, minute=7200.0, five_minutes=18000.0)

Open = Callable[[], HistoryStore]


@pytest.fixture(params=["memory", "duckdb"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HistoryStore]:
    if request.param == "memory":
        store: HistoryStore = MemoryStore(KEEP)
    else:
        store = DuckStore(tmp_path / "history.duckdb", HistorySection(keep=KEEP))
    yield store
    store.close()


def message(point: str, rows: list[tuple[int, Scalar, Quality]], *, full: bool = False, sent: int = 0) -> Readings:
    times = [time for time, _, _ in rows]
    return Readings(
        device="caen",
        boot="b",
        sequence=1,
        full=full,
        sent_ns=sent or max(times, default=0),
        points=[point] * len(rows),
        values=[value for _, value, _ in rows],
        qualities=[int(quality) for _, _, quality in rows],
        device_ns=times,
        received_ns=[time + 1 for time in times],
    )


def put(store: HistoryStore, point: str, rows: list[tuple[int, Scalar]], quality: Quality = GOOD) -> None:
    sequence = store.position().sequence + 1
    messages = [message(point, [(time, value, quality)]) for time, value in rows]
    store.append(flatten(messages), Position(sequence=sequence, stored_ns=sequence))


def ask(store: HistoryStore, point: str, start: int, end: int, most: int = 2000) -> Series:
    series = answer_range(store, RangeQuery(point=f"caen.{point}", start_ns=start, end_ns=end, max_points=most))
    lengths = {len(c) for c in (series.time_ns, series.mean, series.low, series.high, series.quality, series.count)}
    assert lengths == {len(series.time_ns)}
    assert len(series.time_ns) <= most
    assert series.time_ns == sorted(set(series.time_ns))
    return series


def test_a_new_store_is_empty_and_at_the_beginning(opened: HistoryStore) -> None:
    assert opened.position() == Position()
    assert opened.points() == {}
    assert len(opened.last_before(("caen.v",), T0)) == 0
    assert opened.maintain(T0).rolled == 0


def test_what_was_appended_comes_back_as_it_was(opened: HistoryStore) -> None:
    values: list[Scalar] = [1.5, 7, True, False, None, "ramping", 2**52 + 1]
    rows = [(T0 + k * S, value, BAD if value is None else UNCERTAIN) for k, value in enumerate(values)]
    opened.append(flatten([message("v", rows)]), Position(sequence=9, stored_ns=99))
    found = opened.samples(("caen.v",), T0, T0 + HOUR, limit=100)
    back = [found.value(row) for row in range(len(found))]
    assert back == values
    assert list(map(type, back)) == list(map(type, values))
    assert found.quality.tolist() == [int(quality) for _, _, quality in rows]
    assert found.device_ns.tolist() == [time for time, _, _ in rows]
    assert found.received_ns.tolist() == [time + 1 for time, _, _ in rows]
    assert opened.position() == Position(sequence=9, stored_ns=99)


def test_an_append_that_is_repeated_changes_nothing(opened: HistoryStore) -> None:
    columns = flatten([message("v", [(T0, 1.0, GOOD)])])
    for _ in range(2):
        opened.append(columns, Position(sequence=3, stored_ns=33))
    assert len(opened.samples(("caen.v",), 0, T0 + 1, limit=9)) == 1


def test_a_range_holds_its_begin_and_not_its_end(opened: HistoryStore) -> None:
    put(opened, "v", [(T0 + k, float(k)) for k in range(5)])
    found = opened.samples(("caen.v",), T0 + 1, T0 + 3, limit=100)
    assert found.number.tolist() == [1.0, 2.0]
    assert opened.fits("caen.v", T0 + 1, T0 + 3, 2)
    assert not opened.fits("caen.v", T0 + 1, T0 + 3, 1)


def test_few_samples_are_answered_raw(opened: HistoryStore) -> None:
    put(opened, "v", [(T0 + k * S, k * 1.5) for k in range(20)])
    series = ask(opened, "v", T0, T0 + 20 * S)
    assert series.resolution == "raw"
    assert series.time_ns == [T0 + k * S for k in range(20)]
    assert series.mean == series.low == series.high == [k * 1.5 for k in range(20)]
    assert series.count == [1] * 20
    assert series.text is None


def test_many_samples_are_reduced_to_min_max_and_mean(opened: HistoryStore) -> None:
    rng = np.random.default_rng(5)
    time = np.sort(rng.integers(0, 1000 * S, 5000))
    number = rng.normal(size=5000)
    put(opened, "v", [(T0 + int(t), float(v)) for t, v in zip(time, number, strict=True)])
    series = ask(opened, "v", T0, T0 + 1000 * S, most=101)
    assert series.resolution == "raw/10s"
    assert series.bucket_ns == 10 * S
    assert sum(series.count) == 5000
    for begin, low, high, mean, count in zip(
        series.time_ns, series.low, series.high, series.mean, series.count, strict=True
    ):
        inside = number[(T0 + time >= begin) & (T0 + time < begin + 10 * S)]
        assert (count, low, high) == (len(inside), inside.min(), inside.max())
        assert mean == pytest.approx(inside.mean())


def test_a_hole_breaks_the_line(opened: HistoryStore) -> None:
    put(opened, "v", [(T0, 1.0), (T0 + 60 * S, 2.0), (T0 + 600 * S, 3.0)])
    series = ask(opened, "v", T0, T0 + 620 * S)
    assert series.time_ns == [T0, T0 + 60 * S, T0 + 60 * S + 1, T0 + 600 * S]
    assert series.mean == [1.0, 2.0, None, 3.0]
    assert series.quality == [GOOD, GOOD, BAD, GOOD]
    assert series.count == [1, 1, 0, 1]


def test_a_point_that_fell_silent_ends(opened: HistoryStore) -> None:
    put(opened, "v", [(T0, 1.0)])
    assert ask(opened, "v", T0, T0 + HOUR).mean == [1.0, None]
    assert ask(opened, "v", T0, T0 + 100 * S).mean == [1.0]


@pytest.mark.parametrize("most", [10, 11, 40])
def test_gaps_count_as_rows(opened: HistoryStore, most: int) -> None:
    put(opened, "v", [(T0 + k * 200 * S, float(k)) for k in range(30)])
    series = ask(opened, "v", T0, T0 + 6000 * S, most=most)
    assert sum(series.count) == 30


def test_the_value_that_held_before_begins_the_series(opened: HistoryStore) -> None:
    put(opened, "v", [(T0, 4.0)])
    series = ask(opened, "v", T0 + 10 * S, T0 + 20 * S)
    assert (series.time_ns, series.mean, series.count) == ([T0 + 10 * S], [4.0], [0])
    assert ask(opened, "v", T0 + 300 * S, T0 + 310 * S).time_ns == []


def test_stale_and_bad_samples_are_kept_and_have_no_part_in_means(opened: HistoryStore) -> None:
    put(opened, "v", [(T0 + k * S, 1.0) for k in range(50)])
    put(opened, "v", [(T0 + k * S, 9.0) for k in range(50, 100)], STALE)
    put(opened, "v", [(T0 + 100 * S, None)], BAD)
    raw = ask(opened, "v", T0 + 98 * S, T0 + 102 * S)
    assert raw.mean == [9.0, 9.0, None]
    assert raw.quality == [STALE, STALE, BAD]
    reduced = ask(opened, "v", T0, T0 + 101 * S, most=10)
    assert reduced.resolution == "raw/12s"
    assert sum(reduced.count) == 101
    assert {1.0, None} == set(reduced.high)
    assert max(reduced.quality) == BAD
    assert reduced.quality[0] == GOOD


def test_long_ranges_come_from_minutes_and_late_samples_are_in(opened: HistoryStore) -> None:
    put(opened, "v", [(T0 + k * 10 * S, float(k % 7)) for k in range(720)])
    before = ask(opened, "v", T0, T0 + 2 * HOUR, most=100)
    assert before.resolution == "1min/2min"
    assert opened.maintain(T0 + 120 * S).rolled in (0, 2)
    assert ask(opened, "v", T0, T0 + 2 * HOUR, most=100) == before
    put(opened, "v", [(T0 + 30 * S + 1, 100.0), (T0 + 31 * S, -5.0)])
    late = ask(opened, "v", T0, T0 + 2 * HOUR, most=100)
    assert (late.high[0], late.low[0], late.count[0]) == (100.0, -5.0, before.count[0] + 2)
    for _ in range(2):
        opened.maintain(T0 + 120 * S)
        assert ask(opened, "v", T0, T0 + 2 * HOUR, most=100) == late


def test_summaries_outlive_raw_samples_and_equal_them(opened: HistoryStore) -> None:
    rng = np.random.default_rng(7)
    put(opened, "v", [(T0 + k * 7 * S, float(v)) for k, v in enumerate(rng.normal(size=1500))])
    plan = QueryPlan(base=Resolution.FIVE_MINUTES, bucket_ns=600 * S)
    fresh = opened.buckets("caen.v", T0, T0 + 3 * HOUR, plan)
    for now in (T0 + 2 * HOUR, T0 + 2 * HOUR, T0 + 4 * HOUR, T0 + 5 * HOUR - 1):
        opened.maintain(now)
        kept = opened.buckets("caen.v", T0, T0 + 3 * HOUR, plan)
        assert kept.begin_ns.tolist() == fresh.begin_ns.tolist()
        for name in ("count", "good", "low", "high", "first_ns", "last_ns", "quality"):
            assert getattr(kept, name).tolist() == getattr(fresh, name).tolist()
        assert np.allclose(kept.total, fresh.total)
    assert len(opened.samples(("caen.v",), 0, T0 + HOUR, limit=9)) == 0
    assert opened.horizon().raw_ns == T0 + 4 * HOUR - 300 * S
    assert ask(opened, "v", T0, T0 + HOUR, most=2000).resolution == "5min"
    opened.maintain(T0 + 6 * HOUR)
    assert T0 + HOUR <= int(opened.buckets("caen.v", 0, T0 + 3 * HOUR, plan).first_ns[0]) < T0 + HOUR + 10 * S


def test_samples_later_than_the_raw_horizon_still_count(opened: HistoryStore) -> None:
    put(opened, "v", [(T0 + k * S, 1.0) for k in range(0, 600, 10)])
    opened.maintain(T0 + HOUR + 900 * S)
    assert opened.horizon().raw_ns > T0 + 600 * S
    put(opened, "v", [(T0 + 5 * S, 3.0)])
    opened.maintain(T0 + HOUR + 900 * S)
    opened.maintain(T0 + HOUR + 901 * S)
    minutes = opened.buckets("caen.v", T0, T0 + 600 * S, QueryPlan(base=Resolution.MINUTE, bucket_ns=MINUTE_NS))
    assert minutes.count.tolist() == [7] + [6] * 9
    assert minutes.high.tolist()[:2] == [3.0, 1.0]
    fives = opened.buckets("caen.v", T0, T0 + 600 * S, QueryPlan(base=Resolution.FIVE_MINUTES, bucket_ns=300 * S))
    assert fives.count.tolist() == [31, 30]


def test_several_points_in_one_question_are_answered_as_each_alone(opened: HistoryStore) -> None:
    put(opened, "many", [(T0 + k * S, float(k % 7)) for k in range(3000)])
    put(opened, "few", [(T0 + k * 900 * S, float(k)) for k in range(3)])
    put(opened, "state", [(T0, "OFF"), (T0 + 60 * S, "ON")])
    names = ("caen.state", "caen.few", "caen.many")
    for end, most in ((T0 + 3000 * S, 100), (T0 + 4 * HOUR, 20), (T0 + 100 * S, 2000)):
        query = RangesQuery(points=names, start_ns=T0, end_ns=end, max_points=most)
        alone = [ask(opened, name.removeprefix("caen."), T0, end, most) for name in names]
        assert answer_ranges(opened, query) == alone
    plan = QueryPlan(base=Resolution.RAW, bucket_ns=10 * S)
    each = opened.buckets_each((*names, "caen.none"), T0, T0 + HOUR, plan)
    assert {name: int(rows.count.sum()) for name, rows in each.items()} == {
        "caen.state": 0,
        "caen.few": 3,
        "caen.many": 3000,
        "caen.none": 0,
    }


def test_texts_are_thinned_to_changes(opened: HistoryStore) -> None:
    words = ["OFF"] * 5 + ["ON"] * 5 + ["OFF"] * 5
    put(opened, "state", [(T0 + k * 60 * S, word) for k, word in enumerate(words)])
    put(opened, "state", [(T0 + HOUR, "ON")])
    series = ask(opened, "state", T0, T0 + HOUR + S)
    assert series.text == ["OFF", "ON", "OFF", None, "ON"]
    assert series.count == [5, 5, 5, 0, 1]
    assert series.quality == [GOOD, GOOD, GOOD, BAD, GOOD]
    assert ask(opened, "state", T0 + 30 * S, T0 + 40 * S).text == ["OFF"]
    assert opened.points() == {"caen.state": True}


def test_texts_are_kept_as_long_as_minutes_and_no_longer(opened: HistoryStore) -> None:
    put(opened, "state", [(T0, "OFF"), (T0 + HOUR, "ON")])

    def kept() -> list[Scalar]:
        rows = opened.samples(("caen.state",), 0, T0 + 9 * HOUR, limit=9)
        return [rows.value(row) for row in range(len(rows))]

    opened.maintain(T0 + HOUR + 900 * S)
    assert opened.horizon().raw_ns > T0
    assert kept() == ["OFF", "ON"]
    opened.maintain(T0 + 2 * HOUR + 900 * S)
    assert kept() == ["ON"]
    opened.maintain(T0 + 3 * HOUR + 900 * S)
    assert kept() == []


def test_too_many_texts_keep_the_last_of_each_bucket(opened: HistoryStore) -> None:
    put(opened, "state", [(T0 + k * S, str(k)) for k in range(1000)])
    series = ask(opened, "state", T0, T0 + 1000 * S, most=20)
    assert series.text is not None
    assert series.text[-1] == "999"
    assert series.resolution.startswith("raw/")


def test_the_last_reading_before_a_time(opened: HistoryStore) -> None:
    put(opened, "old", [(T0 - 20 * HOUR, 1.0)])
    put(opened, "v", [(T0, 2.0), (T0 + S, 3.0)])
    put(opened, "state", [(T0 - 5 * S, "ON")])
    query = LastQuery(points=("caen.v", "caen.old", "caen.state", "caen.none"), at_ns=T0)
    found = answer_last(opened, query).readings
    assert {name: reading.value for name, reading in found.items()} == {
        "caen.v": 2.0,
        "caen.old": 1.0,
        "caen.state": "ON",
    }
    assert found["caen.old"].device_ns == T0 - 20 * HOUR
    assert answer_last(opened, LastQuery(points=("caen.v",), at_ns=T0 - 1)).readings == {}
    assert answer_last(opened, LastQuery(points=(), at_ns=T0)).readings == {}


def test_an_export_gives_every_sample_once_page_by_page(opened: HistoryStore) -> None:
    put(opened, "a", [(T0 + k * 900 * S, float(k)) for k in range(60)])
    put(opened, "b", [(T0 + k * 900 * S, str(k)) for k in range(60)])
    put(opened, "a", [(T0 + 5, -1.0)] * 7)
    start: int | None = T0 - HOUR
    rows: list[tuple[int, int, Scalar]] = []
    pages = 0
    while start is not None:
        query = ExportQuery(points=("caen.b", "caen.a"), start_ns=start, end_ns=T0 + 60 * 900 * S, limit=5)
        page, start = answer_export(opened, query)
        rows += zip(page.point, page.time_ns, page.value, strict=True)
        pages += 1
    assert pages > 10
    assert [time for _, time, _ in rows] == sorted(time for _, time, _ in rows)
    assert sorted(str(v) for p, _, v in rows if p == 0) == sorted(map(str, range(60)))
    assert sorted(str(v) for p, _, v in rows if p == 1) == sorted(map(str, [float(k) for k in range(60)] + [-1.0] * 7))


def test_a_question_about_nothing_is_refused(opened: HistoryStore) -> None:
    put(opened, "v", [(T0, 1.0)])
    with pytest.raises(NotFound, match=r"caen\.w"):
        ask(opened, "w", T0, T0 + S)
    with pytest.raises(RequestError, match="ends before"):
        ask(opened, "v", T0, T0)
    with pytest.raises(RequestError, match="max_points"):
        answer_range(opened, RangeQuery(point="caen.v", start_ns=T0, end_ns=T0 + S, max_points=1))
