"""The background task of an agent in Python: its failure is told, and it begins again."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.core.systems import Action
from countingroom.runs.agents.port import Handle
from tests.scenario.test_agents import PQ, Diary, Stage


@pytest.mark.parametrize("before", ["Unconfigured", "Active"])
async def test_what_runs_beside_a_system_and_fails_is_told_and_begins_again(before: str) -> None:
    breaks = asyncio.Event()
    lives: list[str] = []
    stage = Stage()

    class Watching(Diary):
        async def live(self) -> None:
            lives.append(self.handle.partition)
            if lives.count("p") == 1 and self.handle.partition == "p":
                await breaks.wait()
                raise ValueError("the monitor broke")

    def make(handle: Handle) -> Watching:
        return Watching(handle, stage)

    try:
        await stage.begin(PQ, make)
        if before == "Active":
            await stage.order(Action.CONFIGURE)
        assert (await stage.state()).state == before
        breaks.set()
        await stage.clock.advance(1)
        state = await stage.state()
        if before == "Active":
            assert state.state == "Error" and state.cause
            assert "ValueError: the monitor broke" in state.cause.message
            await stage.order(Action.RESET)
        else:  # this table has no way to Error from there
            assert state.state == before and "ValueError: the monitor broke" in state.comment
        assert lives.count("p") == (2 if before == "Active" else 1)
        await stage.order(Action.CONFIGURE)
        assert (await stage.state()).state == "Active"
        assert lives.count("p") == 2
    finally:
        await stage.end()
