"""Pages of run control show what is so, escaped, and are offered only where there are partitions."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from countingroom.bus.port import Message
from countingroom.console.live.subscription import LiveSubscription
from countingroom.console.present import partition_views
from countingroom.core import subjects
from countingroom.core.apply_description.compare import ApplyAction, ApplyPlan, ItemChange
from countingroom.core.apply_description.messages import ApplyAnswer, DescriptionState
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause
from countingroom.core.messages import encode
from countingroom.core.run_book import RunCondition, RunEnd, RunFlag, RunFlagKind, RunNote
from countingroom.core.values import Quality
from countingroom.testing.clock import FakeClock
from tests.console.runs_stage import RunsStage, partition, runs_served, runs_stage
from tests.console.stage import served, stage
from tests.patience import PATIENCE_S

WATCH = LiveSubscription(devices=None, points=None, states=True, events=True, partitions=None)


@pytest.fixture
async def here() -> AsyncGenerator[RunsStage]:
    async with stage(SystemClock(), play=False) as devices, runs_stage(devices) as playing:
        yield playing


@pytest.fixture
async def web(here: RunsStage) -> AsyncGenerator[httpx.AsyncClient]:
    async with runs_served(here) as (app, client):
        app.state.context.feed.tick()
        yield client


async def text(web: httpx.AsyncClient, path: str) -> str:
    answer = await web.get(path, headers={"accept": "text/html"})
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


async def test_a_partition_shows_its_systems_by_group_and_texts_of_others_as_text(web: httpx.AsyncClient) -> None:
    page = await text(web, "/partitions/mCBM")
    assert page.index("Global systems") < page.index(">TFC<") < page.index("Detectors</th>") < page.index(">STS<")
    assert "<b>TOF</b>" not in page
    assert "&lt;b&gt;TOF&lt;/b&gt;" in page
    assert "m.rossi" in page
    assert (await web.get("/partitions/none", headers={"accept": "text/html"})).status_code == 404


async def test_the_overview_shows_a_card_a_partition_the_unmapped_and_the_last_runs(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    run = await here.database.runs.reserve("mCBM", "cbm", "m.rossi", tag="physics")
    page = await text(web, "/")
    assert 'data-partition="lab"' in page
    assert "In no partition" in page
    assert f'href="/runs/{run.number}"' in page


async def test_a_run_shows_its_notes_its_end_and_the_trends_of_its_time(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    runs = here.database.runs
    run = await runs.reserve("mCBM", "cbm", "m.rossi", members=("TFC",))
    await runs.began(run.number, run.asked_ns + 10**9)
    note = RunNote(time_ns=run.asked_ns, kind="comment", text="beam <i>is</i> back", author="j.doe")
    await runs.note(run.number, note)
    cause = Cause(code="lost", message="TFC was lost")
    await runs.close(
        run.number, RunEnd.LOST, run.asked_ns + 91 * 10**9, ended_by="", cause=cause, counters={"QA.events": 1234567}
    )
    page = await text(web, f"/runs/{run.number}")
    assert "beam &lt;i&gt;is&lt;/i&gt; back" in page
    assert "TFC was lost" in page
    assert "1 min 30 s" in page
    assert "1\u202f234\u202f567" in page
    assert "/trends?span=210&amp;to=" in page
    book = await text(web, "/runs?text=beam")
    assert f">{run.number}<" in book
    assert "No run matches" in await text(web, "/runs?partition=lab")


async def test_a_run_shows_its_flags_and_conditions_and_is_found_by_its_flag(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    runs = here.database.runs
    run = await runs.reserve("mCBM", "cbm", "m.rossi", members=("TFC",))
    begin = {"co2.t": RunCondition(value=-25.5, quality=Quality.GOOD, device_ns=1)}
    await runs.began(run.number, run.asked_ns, conditions=begin)
    flag = RunFlag(flag=RunFlagKind.DEGRADED, what="<STS> is excluded", since_ns=run.asked_ns, subject="STS")
    await runs.close(run.number, RunEnd.STOPPED, run.asked_ns + 1, flags=[flag], conditions={})
    page = await text(web, f"/runs/{run.number}")
    assert "&lt;STS&gt; is excluded" in page
    assert "-25.5" in page
    book = await text(web, "/runs?flag=degraded")
    assert '<span class="badge flag" title="&lt;STS&gt; is excluded">degraded</span>' in book
    assert "No run matches" in await text(web, "/runs?flag=interrupted")
    assert "No run matches" in await text(web, "/runs?flag=")
    found = (await web.get("/api/v1/runs", params={"flag": "any"})).json()["runs"]
    assert [one["flags"][0]["what"] for one in found] == ["<STS> is excluded"]
    assert (await web.get("/api/v1/runs", params={"flag": "wrong"})).status_code == 422


async def test_configurations_can_be_looked_at_and_tags_compared(web: httpx.AsyncClient) -> None:
    page = await text(web, "/configurations?system=STS&tag=physics")
    assert '"threshold":47' in page
    compared = await text(web, "/configurations?before=default&after=physics")
    assert "threshold</td>" in compared


async def test_detectors_are_listed_with_where_they_are(here: RunsStage, web: httpx.AsyncClient) -> None:
    await here.database.partitions.create("mCBM", "cbm", "", "m.rossi")
    await here.database.mapping.create("STS", "m.rossi", partition="mCBM")
    page = await text(web, "/detectors")
    assert '<input type="checkbox" value="STS"' in page
    assert '<option value="mCBM">' in page


async def test_every_page_tells_the_partition_that_is_foremost_and_its_run(
    here: RunsStage, web: httpx.AsyncClient
) -> None:
    assert 'id="front" href="/partitions/mCBM"' in await text(web, "/events")
    assert 'id="front" href="/partitions/lab"' in await text(web, "/partitions/lab")


def test_the_partition_with_the_newest_run_is_foremost_then_who_left_its_lowest_state_last() -> None:
    idle, up = partition("a", state="Idle"), partition("b")
    assert partition_views.foremost({}) == ""
    assert partition_views.foremost({"a": idle, "b": up}) == "b"
    assert partition_views.foremost({"a": partition("a", run=7), "b": partition("b", run=8)}) == "b"


def test_names_are_sorted_as_people_count() -> None:
    assert sorted(["MVD10", "TOF", "MVD2", "mvd"], key=partition_views.natural) == ["mvd", "MVD2", "MVD10", "TOF"]


async def test_without_partitions_nothing_of_run_control_is_offered() -> None:
    async with stage(SystemClock()) as devices, served(devices) as (_, web):
        page = await text(web, "/")
        assert 'href="/runs' not in page
        assert "Partitions" not in page
        assert (await web.get("/api/v1/runs")).json()["cause"]["code"] == "no_database"


async def test_what_nobody_looks_after_is_shown_as_last_words_until_it_is_owned_again() -> None:
    clock = FakeClock()
    async with stage(clock, play=False) as devices, runs_stage(devices) as here, runs_served(here) as (app, web):
        hub = app.state.context.feed

        async def seen() -> tuple[str, str, dict[str, Any], dict[str, Any]]:
            hub.tick()
            told = (await web.get("/api/v1/partitions/mCBM")).json()["partition"]
            feed = json.loads(hub.snapshot(WATCH))["partitions"]["mCBM"]
            return await text(web, "/partitions/mCBM"), await text(web, "/"), told, feed

        async def beats(seconds: int) -> None:
            for _ in range(seconds):
                await here.beat("mCBM", "lab")
                await clock.advance(1)

        await beats(6)
        page, overview, told, feed = await seen()
        assert told["alive"] is True
        assert told["refusals"]["start"] is None
        assert feed["gone_ns"] is None
        assert "No owner" not in page + overview
        await clock.advance(3)
        page, overview, told, feed = await seen()
        assert (told["alive"], told["refusals"]["start"]["code"]) == (False, "not_looked_after")
        assert told["refusals"]["take_control"]["suggestion"]
        assert feed["gone_ns"]
        assert 'class="card head lost"' in page
        assert "No owner since" in page
        assert 'class="st big s-no_link"' in page
        assert 'class="card pcard lost" data-partition="mCBM"' in overview
        listed = (await web.get("/api/v1/partitions")).json()["partitions"]
        assert [one["alive"] for one in listed] == [False, False]
        assert "partition." not in (await web.get("/metrics")).text
        await here.beat("mCBM", boot="boot2")
        await clock.advance(0.1)
        page, overview, told, feed = await seen()
        assert (told["alive"], feed["gone_ns"]) == (True, None)
        assert "No owner" not in page
        assert 'class="card pcard lost" data-partition="lab"' in overview


@pytest.mark.parametrize(
    ("state", "disc"),
    [("Idle", "off"), ("Configuring_TFC", "moving"), ("TFC_Active", "ready"), ("Recording", "on")],
)
def test_the_disc_of_a_partition_fills_with_its_progress(state: str, disc: str) -> None:
    assert partition_views.disc(partition(state=state)) == disc
    assert partition_views.rests(partition(state=state)) == ["Idle", "TFC_Active", "Recording"]


async def test_any_two_revisions_of_a_configuration_are_compared(here: RunsStage, web: httpx.AsyncClient) -> None:
    save = here.database.configurations.save
    for parameters in ({"gain": 1, "mode": "a"}, {"gain": 1.0, "mode": "a", "new": "<b>x</b>"}, {"mode": "a"}):
        await save("STS", "beam", parameters, "anna")
    page = await text(web, "/configurations?system=STS&tag=beam&from=1&to=2")
    rows = re.findall(r'<tr class="(differs)?"><th scope="row">(\w+)</th>', page)
    assert rows == [("differs", "gain"), ("", "mode"), ("differs", "new")]
    assert "<b>x</b>" not in page
    back = await text(web, "/configurations?system=STS&tag=beam&from=3&to=1&as=unified")
    assert re.findall(r'<div class="(minus|plus)">. (\w+)', back) == [("plus", "gain")]
    plain = await text(web, "/configurations?system=STS&tag=beam")
    assert 'id="difference"' not in plain
    assert re.findall(r'name="(\w+)" value="(\d)"[^>]*checked', plain) == [("to", "3"), ("from", "2")]
    missing = await web.get("/configurations?system=STS&tag=beam&from=1&to=9", headers={"accept": "text/html"})
    assert missing.status_code == 404


PLAN = ApplyPlan(
    revision=1,
    changes=(
        ItemChange(
            action=ApplyAction.UPDATE,
            kind="configuration",
            name="STS.physics",
            reason="changed in the description",
            described={"text": "<b>new</b>"},
            held={"text": "old"},
        ),
    ),
    digest="seen",
)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_description_that_differs_is_told_on_the_overview_and_shown_with_the_configurations(
    here: RunsStage, web: httpx.AsyncClient, answers: bool
) -> None:
    assert "differs from the database" not in await text(web, "/")
    state = DescriptionState(counts={"update": 1}, read_ns=1)
    await here.bus.put(subjects.STATE_BUCKET, subjects.DESCRIPTION_KEY, encode(state))

    async def answer(_: Message) -> bytes:
        return encode(ApplyAnswer(plan=PLAN, read_ns=1))

    async with AsyncExitStack() as stack:
        if answers:
            await stack.enter_async_context(here.bus.respond(subjects.query("runs", "apply"), answer))
        async with asyncio.timeout(PATIENCE_S):
            while "differs from the database: 1 to update" not in await text(web, "/"):
                await asyncio.sleep(0)
        page = await text(web, "/configurations")
    assert ('id="apply"' in page) is answers
    assert ("configuration.STS.physics" in page) is answers
    assert "<b>new</b>" not in page
    assert ("Run control does not answer" in page) is not answers
