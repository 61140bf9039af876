"""Values at times and statistics of intervals are what the definition says, from every store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core import history_conditions as plain
from countingroom.core.messages import Readings
from countingroom.core.values import Quality, Scalar
from countingroom.history import conditions
from countingroom.history.columns import flatten
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.port import HistoryStore, Position
from tests.examples import examples
from tests.memory_store import MemoryStore

S = 1_000_000_000
T0 = 1_790_000_000 * S

number = st.one_of(st.floats(-1e6, 1e6), st.integers(-1000, 1000), st.booleans(), st.none())
value = st.one_of(number, number, number, st.sampled_from(["ON", "OFF"]))
row = st.tuples(st.integers(0, 30), st.integers(0, 2), value, st.sampled_from([0, 0, 0, 1, 2, 3]))
"""Second of the device's clock, which leaps at will, later reception, value, quality."""
times = st.lists(st.integers(-5, 40), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def readings(rows: list[tuple[int, int, Scalar, int]], point: str) -> Readings:
    return Readings(
        device="d",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=T0 + 31 * S,
        points=[point] * len(rows),
        values=[None if quality == Quality.BAD else one for _, _, one, quality in rows],
        qualities=[quality for _, _, _, quality in rows],
        device_ns=[T0 + second * S for second, _, _, _ in rows],
        received_ns=[T0 + second * S + later for second, later, _, _ in rows],
    )


@settings(max_examples=examples(25, part=2), deadline=None)
@given(
    st.lists(st.lists(row, min_size=1, max_size=12), min_size=1, max_size=4),
    times,
    times,
    st.sampled_from([0, 1, 3, 100, 1_000_000]),
    st.sampled_from([2, 1_000_000]),
    st.sampled_from(list(Quality)),
)
def test_conditions_are_what_the_definition_says(
    folder: Path,
    batches: list[list[tuple[int, int, Scalar, int]]],
    begin: list[int],
    spans: list[int],
    tolerance_s: int,
    together: int,
    worst: Quality,
) -> None:
    """Duplicates, gaps, equal times, bad quality, leaps of the clock; read at once or a few rows at a time."""
    fast = shared(folder)
    stores: tuple[HistoryStore, ...] = (MemoryStore(), fast)
    point = f"p{fast.position().sequence}"
    samples: list[plain.HeldSample] = []
    # Which of two samples holds that are alike in time, reception and quality is not defined: they get one value.
    first: dict[tuple[int, int, int], Scalar] = {}
    for batch in batches:
        for place, (second, later, one, quality) in enumerate(batch):
            batch[place] = (second, later, first.setdefault((second, later, quality), one), quality)
        columns = flatten([readings(batch, point)])
        samples += [
            plain.HeldSample(
                time_ns=int(columns.time_ns[place]),
                received_ns=int(columns.received_ns[place]),
                value=columns.value(place),
                quality=int(columns.quality[place]),
            )
            for place in range(len(columns))
        ]
        for store in stores:
            sequence = store.position().sequence + 1
            store.append(columns, Position(sequence=sequence, stored_ns=sequence))
    tolerance = tolerance_s * S
    asked = [T0 + second * S + second % 3 for second in begin]
    ends = [low + abs(span) * S + 1 for low, span in zip(asked, spans * 12, strict=False)]
    at = plain.ConditionsQuery(points=(f"d.{point}",), begin_ns=asked, tolerance_ns=tolerance, worst=int(worst))
    within = plain.ConditionsQuery(points=(f"d.{point}",), begin_ns=asked, end_ns=ends, tolerance_ns=tolerance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditions, "MOST_ROWS", together)
        patch.setattr(conditions, "GAP_NS", 0)
        for store in stores:
            (held,) = conditions.answer(store, at)
            (statistics,) = conditions.answer(store, within)
            assert isinstance(held, plain.PointAsOf)
            assert isinstance(statistics, plain.PointIntervals)
            for place, (low, high) in enumerate(zip(asked, ends, strict=True)):
                agrees(held, place, samples, low, tolerance, worst)
                expected = plain.over(samples, low, high, tolerance)
                for name in plain.IntervalStatistics.__struct_fields__:
                    same(getattr(statistics, name)[place], getattr(expected, name), name)


def agrees(
    held: plain.PointAsOf, place: int, samples: list[plain.HeldSample], time_ns: int, tolerance_ns: int, worst: Quality
) -> None:
    expected = plain.as_of(samples, time_ns, tolerance_ns)
    if expected is None:
        assert (held.value[place], held.quality[place], held.age_ns[place]) == (None, None, None)
        return
    assert (held.quality[place], held.age_ns[place]) == (expected.quality, time_ns - expected.time_ns)
    assert held.value[place] == (expected.value if expected.quality <= worst else None)


def same(one: float | None, other: float | None, name: str) -> None:
    assert (one is None) == (other is None), name
    if one is not None and other is not None:
        assert math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6), name


_shared: dict[Path, DuckStore] = {}


def shared(folder: Path) -> DuckStore:
    """One file for all examples, each with a point of its own."""
    if folder not in _shared:
        _shared[folder] = DuckStore(folder / "history.duckdb", chunk=40)
    return _shared[folder]


class Watched(MemoryStore):
    """Notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[int, int]] = []

    def track(self, name: str, start_ns: int, end_ns: int, *, limit: int) -> conditions.PointTrack:
        self.read.append((start_ns, end_ns))
        return super().track(name, start_ns, end_ns, limit=limit)


def test_only_the_time_around_what_is_asked_is_read() -> None:
    store = Watched()
    found = conditions.as_of(store, "d.p", np.array([T0 + 10**6 * S, T0]), 3 * S)
    assert found.quality.tolist() == [255, 255]
    assert store.read == [(T0 - 3 * S, T0 + 1), (T0 + 10**6 * S - 3 * S, T0 + 10**6 * S + 1)]


def test_times_a_few_minutes_apart_are_read_together() -> None:
    store = Watched()
    conditions.as_of(store, "d.p", np.arange(T0, T0 + 36_000 * S, 600 * S), 3 * S)
    assert len(store.read) <= 5


def test_a_tolerance_of_years_does_not_read_years() -> None:
    """The earlier readings of a fast point would not fit into memory."""
    store = Watched()
    rows: list[tuple[int, int, Scalar, int]] = [(second, 0, float(second), 0) for second in range(0, 10_000, 10)]
    store.append(flatten([readings(rows, "p")]), Position(sequence=1, stored_ns=1))
    now = T0 + 20_000 * S
    found = conditions.as_of(store, "d.p", np.array([now]), 10**9 * S)
    over = conditions.over(store, "d.p", np.array([now - 10 * S]), np.array([now]), 10**9 * S)
    assert (found.number.tolist(), found.age_ns.tolist()) == ([9990.0], [10_010 * S])
    assert (over.weighted.tolist(), over.good.tolist(), over.count.tolist()) == ([9990.0], [1.0], [0])
    assert min(start for start, _ in store.read) == now - 10 * S


def test_an_interval_of_more_than_292_years_has_a_length() -> None:
    store = MemoryStore()
    store.append(flatten([readings([(0, 0, 1.0, 0)], "p")]), Position(sequence=1, stored_ns=1))
    found = conditions.over(store, "d.p", np.array([-(2**63)]), np.array([2**63 - 1]), 10 * S)
    assert math.isclose(found.good[0], 10 * S / 2**64)
