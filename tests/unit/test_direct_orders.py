"""Without an owner of the partition the console sends stop and abort to the systems; a later owner gets the command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest
from fastapi import FastAPI

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.messages import EventKind, decode, encode
from countingroom.core.partitions import Goal
from countingroom.core.systems import Action, Answer, Order, SystemKind, SystemState
from tests.console.runs_stage import RunsStage, member, runs_served, runs_stage
from tests.console.stage import stage
from tests.patience import PATIENCE_S

STOP, ABORT = "/api/v1/partitions/mCBM/stop", "/api/v1/partitions/mCBM/commands/abort"
MEMBERS = (
    member("TFC", kind=SystemKind.GLOBAL, seen="Active"),
    member("STS", seen="Recording"),
    member("TOF", seen="Recording", included=False),
)


class Agents:
    """Agents of TFC and STS, as the test plays them."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.refuse: dict[str, Cause] = {}

    async def answer(self, message: Message) -> bytes:
        """Accept the order unless the test refuses it."""
        order = decode(message.data, Order)
        system = message.subject.rpartition(".")[2]
        self.orders[system] = order
        cause = self.refuse.get(system)
        return encode(Answer(id=order.id, accepted=cause is None, cause=cause))


@pytest.fixture
async def here() -> AsyncGenerator[RunsStage]:
    async with stage(SystemClock(), play=False) as devices, runs_stage(devices, owned=False) as playing:
        await playing.partition("mCBM", "Recording", run=8, members=MEMBERS)
        yield playing


@pytest.fixture
async def agents(here: RunsStage) -> AsyncGenerator[Agents]:
    playing, bus = Agents(), here.bus.client()
    async with (
        bus.respond(subjects.agent("TFC"), playing.answer),
        bus.respond(subjects.agent("STS"), playing.answer),
    ):
        yield playing


@pytest.fixture
async def served(here: RunsStage) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    async with runs_served(here) as served:
        yield served


async def test_an_abort_reaches_every_included_system(
    here: RunsStage, agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    _, web = served
    answer = await web.post(ABORT, json={"wait_s": 5})
    assert answer.status_code == 202
    assert sorted(answer.json()["direct"]["accepted"]) == ["STS", "TFC"]
    assert {one.action for one in agents.orders.values()} == {Action.ABORT}
    assert {one.requested_by for one in agents.orders.values()} == {"local"}
    assert agents.orders["STS"].partition == "mCBM"
    told = [one for one in (await web.get("/api/v1/events")).json()["events"] if one["action"] == "abort"]
    assert [one["kind"] for one in told] == [EventKind.NOTE]
    assert "no owner of mCBM answered; abort was sent to TFC, STS directly" in told[0]["message"]


async def test_a_stop_reaches_the_systems_that_record(
    here: RunsStage, agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    recording = SystemState(
        system="STS", partition="mCBM", state="Recording", common="Recording", run=8, sequence=2, boot="b", since_ns=2
    )
    await here.say(subjects.system_key("STS"), recording)
    app, web = served
    async with asyncio.timeout(PATIENCE_S):
        while app.state.context.latest.words.get(subjects.system_key("STS")) != recording:
            await asyncio.sleep(0)
    answer = await web.post(STOP, json={})
    assert (answer.status_code, answer.json()["direct"]["accepted"]) == (202, ["STS"])
    assert {name: one.action for name, one in agents.orders.items()} == {"STS": Action.STOP}


async def test_other_commands_are_not_sent_without_an_owner(
    agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    _, web = served
    answer = await web.post("/api/v1/partitions/mCBM/start", json={})
    assert (answer.status_code, answer.json()["cause"]["code"]) == (503, "unreachable")
    assert not agents.orders


async def test_what_a_system_refuses_is_told(agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]) -> None:
    agents.refuse["TFC"] = Cause(code="not_allowed", message="abort is not allowed in Idle")
    _, web = served
    told = (await web.post(ABORT, json={})).json()["direct"]
    assert (told["accepted"], told["refused"]["TFC"]["code"]) == (["STS"], "not_allowed")
    agents.refuse["STS"] = Cause(code="not_allowed", message="abort is not allowed in Idle")
    answer = await web.post(ABORT, json={})
    assert answer.status_code == 503
    assert "none of its systems accepted it" in answer.json()["cause"]["message"]


async def test_a_new_owner_gets_the_command(
    here: RunsStage, agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    _, web = served
    given = (await web.post(ABORT, json={})).json()
    async with here.bus.client().respond(subjects.commands_to("runs"), here.answer), asyncio.timeout(PATIENCE_S):
        while not here.asked:
            await asyncio.sleep(0.01)
    assert [(subject, one.action, one.id) for subject, one in here.asked] == [
        ("command.local.runs.mCBM", "abort", given["id"])
    ]


@pytest.mark.parametrize("issued_ns", [0, 2**62])
async def test_a_new_owner_gets_the_command_whatever_clock_and_state_the_page_had(
    here: RunsStage, agents: Agents, served: tuple[FastAPI, httpx.AsyncClient], issued_ns: int
) -> None:
    goal = Goal(state="Recording", requested_by="anna", since_ns=here.clock.now_ns())
    await here.partition("mCBM", "Recording", run=8, members=MEMBERS, goal=goal)
    app, web = served
    async with asyncio.timeout(PATIENCE_S):
        while app.state.context.latest.words[subjects.partition_key("mCBM")].goal != goal:
            await asyncio.sleep(0)
    body = {"issued_ns": issued_ns, "seen_state": "TFC_Active", "deadline_s": 0.01}
    assert (await web.post(ABORT, json=body)).status_code == 202
    async with here.bus.client().respond(subjects.commands_to("runs"), here.answer), asyncio.timeout(PATIENCE_S):
        while not here.asked:
            await asyncio.sleep(0.01)
    command = here.asked[0][1]
    assert (command.action, command.seen_state) == ("abort", None)
    assert command.issued_ns < here.clock.now_ns() < command.deadline_ns


async def test_a_new_owner_with_a_later_goal_does_not_get_it(
    here: RunsStage, agents: Agents, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    app, web = served
    await web.post(ABORT, json={})
    later = Goal(state="Recording", requested_by="anna", since_ns=here.clock.now_ns())
    await here.partition("mCBM", "Recording", members=MEMBERS, goal=later)
    async with here.bus.client().respond(subjects.commands_to("runs"), here.answer), asyncio.timeout(PATIENCE_S):
        while app.state.context.direct_orders.waiting:
            await asyncio.sleep(0.01)
    assert here.asked == []


async def test_the_page_may_send_stop_and_abort_of_a_partition_without_an_owner(
    here: RunsStage, served: tuple[FastAPI, httpx.AsyncClient]
) -> None:
    app, web = served
    await here.beat("mCBM")
    await here.beat("mCBM", leaving=True)
    async with asyncio.timeout(PATIENCE_S):
        while (await web.get("/api/v1/partitions/mCBM")).json()["partition"]["alive"]:
            app.state.context.feed.tick()
            await asyncio.sleep(0.01)
    refusals = (await web.get("/api/v1/partitions/mCBM")).json()["partition"]["refusals"]
    assert (refusals["stop"], refusals["abort"]) == (None, None)
    assert refusals["start"]["code"] == "not_looked_after"
