"""What the alarm engine tells of itself: readings evaluated, announcements, a flood while it goes on, its delay."""

from __future__ import annotations

import asyncio

from countingroom.core.alarms.queries import EngineFigures
from countingroom.core.messages import decode
from tests.scenario.alarm_stage import AlarmStage


async def told(stage: AlarmStage) -> EngineFigures:
    asking = asyncio.create_task(stage.bus.request("query.alarms.metrics", b"", timeout_s=5))
    while not asking.done():
        await stage.clock.advance(0.01)
    return decode((await asking).data, EngineFigures)


async def test_the_engine_counts_what_it_evaluates_and_announces() -> None:
    stage = AlarmStage()
    await stage.prepare()
    async with stage.host("chiller"), stage.engine():
        before = await told(stage)
        for _ in range(10):
            await stage.read(bath=36.0)
            await stage.read(bath=25.0)
        found = await told(stage)
        assert found.evaluations - before.evaluations == 20
        assert found.announced == (0, 10, 0, 0)
        assert (found.announced_10min, found.in_flood) == (10, True)
        assert found.batches >= 20
        assert found.unsaved == 0
        assert 0 <= found.longest_s <= found.delay_s
        await stage.clock.advance(601)
        later = await told(stage)
        assert not later.in_flood
        assert later.announced_10min == sum(later.announced) - sum(found.announced)
