"""A long answer is made in slices between which other requests are served, and one user has a few of them at most."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import msgspec
import pytest

from countingroom.bus.port import Message
from countingroom.console import long_work
from countingroom.console.api.history import csv_rows
from countingroom.console.app import create
from countingroom.console.long_work import OF_ALL, OF_ONE_USER, LongWork, json_columns, json_list
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.configurations import ConfigurationSet, Parameters
from countingroom.core.errors import RequestError
from countingroom.core.messages import encode
from countingroom.core.series import Series, SeriesAnswer
from countingroom.storage.database import Database
from tests.console.people import house
from tests.console.stage import stage

ROWS = 300
SERIES = Series(
    point="caen.0.hv_vMon",
    resolution="raw",
    time_ns=list(range(ROWS)),
    mean=[1.5] * ROWS,
    low=[1.5] * ROWS,
    high=[None] * ROWS,
    quality=[0] * ROWS,
    count=[1] * ROWS,
)
SYSTEMS: dict[str, dict[str, Parameters]] = {
    f"S{n}": {f"t{m}": {"threshold": m} for m in range(10)} for n in range(ROWS // 10)
}


class Turns:
    """Counts how often other work had a turn in the event loop."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


@contextmanager
def counted() -> Generator[Turns]:
    turns = Turns()
    task = asyncio.ensure_future(turns.run())
    try:
        yield turns
    finally:
        task.cancel()


@pytest.fixture
def every_step_is_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "SLICE_S", 0.0)


@pytest.mark.usefixtures("every_step_is_a_slice")
async def test_other_work_has_a_turn_between_slices() -> None:
    work = LongWork()
    with counted() as turns:
        assert await work.all(range(100)) == list(range(100))
        assert turns.count >= 100


@pytest.mark.usefixtures("every_step_is_a_slice")
async def test_long_answers_take_turns() -> None:
    work = LongWork()
    order: list[str] = []

    def steps(name: str) -> Iterator[None]:
        for _ in range(5):
            yield order.append(name)

    await asyncio.gather(work.all(steps("a")), work.all(steps("b")))
    assert order[:6] == ["a", "b"] * 3


async def test_small_steps_share_a_slice() -> None:
    assert [made async for made in LongWork().slices(range(5))] == [[0, 1, 2, 3, 4]]
    assert [made async for made in LongWork().slices(())] == []


async def test_an_error_in_a_step_is_raised_and_the_next_answer_goes_on() -> None:
    work = LongWork()
    with pytest.raises(ZeroDivisionError):
        await work.all(1 // number for number in (1, 0))
    assert await work.all((1,)) == [1]


def test_one_user_has_a_few_large_answers_and_all_together_have_some() -> None:
    work = LongWork()
    with ExitStack() as stack:
        for _ in range(OF_ONE_USER):
            stack.enter_context(work.place("vera"))
        with pytest.raises(RequestError, match="vera has 4 large answers under way"), work.place("vera"):
            pass
        for number in range(OF_ALL - OF_ONE_USER):
            stack.enter_context(work.place(f"u{number}"))
        with pytest.raises(RequestError, match="32 large answers are under way"), work.place("sam"):
            pass
    with work.place("vera"):
        pass


@pytest.mark.parametrize("count", [0, 1, 50, 51, 120])
def test_a_list_in_pieces_is_the_same_json(count: int) -> None:
    rows = [{"n": number} for number in range(count)]
    assert json.loads(b"".join(json_list("rows", rows))) == {"rows": rows}


@pytest.mark.parametrize("at_once", [1, 7, ROWS, 5000])
def test_columns_in_pieces_are_the_same_json(at_once: int) -> None:
    assert b"".join(json_columns(SERIES, at_once=at_once)) == msgspec.json.encode(SERIES)


def test_a_history_as_csv_has_a_header_and_a_row_for_each_sample() -> None:
    header, first, *others = b"".join(csv_rows([SERIES], {SERIES.point: "mbar"})).decode().splitlines()
    assert header == "point,time,mean,low,high,quality,count,text,unit"
    assert first == "caen.0.hv_vMon,1970-01-01T00:00:00Z,1.5,1.5,,GOOD,1,,mbar"
    assert len(others) == ROWS - 1


@pytest.fixture
async def site() -> AsyncGenerator[httpx.AsyncClient]:
    """A console with as many configurations, and a run book."""
    database = Database("sqlite://")
    await database.open()
    await database.configurations.put(ConfigurationSet(configurations=SYSTEMS, tags={}, schemas={}), "anna")
    for number in range(ROWS // 10):
        await database.runs.reserve(f"P{number}", "cbm", "anna", members=("STS",))

    async def history(message: Message) -> bytes:
        del message
        return encode(SeriesAnswer(series=SERIES))

    async with stage(SystemClock()) as here:
        app = create(here.bus.client(), here.clock, title="t", version="1", tick_s=1e9, database=database)
        answering = here.bus.client().respond(subjects.query("history", "range"), history)
        async with answering, app.router.lifespan_context(app):
            await app.state.context.latest.ready()
            transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
                yield client
    await database.close()


@pytest.mark.parametrize(
    ("path", "slices"),
    [
        ("/api/v1/configurations", ROWS // 50),
        ("/api/v1/configurations/export", ROWS),
        ("/api/v1/history?point=caen.0.hv_vMon&format=csv", ROWS),
        ("/api/v1/history?point=caen.0.hv_vMon&max_points=50000", 9),
        ("/api/v1/runs", 1),
        ("/api/v1/runs/export?format=csv", ROWS // 10),
        ("/api/v1/runs/export?format=json", ROWS // 10),
        ("/api/v1/runs/export?format=parquet", ROWS // 10),
        ("/api/v1/devices", 2),
        ("/", 50),
        ("/devices/caen", 50),
        ("/trends", 50),
        ("/runs", 50),
    ],
)
async def test_a_large_answer_is_made_in_slices(
    site: httpx.AsyncClient, path: str, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    slice_ = long_work._slice  # pyright: ignore[reportPrivateUsage]

    def counted_slice(iterator: Iterator[object]) -> tuple[list[object], bool]:
        found = slice_(iterator)
        made.append(len(found[0]))
        return found

    monkeypatch.setattr(long_work, "SLICE_S", 0.0)
    monkeypatch.setattr(long_work, "_slice", counted_slice)
    answer = await site.get(path)
    assert answer.status_code == 200
    assert len(made) >= slices
    assert max(made) == 1


async def test_the_export_of_many_is_complete(site: httpx.AsyncClient) -> None:
    listed = (await site.get("/api/v1/configurations")).json()["configurations"]
    assert len(listed) == ROWS
    text = (await site.get("/api/v1/configurations/export")).text
    assert text.count("threshold") == ROWS


async def test_one_user_too_many_is_told_when_to_try_again_and_others_are_served() -> None:
    async with stage(SystemClock()) as here, house(here) as home:
        vera, sam = await home.program("vera"), await home.program("sam")
        with ExitStack() as stack:
            for _ in range(OF_ONE_USER):
                stack.enter_context(home.context.long_work.place("vera"))
            answer = await vera.get("/api/v1/configurations/export")
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert answer.json()["cause"]["message"] == "vera has 4 large answers under way, the most for one user"
            for path in (
                "/api/v1/history?point=a.b&format=csv",
                "/api/v1/history/export?point=a.b",
                "/api/v1/runs?limit=101",
            ):
                assert (await vera.get(path)).status_code == 429
            assert (await vera.get("/api/v1/runs?limit=100")).status_code == 200  # as the pages ask
            assert (await sam.get("/api/v1/configurations/export")).status_code == 200
        for _ in range(2 * OF_ONE_USER):  # a place is free again after the answer is sent
            assert (await vera.get("/api/v1/configurations/export")).status_code == 200
