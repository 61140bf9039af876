"""The API tells of partitions, systems, configurations and runs what is, and sends commands to run control."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator

import httpx
import pytest

from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.run_book import RunEnd
from tests.console.runs_stage import RunsStage, runs_served, runs_stage
from tests.console.stage import stage


@pytest.fixture
async def here() -> AsyncGenerator[RunsStage]:
    async with stage(SystemClock(), play=False) as devices, runs_stage(devices) as playing:
        yield playing


@pytest.fixture
async def web(here: RunsStage) -> AsyncGenerator[httpx.AsyncClient]:
    async with runs_served(here) as (app, client):
        app.state.context.feed.tick()
        yield client


async def test_partitions_are_listed_with_the_detectors_that_are_in_none(web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/v1/partitions")).json()
    assert [one["partition"] for one in told["partitions"]] == ["lab", "mCBM"]
    assert told["unmapped"] == ["TRD"]


async def test_a_partition_tells_its_state_and_who_is_in_control(web: httpx.AsyncClient) -> None:
    told = (await web.get("/api/v1/partitions/mCBM")).json()
    assert told["partition"]["refusals"]["stop"]["code"] == "not_allowed"
    assert told["control"]["holder"] == "m.rossi"
    assert (await web.get("/api/v1/partitions/lab")).json()["control"] is None
    missing = await web.get("/api/v1/partitions/none")
    assert missing.status_code == 404
    assert missing.json()["cause"]["suggestion"] == "partitions: lab, mCBM"


async def test_a_plan_is_asked_of_run_control_and_its_refusal_is_told(web: httpx.AsyncClient) -> None:
    plan = (await web.get("/api/v1/partitions/mCBM/plan", params={"goal": "Recording", "tag": "physics"})).json()
    assert plan["plan"]["stages"][0]["steps"][0]["reason"] == "it is not configured"
    assert plan["plan"]["kept"] == {"TFC": "it has physics already"}
    assert plan["plan"]["stages"][0]["steps"][0]["action"] == "configure"
    query = {"goal": "", "reconfigure": "true"}
    change = (await web.get("/api/v1/partitions/mCBM/plan", params=query)).json()
    assert change["plan"]["stages"][0]["steps"][0]["action"] == "reconfigure"
    refused = await web.get("/api/v1/partitions/mCBM/plan", params={"goal": "Nowhere"})
    assert (refused.status_code, refused.json()["cause"]["code"]) == (404, "not_found")


async def test_what_a_move_would_change_is_asked_of_run_control(web: httpx.AsyncClient) -> None:
    answer = (await web.get("/api/v1/experiment/move", params={"detectors": "TRD, STS", "to": "lab"})).json()
    (effect,) = answer["effects"]
    assert (effect["partition"], effect["after"], effect["joins"]) == ("lab", "TFC_Active", ["TRD", "STS"])
    assert answer["obstacle"] is None
    refused = await web.get("/api/v1/experiment/move", params={"detectors": "XYZ"})
    assert refused.status_code == 404
    assert refused.json()["cause"]["message"] == "there is no detector XYZ"


async def test_what_is_said_of_a_run_goes_to_the_experiment_where_its_partition_is_no_more(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    body = {"arguments": {"run": 7, "text": "seen later"}, "wait_s": 5}
    assert (await web.post("/api/v1/partitions/gone/commands/comment", json=body)).status_code == 200
    assert here.asked[-1][0] == "command.local.runs._experiment"
    assert (await web.post("/api/v1/partitions/gone/commands/start", json={})).status_code == 404


@pytest.mark.parametrize("path", ["commands/start", "start"])
async def test_a_command_goes_to_the_owner_of_the_partition(here: RunsStage, web: httpx.AsyncClient, path: str) -> None:
    body = {"arguments": {"seconds": 60}, "seen_state": "TFC_Active", "wait_s": 5}
    answer = await web.post(f"/api/v1/partitions/mCBM/{path}", json=body)
    assert answer.status_code == 200
    assert answer.json()["outcome"]["kind"] == "done"
    subject, command = here.asked[-1]
    assert subject == "command.local.runs.mCBM"
    assert (command.action, command.arguments, command.seen_state) == ("start", {"seconds": 60}, "TFC_Active")


async def test_a_refusal_of_run_control_is_told_with_its_cause(here: RunsStage, web: httpx.AsyncClient) -> None:
    here.refuse = Cause(code="not_allowed", message="start is not allowed in Idle")
    answer = await web.post("/api/v1/partitions/mCBM/commands/start", json={})
    assert (answer.status_code, answer.json()["cause"]["code"]) == (409, "not_allowed")
    assert (await web.post("/api/v1/partitions/none/commands/start", json={})).status_code == 404


async def test_moving_is_a_command_of_the_experiment(here: RunsStage, web: httpx.AsyncClient) -> None:
    body = {"arguments": {"detectors": "STS,TRD", "to": "lab", "force": False}}
    assert (await web.post("/api/v1/experiment/commands/move", json=body)).status_code == 202
    assert here.asked[-1][0] == "command.local.runs._experiment"


async def test_nobody_answering_says_what_to_start(web: httpx.AsyncClient) -> None:
    answer = await web.post("/api/v1/systems/STS/commands/resolved", json={})
    assert answer.status_code == 503
    assert "agents" in answer.json()["cause"]["suggestion"]


async def test_systems_are_told_with_their_place_and_a_state_for_each_partition(web: httpx.AsyncClient) -> None:
    systems = {one["system"]: one for one in (await web.get("/api/v1/systems")).json()["systems"]}
    assert (systems["STS"]["partition"], list(systems["STS"]["states"])) == ("mCBM", ["mCBM"])
    assert (systems["TFC"]["kind"], list(systems["TFC"]["states"])) == ("global", ["mCBM"])
    assert (systems["TRD"]["partition"], systems["TRD"]["states"]) == ("", {})
    one = (await web.get("/api/v1/systems/STS")).json()
    assert [configuration["tag"] for configuration in one["configurations"]] == ["default", "physics"]
    assert (await web.get("/api/v1/systems/none")).status_code == 404


async def test_only_tags_that_cover_exactly_its_systems_are_offered_to_a_partition(web: httpx.AsyncClient) -> None:
    assert [one["name"] for one in (await web.get("/api/v1/partitions/lab/tags")).json()["tags"]] == [
        "default",
        "physics",
    ]
    assert (await web.get("/api/v1/partitions/mCBM/tags")).json()["tags"] == []


async def test_tags_are_compared_parameter_by_parameter(web: httpx.AsyncClient) -> None:
    asked = {"before": "default", "after": "physics"}
    changes = (await web.get("/api/v1/tags/compare", params=asked)).json()["changes"]
    assert [one["system"] for one in changes] == ["STS", "TFC"]
    assert changes[0]["before"] == "default"
    assert (await web.get("/api/v1/tags/physics")).json()["systems"]["TFC"] == "physics"
    assert (await web.get("/api/v1/tags/none")).status_code == 404


async def test_configurations_are_told_as_they_are_and_as_they_were(here: RunsStage, web: httpx.AsyncClient) -> None:
    await here.database.configurations.save("STS", "physics", {"threshold": 99}, "j.doe", "tighter")
    now = (await web.get("/api/v1/configurations/STS/physics")).json()
    was = (await web.get("/api/v1/configurations/STS/physics", params={"revision": 1})).json()
    assert (now["parameters"], was["parameters"]) == ({"threshold": 99}, {"threshold": 47})
    history = (await web.get("/api/v1/configurations/STS/history", params={"tag": "physics"})).json()["history"]
    assert [one["revision"] for one in history] == [2, 1]
    listed = (await web.get("/api/v1/configurations", params={"system": "STS"})).json()["configurations"]
    assert {one["system"] for one in listed} == {"STS"}
    exported = await web.get("/api/v1/configurations/export")
    assert "threshold: 99" in exported.text


async def test_runs_are_found_by_filter_and_leave_as_a_file(here: RunsStage, web: httpx.AsyncClient) -> None:
    first = await here.database.runs.reserve("mCBM", "cbm", "m.rossi", tag="physics")
    await here.database.runs.reserve("lab", "cbm", "j.doe", tag="default")
    runs = (await web.get("/api/v1/runs")).json()["runs"]
    assert [one["partition"] for one in runs] == ["lab", "mCBM"]
    found = (await web.get("/api/v1/runs", params={"partition": "mCBM", "from": "-1h", "open": True})).json()["runs"]
    assert [one["number"] for one in found] == [first.number]
    assert (await web.get(f"/api/v1/runs/{first.number}")).json()["requested_by"] == "m.rossi"
    assert (await web.get("/api/v1/runs/999999")).status_code == 404
    file = await web.get("/api/v1/runs/export", params={"format": "csv", "partition": "lab"})
    assert [row["partition"] for row in csv.DictReader(io.StringIO(file.text))] == ["lab"]
    assert (await web.get("/api/v1/runs/export", params={"format": "parquet"})).content[:4] == b"PAR1"
    assert (await web.get("/api/v1/runs/export", params={"format": "pdf"})).status_code == 409


async def test_a_file_holds_every_run_that_matches_not_only_a_page_of_them(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    for _ in range(101):
        run = await here.database.runs.reserve("mCBM", "cbm", "m.rossi")
        await here.database.runs.close(run.number, RunEnd.NEVER_STARTED)
    assert len((await web.get("/api/v1/runs")).json()["runs"]) == 100
    assert len((await web.get("/api/v1/runs/export", params={"format": "json"})).json()) == 101
    assert len((await web.get("/api/v1/runs/export", params={"format": "json", "limit": 3})).json()) == 3
