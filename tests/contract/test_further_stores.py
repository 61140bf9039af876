"""Every further store of the history behaves as history/stores/port.py says. Real servers; memory for comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from countingroom.core.errors import LinkError
from countingroom.core.messages import Readings
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import Columns, flatten
from countingroom.history.port import Position
from countingroom.history.stores.port import POSITION_MOVED, FurtherStore
from countingroom.history.stores.registry import open_store
from countingroom.history.stores.section import StoreSection
from tests.contract.series_servers import InfluxServer, VictoriaMetricsServer
from tests.memory_further_store import MemoryFurtherStore

S = 1_000_000_000
T0 = 1_790_000_100 * S
GOOD, UNCERTAIN, STALE, BAD = Quality
Again = Callable[[], FurtherStore]
"""Opens the same store once more, as the next process does."""


def _memory(request: pytest.FixtureRequest) -> Again:
    store = MemoryFurtherStore()
    return lambda: store


def _postgresql(request: pytest.FixtureRequest) -> Again:
    address = request.getfixturevalue("postgres").database().replace("postgres@", "")
    section = StoreSection.model_validate({"postgresql": {"address": address, "user": "postgres"}, "timeout": 20})
    return lambda: open_store("site", section)


def _influxdb(request: pytest.FixtureRequest) -> Again:
    server: InfluxServer = request.getfixturevalue("influxdb_server")
    section = StoreSection.model_validate({"influxdb": {"url": server.url, "database": server.name()}, "timeout": 20})
    return lambda: open_store("site", section)


def _victoriametrics(request: pytest.FixtureRequest) -> Again:
    server: VictoriaMetricsServer = request.getfixturevalue("victoriametrics_server")
    settings = {"url": server.url, "prefix": server.name()}
    section = StoreSection.model_validate({"victoriametrics": settings, "timeout": 20})
    return lambda: open_store("site", section)


STANDS: dict[str, Callable[[pytest.FixtureRequest], Again]] = {
    "memory": _memory,
    "postgresql": _postgresql,
    "influxdb": _influxdb,
    "victoriametrics": _victoriametrics,
}
"""Store -> what makes an empty one with the fixtures of this folder."""


@pytest.fixture(params=[name if name == "memory" else pytest.param(name, marks=pytest.mark.server) for name in STANDS])
def again(request: pytest.FixtureRequest) -> Iterator[Again]:
    made: list[FurtherStore] = []
    opener = STANDS[request.param](request)

    def one() -> FurtherStore:
        made.append(opener())
        return made[-1]

    yield one
    for store in made:
        store.close()


@pytest.fixture
def store(again: Again) -> FurtherStore:
    return again()


@pytest.fixture
def tick(store: FurtherStore) -> int:
    """The time between two samples that the store keeps apart, in ns."""
    return store.limits.resolution_ns


def columns(point: str, *rows: tuple[int, Scalar, Quality], sent: int = 0, full: bool = False) -> Columns:
    times = [time for time, _, _ in rows]
    message = Readings(
        device="caen",
        boot="b",
        sequence=1,
        full=full,
        sent_ns=sent or max(times, default=0) + 2,
        points=[point] * len(rows),
        values=[value for _, value, _ in rows],
        qualities=[int(quality) for _, _, quality in rows],
        device_ns=times,
        received_ns=[time + 1 for time in times],
        alarms={point: 2} if full else {},
    )
    return flatten([message])


def put(store: FurtherStore, *parts: Columns) -> None:
    for part in parts:
        before = store.position()
        store.append(part, Position(sequence=before.sequence + 1, stored_ns=before.stored_ns + 7), after=before)


def values(store: FurtherStore, point: str = "caen.v") -> list[Scalar]:
    found = store.samples((point,), 0, 2**62, limit=1000)
    return [found.value(row) for row in range(len(found))]


def test_a_new_store_is_empty_and_at_the_beginning(store: FurtherStore) -> None:
    assert store.position() == Position()
    assert store.points() == {}
    assert values(store) == []
    assert len(store.last_before(("caen.v",), T0)) == 0


def test_what_was_appended_comes_back_as_it_was(store: FurtherStore, tick: int) -> None:
    far = -1e300 if store.limits.digits >= 17 else -1e12
    given: list[Scalar] = [1.5, 7, True, False, None, "ramping", "", 2**52 + 1, far, "µ\n\\N"]
    rows = [(T0 + k * (S + tick), value, BAD if value is None else UNCERTAIN) for k, value in enumerate(given)]
    put(store, columns("v", *rows))
    found = store.samples(("caen.v",), T0, T0 + 99 * S, limit=100)
    back = [found.value(row) for row in range(len(found))]
    assert back == given
    assert list(map(type, back)) == list(map(type, given))
    assert found.quality.tolist() == [int(quality) for _, _, quality in rows]
    assert found.time_ns.tolist() == found.device_ns.tolist() == [time for time, _, _ in rows]
    assert store.points() == {"caen.v": True}
    if store.limits.messages:
        assert found.received_ns.tolist() == [time + 1 for time, _, _ in rows]
        assert set(found.sent_ns.tolist()) == {rows[-1][0] + 2}
        assert found.place.tolist() == list(range(len(given)))


def test_samples_of_one_time_are_kept_as_the_store_says(store: FurtherStore, tick: int) -> None:
    same = [(T0 + tick, 1.0, GOOD), (T0 + tick + tick // 2, 2.0, UNCERTAIN), (T0 + tick, 3.0, GOOD)]
    put(store, columns("v", *same))
    found = store.samples(("caen.v",), 0, 2**62, limit=9)
    if store.limits.equal_times:
        assert sorted(found.number.tolist()) == [1.0, 2.0, 3.0]
    else:
        assert (found.number.tolist(), found.quality.tolist()) == ([3.0], [GOOD])
    assert set(found.time_ns.tolist()) == {T0 + tick}


def test_the_time_of_the_device_is_kept_where_the_store_says_so(store: FurtherStore) -> None:
    put(store, columns("v", (T0, 1.0, GOOD), sent=T0 + S, full=True))
    found = store.samples(("caen.v",), 0, 2**62, limit=9)
    assert found.time_ns.tolist() == [T0 + S]
    assert found.device_ns.tolist() == ([T0] if store.limits.device_time else [T0 + S])


def test_texts_are_kept_as_far_as_the_store_says(store: FurtherStore) -> None:
    most = store.limits.most_texts
    put(store, columns("v", *((T0 + k * S, str(k), GOOD) for k in range(150))))
    assert values(store) == [str(k) for k in range(150 if most is None else most)]


def test_an_alarm_and_a_whole_message_come_back(store: FurtherStore, tick: int) -> None:
    put(store, columns("v", (T0, 1.0, GOOD), sent=T0 + 5 * tick, full=True))
    found = store.samples(("caen.v",), 0, 2**62, limit=9)
    assert found.time_ns.tolist() == [T0 + 5 * tick]
    assert (found.alarm.tolist(), found.whole.tolist()) == (([2], [1]) if store.limits.messages else ([0], [0]))


def test_a_range_holds_its_begin_and_not_its_end(store: FurtherStore, tick: int) -> None:
    put(store, columns("v", *((T0 + k * tick, float(k), GOOD) for k in range(5))))
    assert store.samples(("caen.v",), T0 + tick, T0 + 3 * tick, limit=100).number.tolist() == [1.0, 2.0]
    assert store.samples(("caen.v",), 0, 2**62, limit=2).number.tolist() == [0.0, 1.0]


def test_the_last_sample_before_a_time(store: FurtherStore, tick: int) -> None:
    put(store, columns("v", (T0, 1.0, GOOD), (T0 + 5 * tick, 2.0, GOOD)), columns("w", (T0 + 2 * tick, 3.0, STALE)))
    found = store.last_before(("caen.v", "caen.w", "caen.x"), T0 + 4 * tick)
    assert dict(zip(found.names, found.number.tolist(), strict=True)) == {"caen.v": 1.0, "caen.w": 3.0}
    assert len(store.last_before(("caen.v",), T0 + 4 * tick, since_ns=T0 + tick)) == 0


def test_the_next_process_finds_samples_and_position(store: FurtherStore, again: Again, tick: int) -> None:
    put(store, columns("v", (T0, 1.0, GOOD)), columns("v", (T0 + tick, 2.0, GOOD)))
    other = again()
    assert other.position() == store.position() == Position(sequence=2, stored_ns=14)
    put(other, columns("v", (T0 + 2 * tick, 3.0, GOOD)), columns("new", (T0 + 2 * tick, 4.0, GOOD)))
    assert values(store) == values(other) == [1.0, 2.0, 3.0]
    assert values(other, "caen.new") == [4.0]


def test_an_append_that_is_repeated_is_refused_and_changes_nothing(store: FurtherStore) -> None:
    part = columns("v", (T0, 1.0, GOOD))
    put(store, part)
    with pytest.raises(LinkError) as refused:
        store.append(part, Position(sequence=1, stored_ns=7), after=Position())
    assert refused.value.cause.code == POSITION_MOVED
    assert values(store) == [1.0]
    assert store.position() == Position(sequence=1, stored_ns=7)


def test_a_position_may_go_back_and_comes_without_samples(store: FurtherStore) -> None:
    put(store, columns("v", (T0, 1.0, GOOD)))
    nothing = columns("v").chosen(np.array([], np.int64))
    store.append(nothing, Position(sequence=0, stored_ns=99), after=store.position())
    assert store.position() == Position(sequence=0, stored_ns=99)
    assert values(store) == [1.0]


def test_a_fill_adds_what_is_missing_and_leaves_the_position(store: FurtherStore, tick: int) -> None:
    put(store, columns("v", (T0 + 3 * tick, 3.0, GOOD), sent=T0 + 9 * tick))
    before = store.position()
    rows = [(T0 + k * tick, None if k == 4 else float(k), BAD if k == 4 else GOOD) for k in range(6)]
    parts = [columns("v", row, sent=T0 + 9 * tick) for row in rows]
    whole = Columns(
        names=[name for part in parts for name in part.names],
        texts={},
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in Columns.__struct_fields__
            if name not in ("names", "texts")
        },
    )
    for _ in range(2):
        store.fill(whole)
        assert values(store) == [0.0, 1.0, 2.0, 3.0, None, 5.0]
    store.fill(columns("state", (T0, "ON", GOOD)))
    store.fill(columns("state", (T0, "ON", GOOD)))
    assert values(store, "caen.state") == ["ON"]
    assert store.position() == before
