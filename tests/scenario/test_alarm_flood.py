"""In a flood of alarms the urgent ones come first, commands are answered in between, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from countingroom.alarms.engine.keeper import AT_ONCE
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.alarms.history import HistoryKind
from countingroom.core.messages import Catalogue, Readings, encode
from countingroom.core.points import Limits, Point
from tests.scenario.alarm_stage import AlarmStage

DEVICES = tuple(f"d{number}" for number in range(20))
POINTS = tuple(f"p{number}" for number in range(500))
"""Together more alarms than the publisher keeps events."""


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    made = AlarmStage()
    await prepare(made.bus, max_bytes=1 << 28)
    points = tuple(Point(name=name, limits=Limits(alarm_high=10.0)) for name in POINTS)
    for device in DEVICES:
        await made.put(Catalogue(device=device, title=device, driver="fake", group="", points=points))
    trip = Point(name="trip", severity=1, description="the magnet has tripped")
    await made.put(Catalogue(device="magnet", title="Magnet", driver="fake", group="", points=(trip,)))
    async with made.host(*DEVICES, "magnet"):
        yield made


async def read(stage: AlarmStage, device: str, value: float | bool, *points: str) -> None:
    count = len(points)
    message = Readings(
        device=device,
        boot="b1",
        sequence=stage.clock.now_ns(),
        full=False,
        sent_ns=stage.clock.now_ns(),
        points=list(points),
        values=[value] * count,
        qualities=[0] * count,
        device_ns=[stage.clock.now_ns()] * count,
        received_ns=[stage.clock.now_ns()] * count,
    )
    await stage.bus.append(subjects.readings(device, full=False), encode(message))


async def test_the_urgent_alarm_behind_a_flood_is_announced_before_it_and_every_event_is_stored(
    stage: AlarmStage,
) -> None:
    async with stage.engine():
        for device in DEVICES:
            await read(stage, device, 13.0, *POINTS)
        await read(stage, "magnet", True, "trip")
        await stage.clock.advance(5)
        order = [row.alarm for row in stage.store.rows]
        assert len(order) == len(set(order)) == len(DEVICES) * len(POINTS) + 1
        assert order.index("point.magnet.trip") <= 2 * len(POINTS)
        assert len(await stage.events()) == len(order)


async def test_a_command_is_answered_in_a_flood(stage: AlarmStage) -> None:
    async with stage.engine():
        await read(stage, "d0", 13.0, "p0")
        await stage.clock.advance(0.1)
        for device in DEVICES:
            await read(stage, device, 13.0, *POINTS)
        asking = asyncio.create_task(stage.command("acknowledge", alarms='{"point.d0.p0": 1}'))
        await stage.clock.advance(5)
        assert await asking is None
        kinds = [row.kind for row in stage.store.rows]
        assert len(kinds) == len(DEVICES) * len(POINTS) + 1
        assert kinds.index(HistoryKind.ACKNOWLEDGED) < len(kinds) / 2


async def test_within_a_device_the_urgent_alarm_is_published_first(stage: AlarmStage) -> None:
    points = tuple(Point(name=name, limits=Limits(alarm_high=10.0)) for name in POINTS)
    trip = Point(name="trip", severity=1, description="it has tripped")
    await stage.put(Catalogue(device="d0", title="d0", driver="fake", group="", points=(*points, trip)))
    async with stage.engine():
        await read(stage, "d0", 13.0, *POINTS, "trip")
        await stage.clock.advance(1)
        revisions: dict[str, int] = {}
        for name in (*POINTS, "trip"):
            entry = await stage.bus.get("state", subjects.alarm_key(f"point.d0.{name}"))
            assert entry
            revisions[name] = entry.revision
        assert min(revisions, key=lambda name: revisions[name]) == "trip"


async def test_a_device_with_very_many_alarms_delays_no_urgent_one_and_no_command(stage: AlarmStage) -> None:
    names = [f"q{number}" for number in range(6000)]
    trip = Point(name="trip", severity=1, description="it has tripped")
    points = tuple(Point(name=name, limits=Limits(alarm_high=10.0)) for name in names)
    await stage.put(Catalogue(device="d0", title="d0", driver="fake", group="", points=(*points, trip)))
    async with stage.engine():
        await read(stage, "d0", 13.0, *names, "trip")
        await read(stage, "magnet", True, "trip")
        asking = asyncio.create_task(stage.command("comment", alarms='{"point.d0.q5999": null}', comment="I see it"))
        await stage.clock.advance(5)
        assert await asking is None
        rows = stage.store.rows
        assert len(rows) == len(names) + 3
        order = [row.alarm for row in rows]
        assert order[0] == "point.d0.trip"
        assert order.index("point.magnet.trip") <= 2 * AT_ONCE
        assert [row.kind for row in rows].index(HistoryKind.COMMENTED) < len(rows) / 2
