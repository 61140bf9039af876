"""InfluxDB and VictoriaMetrics, real: what is particular to them beside the contract of every further store.

They have no transactions. Whatever is killed in between, afterwards each sample is there once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest

from countingroom.core.errors import LinkError
from countingroom.core.values import Quality, Scalar
from countingroom.history.columns import Columns, together
from countingroom.history.grafana.sources import InfluxSource, VictoriaMetricsSource
from countingroom.history.port import Position
from countingroom.history.stores import store_http
from countingroom.history.stores.influxdb import InfluxStore
from countingroom.history.stores.influxdb_section import InfluxSection
from countingroom.history.stores.port import FurtherStore
from countingroom.history.stores.store_http import StoreHttp
from countingroom.history.stores.tracker_layout import TrackerField
from countingroom.history.stores.victoriametrics import VictoriaMetricsStore
from countingroom.history.stores.victoriametrics_section import VictoriaMetricsSection
from tests.contract.series_servers import InfluxServer, SeriesServer, VictoriaMetricsServer
from tests.unit.test_store_lines import columns

pytestmark = pytest.mark.server
S = 1_000_000_000
T0 = 1_790_000_100 * S
GOOD, UNCERTAIN, STALE, BAD = Quality


class Stand:
    """A server, a store on it that is empty, and what it counts."""

    def __init__(self, server: SeriesServer, **keys: Any) -> None:
        self.server = server
        self._name = server.name()
        self._keys = keys
        self.store = self._open()

    def again(self) -> FurtherStore:
        """The store as the next process opens it."""
        self.store.close()
        self.store = self._open()
        return self.store

    def _open(self) -> FurtherStore:
        if isinstance(self.server, InfluxServer):
            section = InfluxSection.model_validate({"url": self.server.url, "database": self._name} | self._keys)
            return InfluxStore("site", section, 20.0, tracker={"caen.v": TrackerField(key="t,id=0", name="lv")})
        other = VictoriaMetricsSection.model_validate({"url": self.server.url, "prefix": self._name} | self._keys)
        return VictoriaMetricsStore("site", other, 20.0)

    def count(self) -> int:
        """Numbers in the store, as its own tools count them."""
        if isinstance(self.server, VictoriaMetricsServer):
            return len(self.server.values(f"{self._name}_value"))
        found = self.ask("SELECT count(value) FROM readings")
        return found[0][1] if found else 0

    def ask(self, query: str) -> list[list[Any]]:
        """The rows of the first series of an answer of InfluxDB."""
        assert isinstance(self.server, InfluxServer)
        found: list[Any] = self.server.ask(query, self._name)
        return found[0]["values"] if found else []


@pytest.fixture(params=["influxdb", "victoriametrics"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    stand = Stand(request.getfixturevalue(f"{request.param}_server"))
    yield stand
    stand.store.close()


@pytest.fixture
def influx(influxdb_server: InfluxServer) -> Iterator[Callable[..., Stand]]:
    made: list[Stand] = []

    def make(**keys: Any) -> Stand:
        made.append(Stand(influxdb_server, **keys))
        return made[-1]

    yield make
    for stand in made:
        stand.store.close()


def batch(number: int, size: int = 20) -> Columns:
    """Samples of ten points that no other number has."""
    first = T0 + number * size * S
    return columns(*((f"p{k % 10}", first + k * S, number + k / 7, GOOD) for k in range(size)))


def at(number: int) -> Position:
    return Position(sequence=number, stored_ns=T0 + number * 7 + 1) if number else Position()


def feed(stand: Stand, last: int) -> None:
    """Append what the store lacks up to that message, as a follower does."""
    for number in range(stand.store.position().sequence, last):
        stand.store.append(batch(number), at(number + 1), after=at(number))


def values(store: FurtherStore, name: str = "caen.v") -> list[Scalar]:
    found = store.samples((name,), 0, 2**62, limit=1000)
    return [found.value(row) for row in range(len(found))]


def test_a_killed_server_has_each_sample_once_when_it_was_fed_again(stand: Stand) -> None:
    for last in (2, 4, 6):
        feed(stand, last)
        stand.server.kill()
        with pytest.raises(LinkError, match="not reached"):
            stand.store.append(batch(last), at(last + 1), after=at(last))
        stand.server.start()
        if last == 4:
            stand.again()
    feed(stand, 7)
    assert stand.count() == 20 * 7


def test_an_append_that_was_cut_off_anywhere_is_repeated_without_doubling(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.store.append(batch(0), at(1), after=at(0))
    send = StoreHttp._send  # pyright: ignore[reportPrivateUsage]
    for cut in range(6):
        requests = iter(range(cut))

        def answer_is_lost(self: StoreHttp, *words: Any, _left: Iterator[int] = requests, **request: Any) -> Any:
            answer = send(self, *words, **request)
            if next(_left, None) is None:
                raise LinkError("the answer is lost")
            return answer

        number = cut + 1
        monkeypatch.setattr(store_http.StoreHttp, "_send", answer_is_lost)
        with suppress(LinkError):
            stand.store.append(batch(number), at(number + 1), after=at(number))
        monkeypatch.undo()
        if cut % 2:
            stand.again()
        # The batch of before comes in other pieces, as from a stream: its end together with what follows.
        if stand.store.position() == at(number):
            whole = together([batch(number), batch(number + 100)])
            stand.store.append(whole.chosen(np.arange(5)), at(number), after=at(number))
            stand.store.append(whole.chosen(np.arange(5, 40)), at(number + 1), after=at(number))
        else:
            stand.store.append(batch(number + 100), at(number + 1), after=at(number + 1))
        assert stand.count() == 20 + 40 * number


def test_a_restored_server_is_fed_from_where_it_is(stand: Stand) -> None:
    stand.store.append(batch(0), at(1), after=at(0))
    stand.server.backup()
    feed(stand, 2)
    stand.server.restore()
    with pytest.raises(LinkError) as refused:
        stand.store.append(batch(2), at(3), after=at(2))
    assert refused.value.cause.code == "position_moved"
    assert stand.store.position().sequence <= 1
    feed(stand, 3)
    assert stand.count() == 60


def test_after_a_full_disk_each_sample_is_there_once(stand: Stand) -> None:
    with stand.server.small_disk() as disk:
        feed(stand, 3)
        filled = disk / "filled"
        with filled.open("wb", buffering=0) as stream:
            for size in (1 << 16, 1 << 12):
                with suppress(OSError):
                    while stream.write(bytes(size)):
                        pass
        refused = 0
        for _ in range(2):
            try:
                feed(stand, 40)
            except LinkError:
                refused += 1
        assert refused or isinstance(stand.server, VictoriaMetricsServer)  # which keeps it in memory first
        # Neither goes on by itself: InfluxDB 1.6 fails until it is started again, VictoriaMetrics ends.
        stand.server.kill()
        filled.unlink()
        stand.server.start()
        feed(stand, 42)
        assert stand.count() == 20 * 42


def test_a_database_is_made_with_its_retention(influx: Callable[..., Stand]) -> None:
    stand = influx(retention="30 d")
    assert stand.store.position() == at(0)
    assert stand.store.points() == {}
    stand.store.append(columns(("v", T0, 1.0, GOOD)), at(1), after=at(0))
    assert [row[:2] for row in stand.ask("SHOW RETENTION POLICIES")] == [["autogen", "720h0m0s"]]


def test_a_sample_past_the_retention_is_left_out_and_its_neighbours_stay(influx: Callable[..., Stand]) -> None:
    stand = influx(retention="10 y")
    old = columns(("v", 5 * S, 1.0, GOOD), ("v", T0, 2.0, GOOD))
    stand.store.append(old, at(1), after=at(0))
    assert values(stand.store) == [2.0]
    assert stand.store.position() == at(1)


def test_a_line_that_is_refused_loses_no_neighbour(influx: Callable[..., Stand]) -> None:
    stand = influx()
    stand.store.position()
    stand.store.append(columns(("v", T0, 1.0, GOOD)), at(1), after=at(0))
    # Someone has written a text where numbers are.
    body = f'readings,device=caen,point=odd value="x" {T0}'
    url = f"{stand.server.url}/write"
    name = stand._name  # pyright: ignore[reportPrivateUsage]
    assert httpx.post(url, params={"db": name}, content=body, trust_env=False).status_code == 400
    stand.store.append(columns(("v", T0 + 1, 2.0, GOOD), ("w", T0, 3.0, GOOD)), at(2), after=at(1))
    assert (values(stand.store), values(stand.store, "caen.w")) == ([1.0, 2.0], [3.0])


def test_the_tracker_layout_is_written_beside_the_points(influx: Callable[..., Stand]) -> None:
    stand = influx(layout="tracker")
    stand.store.append(columns(("v", T0, 12.5, GOOD), ("w", T0, 1.0, GOOD)), at(1), after=at(0))
    assert stand.ask('SELECT lv, id FROM "t"') == [[T0, 12.5, "0"]]
    assert stand.count() == 2


def test_the_questions_of_grafana_are_answered(influx: Callable[..., Stand]) -> None:
    stand = influx()
    stand.store.append(columns(("0.v", T0, 1.5, GOOD), ("a-b", T0, "ON", GOOD)), at(1), after=at(0))
    source = InfluxSource("site", InfluxSection(database="cr"))
    for target, wanted in (
        (source.numbers("caen", ["0.v", "x/y"]), [[T0, 1.5]]),
        (source.words("caen", ["a-b"], is_text=True), [[T0, "ON"]]),
    ):
        query = target["query"].replace("$timeFilter", f"time >= {T0} AND time < {T0 + S}").replace("$__interval", "1s")
        assert stand.ask(query) == wanted


def test_the_questions_of_grafana_are_answered_by_victoriametrics(
    victoriametrics_server: VictoriaMetricsServer,
) -> None:
    stand = Stand(victoriametrics_server)
    stand.store.append(columns(("0.v", T0, 1.5, GOOD), ("a-b", T0, "ON", GOOD)), at(1), after=at(0))
    name = stand._name  # pyright: ignore[reportPrivateUsage]
    source = VictoriaMetricsSource("site", VictoriaMetricsSection.model_validate({"prefix": name}))
    for target, wanted in (
        (source.numbers("caen", ["0.v", "x"]), ("0.v", None, "1.5")),
        (source.words("caen", ["a-b"], is_text=True), ("a-b", "ON", "1")),
    ):
        form = {"query": target["expr"].replace("$__interval", "1s"), "time": str(T0 // S + 60), "nocache": "1"}
        answer = httpx.post(f"{stand.server.url}/api/v1/query", data=form, trust_env=False).json()
        (found,) = answer["data"]["result"]
        assert (found["metric"]["point"], found["metric"].get("text"), found["value"][1]) == wanted
    stand.store.close()


def test_one_ms_has_one_sample_of_a_point(victoriametrics_server: VictoriaMetricsServer) -> None:
    stand = Stand(victoriametrics_server)
    stand.store.append(columns(("v", T0, 1.0, GOOD), ("v", T0 + 5, 2.0, GOOD)), at(1), after=at(0))
    stand.store.append(columns(("v", T0 + 9, 3.0, GOOD), ("v", T0 + S, 4.0, GOOD)), at(2), after=at(1))
    assert values(stand.store) == [2.0, 4.0]
    assert stand.count() == 2
    stand.store.close()


def test_texts_beyond_the_limit_are_left_out(victoriametrics_server: VictoriaMetricsServer) -> None:
    stand = Stand(victoriametrics_server, most_texts=2)
    words = ["OFF", "ON", "other", "OFF", "more"]
    rows = [("state", T0 + k * S, word, GOOD) for k, word in enumerate(words)]
    stand.store.append(columns(*rows[:2]), at(1), after=at(0))
    stand.again().append(columns(*rows[2:], ("v", T0, 1.0, GOOD)), at(2), after=at(1))
    assert values(stand.store, "caen.state") == ["OFF", "ON", "OFF"]
    assert values(stand.store) == [1.0]
    stand.store.close()
