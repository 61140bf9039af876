"""The reload over the API: it carries out the plan that was shown, or nothing, and only for an administrator."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from countingroom.app.reload.candidate import CandidateQuestion, candidate
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError
from tests.console.edited_description import EditedUp
from tests.console.people import house
from tests.console.stage import stage
from tests.patience import PATIENCE_S

RELOAD = "/api/v1/description/commands/reload"


async def outcome(program: httpx.AsyncClient, digest: str) -> Any:
    """The event of the end of a reload of the plan with this fingerprint."""
    answer = await program.post(RELOAD, json={"arguments": {"digest": digest}})
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for one in (await program.get("/api/v1/events?limit=20")).json()["events"]:
                if one["command_id"] == answer.json()["id"] and one["kind"] in ("done", "failed"):
                    return one
            await asyncio.sleep(0.01)


async def test_only_the_plan_that_was_shown_is_carried_out(tmp_path: Path) -> None:
    async with stage(SystemClock()) as here, house(here) as home, asyncio.TaskGroup() as tasks:
        up = EditedUp(here.bus.client(), here.clock, tmp_path)
        serving = tasks.create_task(up.run())
        adam, eve = await home.program("adam"), await home.program("eve")
        up.edit("title: Bath", "poll: 2")
        plan = (await adam.get("/api/v1/description/plan")).json()["plan"]
        assert [key["key"] for one in plan["changes"] for key in one["keys"]] == ["poll", "title"]

        assert (await eve.get("/api/v1/description/plan")).status_code == 403
        assert (await eve.post(RELOAD, json={"arguments": {"digest": plan["digest"]}})).status_code == 403
        page = (await eve.get("/description")).text
        assert '"denied_reload":{"code":"denied"' in page
        assert '"denied_reload":null' in (await adam.get("/description")).text

        up.edit("title: Another bath", "poll: 2")
        refused = await outcome(adam, plan["digest"])
        assert (refused["kind"], refused["cause"]["code"]) == ("failed", "changed_since")
        assert up.file == ""

        plan = (await adam.get("/api/v1/description/plan")).json()["plan"]
        done = await outcome(adam, plan["digest"])
        assert (done["kind"], done["data"]["version"]) == ("done", 2)
        assert up.file
        serving.cancel()


async def test_a_check_that_ends_without_an_answer_is_told_in_words() -> None:
    async def launch(command: Sequence[str], output: int | None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "/bin/true", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )

    with pytest.raises(ConfigurationError, match="ended without an answer") as told:
        await candidate(launch, CandidateQuestion(description="experiment.yaml", simulate=True))
    assert "start `countingroom up` again" in told.value.cause.suggestion
