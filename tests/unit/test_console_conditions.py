"""The API of conditions: times, intervals, runs and patterns become a question to the history."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from countingroom.bus.port import Message
from countingroom.core.clock import SystemClock
from countingroom.core.history_conditions import AsOfAnswer, ConditionsQuery, IntervalsAnswer, PointAsOf
from countingroom.core.messages import decode, encode
from countingroom.core.series import PointsAnswer
from tests.console.runs_stage import RunsStage, runs_served, runs_stage
from tests.console.stage import stage

PATH = "/api/v1/history/conditions"
T0 = 1_790_000_000_000_000_000


@pytest.fixture
async def here() -> AsyncGenerator[RunsStage]:
    async with stage(SystemClock(), play=False) as devices, runs_stage(devices) as playing:
        yield playing


@pytest.fixture
async def web(here: RunsStage) -> AsyncGenerator[httpx.AsyncClient]:
    async with runs_served(here) as (_, client):
        yield client


async def test_times_intervals_runs_and_patterns_are_asked_of_the_history(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    asked: list[ConditionsQuery] = []

    async def points(_: object) -> bytes:
        return encode(PointsAnswer(points=["caen.0.v", "caen.1.v", "chiller.v"]))

    async def answer(message: Message) -> bytes:
        asked.append(decode(message.data, ConditionsQuery))
        if asked[-1].end_ns:
            return encode(IntervalsAnswer(points=[]))
        return encode(AsOfAnswer(points=[PointAsOf(point="caen.0.v", value=[1.5], quality=[0], age_ns=[7])]))

    first = await here.database.runs.reserve("mCBM", "cbm", "m.rossi")
    begun = await here.database.runs.reserve("lab", "cbm", "m.rossi")
    await here.database.runs.began(begun.number, T0)
    client = here.bus.client()
    async with client.respond("query.history.points", points), client.respond("query.history.conditions", answer):
        told = await web.get(f"{PATH}?point=caen.*.v&at=2026-11-29&tolerance=3&worst=1")
        assert told.json()["points"] == [{"point": "caen.0.v", "value": [1.5], "quality": [0], "age_ns": [7]}]
        assert (asked[0].points, asked[0].tolerance_ns, asked[0].worst) == (("caen.0.v", "caen.1.v"), 3 * 10**9, 1)
        assert (await web.get(f"{PATH}?point=chiller.v&from=-2h&to=-1h")).status_code == 200
        assert asked[1].end_ns[0] - asked[1].begin_ns[0] == 3600 * 10**9
        assert (await web.get(f"{PATH}?point=chiller.v&run={begun.number}")).json()["begin_ns"] == [T0]
        assert asked[2].end_ns[0] > T0
        for wrong, status in (
            ("point=chiller.v", 422),
            ("point=chiller.v&from=-2h", 422),
            ("point=chiller.v&at=-2h&from=-2h&to=-1h", 422),
            ("point=chiller.w&at=-2h", 404),
            ("point=chiller.*w&at=-2h", 404),
            ("at=-2h" + "".join(f"&point=c*{number}" for number in range(21)), 422),
            ("point=chiller.v&run=4711", 404),
            (f"point=chiller.v&run={first.number}", 404),
        ):
            refused = await web.get(f"{PATH}?{wrong}")
            assert (refused.status_code, bool(refused.json()["cause"]["message"])) == (status, True), wrong
    assert len(asked) == 3
