"""The API of alarms: filters, guidance and history by asking the department, commands for many with their roles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from countingroom.core import subjects
from countingroom.core.alarms.states import BaseState
from countingroom.core.clock import SystemClock
from countingroom.core.commands.alarms import ALARMS, named
from countingroom.core.errors import Cause
from tests.console.alarms_stage import BATH, AlarmStage, a_night, alarms_stage
from tests.console.people import house
from tests.console.stage import served, stage
from tests.patience import PATIENCE_S


@asynccontextmanager
async def night() -> AsyncGenerator[tuple[AlarmStage, httpx.AsyncClient]]:
    """The alarms of a night behind the API."""
    async with stage(SystemClock()) as here, alarms_stage(here) as alarms:
        await alarms.publish(*a_night(alarms))
        async with served(here) as (_, client):
            yield alarms, client


async def ids(client: httpx.AsyncClient, **asked: object) -> list[str]:
    answer = await client.get("/api/v1/alarms", params=asked)  # type: ignore[arg-type]
    assert answer.status_code == 200
    return [one["id"] for one in answer.json()["alarms"]]


async def test_open_alarms_come_by_priority_then_newest_first() -> None:
    async with night() as (_, client):
        found = (await client.get("/api/v1/alarms")).json()
    assert [one["priority"] for one in found["alarms"]] == sorted(one["priority"] for one in found["alarms"])
    assert found["alarms"][0]["id"] == BATH
    assert found["total"] == len(found["alarms"]) == 12
    assert found["counts"] == {"1": 2, "2": 2, "3": 2, "4": 1}
    assert (found["unacknowledged"], found["shelved"]) == (4, 3)
    assert found["areas"] == ["cooling", "cooling/chiller", "cooling/marta", "environment"]
    under = {one["id"]: one["under"] for one in found["alarms"] if one["under"]}
    assert under.keys() > {"channel.caen.0", "value.trd.a"}
    assert under["channel.caen.0"] == BATH


async def test_alarms_are_filtered_by_state_priority_area_and_text() -> None:
    async with night() as (_, client):
        assert await ids(client, state="unacknowledged", priority=3) == ["point.esp02.co2"]
        assert await ids(client, area="cooling") == [BATH, "point.marta.pt04"]
        assert await ids(client, text="TRD") == ["value.trd.a", "member.mCBM.TRD"]
        flagged = {"channel.caen.3", "point.caen.0.hv_v", "point.esp02.humidity"}
        assert set(await ids(client, state="shelved")) == flagged
        assert len(await ids(client, state="all")) == 15
        assert await ids(client, state="all", text="cable") == ["point.esp02.humidity"]
        assert await ids(client, priority=[1, 4]) == [BATH, "point.caen.2.lv_i", "custom.history_disk"]
        assert await ids(client, limit=1, offset=1) == ["point.caen.2.lv_i"]
        assert (await client.get("/api/v1/alarms?priority=5")).status_code == 422
        assert (await client.get("/api/v1/alarms?state=made_up")).status_code == 422


async def test_an_alarm_has_guidance_history_and_its_point() -> None:
    async with night() as (_, client):
        found = (await client.get(f"/api/v1/alarms/{BATH}")).json()
        history = (await client.get(f"/api/v1/alarms/{BATH}/history", params={"limit": 2})).json()
        definitions = (await client.get("/api/v1/alarms/definitions", params={"id": [BATH, "custom.no"]})).json()
    assert found["alarm"]["shown"] == "unacknowledged"
    assert found["definition"]["guidance"]["time_to_act_s"] == 300.0
    assert [one["kind"] for one in found["history"]] == [
        "message",
        "raised",
        "acknowledged",
        "message",
        "announced",
        "returned",
    ]
    assert [one["text"] for one in found["history"] if one["kind"] == "message"] == [
        "message to anna by anna_mail: sent",
        "message to anna by anna_mail: could not be sent: smtp.example.org:587 answers 550: no such user",
    ]
    assert found["point"]["unit"] == "degC"
    assert found["problem"] is None
    assert [one["kind"] for one in history["history"]] == ["message", "raised"]
    assert [one["id"] for one in definitions["definitions"]] == [BATH]


async def test_without_the_department_an_alarm_is_shown_and_says_what_is_missing() -> None:
    async with stage(SystemClock()) as here:
        alarms = AlarmStage(here)
        await alarms.publish(alarms.alarm("custom.a"))
        async with served(here) as (_, client):
            answer = await client.get("/api/v1/alarms/custom.a")
            assert (answer.status_code, answer.json()["problem"]["code"]) == (200, "unreachable")
            assert answer.json()["problem"]["message"] == "the alarm department is not running"
            assert (await client.get("/api/v1/alarms/custom.b")).status_code == 503
            assert (await client.get("/api/v1/alarms/definitions?id=custom.a")).status_code == 503
            sent = await client.post("/api/v1/alarms/commands/acknowledge", json={"alarms": {"custom.a": 1}})
            assert (sent.status_code, sent.json()["cause"]["code"]) == (503, "unreachable")


async def test_an_identity_that_there_is_not_is_not_found() -> None:
    async with night() as (_, client):
        for name in ("custom.no", "no key!", "a..b"):
            answer = await client.get(f"/api/v1/alarms/{name}")
            assert (answer.status_code, answer.json()["cause"]["code"]) == (404, "not_found"), name


async def test_many_alarms_are_acknowledged_with_the_occurrence_that_was_seen() -> None:
    async with night() as (alarms, client):
        order = {"alarms": {BATH: 1, "member.mCBM.TRD": None}, "arguments": {"comment": "seen"}, "wait_s": 10}
        answer = await client.post("/api/v1/alarms/commands/acknowledge", json=order)
        assert (answer.status_code, answer.json()["outcome"]["kind"]) == (200, "done")
        ((user, command),) = alarms.commands
        assert named(str(command.arguments["alarms"])) == order["alarms"]
        assert (user, command.arguments["comment"]) == ("local", "seen")
        async with asyncio.timeout(PATIENCE_S):
            while BATH in await ids(client, state="unacknowledged"):
                await asyncio.sleep(0)


async def test_a_refusal_of_the_department_is_the_answer() -> None:
    async with night() as (alarms, client):
        alarms.refuse = Cause(code="not_allowed", message="it happened again")
        answer = await client.post("/api/v1/alarms/commands/acknowledge", json={"alarms": {BATH: 1}})
        assert (answer.status_code, answer.json()["cause"]["message"]) == (409, "it happened again")


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        ("acknowledge", {}, 422),
        ("acknowledge", {"alarms": {BATH: -1}}, 422),
        ("acknowledge", {"alarms": {BATH: 1.5}}, 422),
        ("acknowledge", {"alarms": {"a" * 301: 1}}, 422),
        ("acknowledge", {"arguments": {"alarms": "no json"}}, 422),
        ("acknowledge", {"alarms": {f"point.a.{number}": None for number in range(1001)}}, 422),
        ("made_up", {"alarms": {BATH: 1}}, 404),
    ],
)
async def test_a_command_that_names_no_alarm_rightly_is_not_sent(
    command: str, body: dict[str, object], status: int
) -> None:
    async with night() as (alarms, client):
        answer = await client.post(f"/api/v1/alarms/commands/{command}", json=body)
        assert answer.status_code == status, answer.text
        assert alarms.commands == []


async def test_a_role_on_a_device_is_enough_for_its_alarms_and_for_no_other() -> None:
    async with stage(SystemClock()) as here, alarms_stage(here) as alarms:
        make = alarms.alarm
        await alarms.publish(make("point.caen.a", device="caen"), make("point.chiller.a", device="chiller"))
        async with house(here) as home:
            carla = await home.program("carla")
            # One that is at rest has no published state.
            alarms.states["point.caen.b"] = make("point.caen.b", device="caen", base=BaseState.NORMAL)
            at_rest = {"alarms": {"point.caen.b": None}, "arguments": {"reason": "r", "seconds": 60}}
            assert (await carla.post("/api/v1/alarms/commands/shelve", json=at_rest)).status_code == 202
            for named_, status in (({"point.caen.a": 1}, 202), ({"point.caen.a": 1, "point.chiller.a": 1}, 403)):
                answer = await carla.post("/api/v1/alarms/commands/acknowledge", json={"alarms": named_})
                assert answer.status_code == status, answer.text
            area = {"arguments": {"area": "cooling", "reason": "r", "seconds": 60}}
            assert (await carla.post("/api/v1/alarms/commands/shelve", json=area)).status_code == 403
            assert [user for user, _ in alarms.commands] == ["carla", "carla"]
            record = [one for one in await home.record() if one.who == "carla" and one.what in ALARMS]
    assert sorted((one.what, one.outcome, one.arguments.get("alarms")) for one in record) == [
        ("acknowledge", "accepted", "point.caen.a 1"),
        ("acknowledge", "refused", "point.caen.a 1, point.chiller.a 1"),
        ("shelve", "accepted", "point.caen.b"),
        ("shelve", "refused", None),
    ]


async def test_the_audit_has_the_reason_however_many_alarms_are_named() -> None:
    async with stage(SystemClock()) as here, alarms_stage(here) as alarms:
        many = {f"point.caen.{number}": None for number in range(400)}
        await alarms.publish(*map(alarms.alarm, many))
        async with house(here) as home:
            adam = await home.program("adam")
            order = {"alarms": many, "arguments": {"reason": "cables", "seconds": 60}}
            assert (await adam.post("/api/v1/alarms/commands/shelve", json=order)).status_code == 202
            (entry,) = [one for one in await home.record() if one.what == "shelve"]
    assert (entry.arguments["reason"], entry.arguments["number_of_alarms"]) == ("cables", 400)
    assert str(entry.arguments["alarms"]).startswith("point.caen.0, point.caen.1, ")


async def test_the_description_of_the_api_names_every_command() -> None:
    async with night() as (_, client):
        told = (await client.get("/openapi.json")).json()["paths"]["/api/v1/alarms/commands/{command}"]["post"]
    for row in ALARMS.values():
        assert row.usage in told["description"]


def test_the_target_of_commands_is_one_token() -> None:
    assert subjects.command("anna", "alarms", subjects.ALARMS) == "command.anna.alarms._alarms"
