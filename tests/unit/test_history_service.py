"""Asked over the bus, the history answers or refuses with a Cause, and tidies itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.history_conditions import AsOfAnswer, ConditionsQuery, IntervalsAnswer
from countingroom.core.messages import Presence, Readings, decode, encode
from countingroom.core.series import (
    ExportAnswer,
    ExportQuery,
    LastAnswer,
    LastQuery,
    PointsAnswer,
    PointsQuery,
    QueryRefusal,
    RangeQuery,
    SeriesAnswer,
)
from countingroom.history.description import HistorySection
from countingroom.history.duckdb_store import DuckStore
from countingroom.history.queries import MOST_BYTES, Queries
from countingroom.history.service import HistoryService
from countingroom.history.tracks import PointTrack
from tests.figures import figures_with
from tests.memory_store import MemoryStore
from tests.patience import PATIENCE_S

S = 1_000_000_000
Answer = AsOfAnswer | IntervalsAnswer | SeriesAnswer | LastAnswer | PointsAnswer | ExportAnswer | QueryRefusal


def message(number: int, now: int, text: str = "ON") -> Readings:
    return Readings(
        device="caen",
        boot="b",
        sequence=number,
        full=False,
        sent_ns=now,
        points=["v", "state"],
        values=[float(number), text],
        qualities=[0, 0],
        device_ns=[now, now],
        received_ns=[now, now],
    )


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[MemoryBus]:
    clock = SystemClock()
    bus = MemoryBus(clock)
    await streams.prepare(bus)
    service = HistoryService(
        bus.client(), clock, HistorySection(flush=0.02), lambda: DuckStore(tmp_path / "history.duckdb")
    )
    async with bus.subscribe(subjects.presence("history", "main")) as beats:
        task = asyncio.create_task(service.run())
        try:
            assert decode((await anext(beats)).data, Presence).role == "history"
            yield bus
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    await bus.close()


async def ask(bus: MemoryBus, what: str, query: Struct) -> Answer:
    reply = await bus.request(subjects.query("history", what), encode(query), timeout_s=PATIENCE_S)
    return msgspec.msgpack.decode(reply.data, type=Answer)


async def known(bus: MemoryBus, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await ask(bus, "points", PointsQuery(prefix=name))
            assert isinstance(answer, PointsAnswer)
            if answer.points:
                return


async def test_questions_are_answered_over_the_bus(bus: MemoryBus) -> None:
    now = SystemClock().now_ns()
    await bus.append(subjects.readings("caen", full=False), encode(message(1, now)))
    await known(bus, "caen.v")
    series = await ask(bus, "range", RangeQuery(point="caen.v", start_ns=now - S, end_ns=now + 3600 * S))
    assert isinstance(series, SeriesAnswer)
    assert (series.series.time_ns, series.series.mean) == ([now], [1.0])  # what lies ahead is no gap
    last = await ask(bus, "last", LastQuery(points=("caen.v", "caen.state"), at_ns=now))
    assert isinstance(last, LastAnswer)
    assert {name: reading.value for name, reading in last.last.readings.items()} == {"caen.v": 1.0, "caen.state": "ON"}
    joined = await ask(bus, "conditions", ConditionsQuery(points=("caen.v",), begin_ns=[now - 1, now + 2]))
    assert isinstance(joined, AsOfAnswer)
    assert (joined.points[0].value, joined.points[0].age_ns) == ([None, 1.0], [None, 2])
    query = ConditionsQuery(points=("caen.v",), begin_ns=[now - S], end_ns=[now + S])
    over = await ask(bus, "conditions", query)
    assert isinstance(over, IntervalsAnswer)
    assert (over.points[0].count, over.points[0].good) == ([1], [0.5])
    export = await ask(bus, "export", ExportQuery(points=("caen.v",), start_ns=0, end_ns=now + S))
    assert isinstance(export, ExportAnswer)
    assert (export.samples.value, export.next_ns) == ([1.0], None)


async def test_the_documented_metrics_are_there(bus: MemoryBus) -> None:
    await bus.append(subjects.readings("caen", full=False), encode(message(1, SystemClock().now_ns())))
    await known(bus, "caen.v")

    async def ask_metrics() -> str:
        return (await bus.request(subjects.query("history", "metrics"), b"", timeout_s=PATIENCE_S)).data.decode()

    # The writer counts the points of a batch after the store has them.
    figures = await figures_with(ask_metrics, "countingroom_history_points_total 2.0")
    page = (Path(__file__).parents[2] / "docs/reference/history.md").read_text(encoding="utf-8")
    named = set(re.findall(r"countingroom_history_\w+", page)) | {"countingroom_history_messages_total"}
    assert len(named) > 7
    for name in named:
        assert re.search(rf"^(# TYPE )?{name}", figures, re.MULTILINE), name


async def test_what_cannot_be_answered_is_refused_with_a_cause(bus: MemoryBus) -> None:
    refused = await ask(bus, "range", RangeQuery(point="caen.w", start_ns=0, end_ns=S))
    assert isinstance(refused, QueryRefusal)
    assert refused.cause.code == "not_found"
    assert refused.cause.source == "history"
    nonsense = await bus.request(subjects.query("history", "last"), b"?", timeout_s=PATIENCE_S)
    refusal = msgspec.msgpack.decode(nonsense.data, type=Answer)
    assert isinstance(refusal, QueryRefusal)
    assert refusal.cause.code == "wrong_question"


def test_what_held_before_is_read_only_where_it_is_shown() -> None:
    from countingroom.history.columns import Columns, flatten
    from countingroom.history.port import Position
    from countingroom.history.query_answers import answer_range

    class Counting(MemoryStore):
        looked = 0

        def last_before(self, names: tuple[str, ...], at_ns: int, *, since_ns: int = 0) -> Columns:
            self.looked += 1
            return super().last_before(names, at_ns, since_ns=since_ns)

    store = Counting()
    store.append(flatten([message(k, k * S) for k in range(1, 1001)]), Position(sequence=1))
    for start, end, looked, first in ((100, 900, 0, 105.0), (100, 900.5, 0, 105.0), (100.5, 103, 1, 100.0)):
        query = RangeQuery(point="caen.v", start_ns=round(start * S), end_ns=round(end * S), max_points=90)
        store.looked = 0
        series = answer_range(store, query)
        assert store.looked == looked, start
        assert series.mean[0] == pytest.approx(first, abs=5), start
        assert series.time_ns[0] == query.start_ns


def test_an_answer_never_outgrows_a_message() -> None:
    from countingroom.history.columns import flatten
    from countingroom.history.port import Position

    store = MemoryStore()
    store.append(flatten([message(k, k * S, f"{k}:" + "x" * 20_000) for k in range(1, 1001)]), Position(sequence=1))
    queries = Queries(store, SystemClock())
    query = RangeQuery(point="caen.state", start_ns=0, end_ns=1001 * S)
    answer = queries.answers["range"](encode(query))
    assert len(answer) <= MOST_BYTES
    assert isinstance(msgspec.msgpack.decode(answer, type=Answer), SeriesAnswer)
    start: int | None = 0
    seen = 0
    while start is not None:
        page = queries.answers["export"](encode(ExportQuery(points=("caen.state",), start_ns=start, end_ns=1001 * S)))
        assert len(page) <= MOST_BYTES
        decoded = msgspec.msgpack.decode(page, type=Answer)
        assert isinstance(decoded, ExportAnswer)
        seen += len(decoded.samples.value)
        start = decoded.next_ns
    assert seen == 1000


def test_conditions_that_take_too_long_end_before_the_console_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads answer all questions: what nobody waits for any more must not keep them from the next ones."""
    now_s = [0.0]
    clock = SystemClock()
    monkeypatch.setattr(clock, "monotonic", lambda: now_s[0])

    class Slow(MemoryStore):
        def track(self, name: str, start_ns: int, end_ns: int, *, limit: int) -> PointTrack:
            now_s[0] += 4.0
            return super().track(name, start_ns, end_ns, limit=limit)

    question = ConditionsQuery(points=tuple(f"d.p{k}" for k in range(100)), begin_ns=[S])
    answer = Queries(Slow(), clock).answers["conditions"](encode(question))
    refusal = msgspec.msgpack.decode(answer, type=Answer)
    assert isinstance(refusal, QueryRefusal)
    assert refusal.cause.code == "too_large"
    assert now_s[0] < 20
