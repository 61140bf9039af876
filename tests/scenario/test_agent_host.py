"""A host runs one agent a system, comes back after every loss, and leaves to others what others serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from countingroom.bus import streams
from countingroom.bus.disconnects import read
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import AgentBeats, Presence, decode
from countingroom.core.systems import SystemKind
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.agents.port import System
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.system import plain_chart
from countingroom.testing.clock import FakeClock

SECTION = RunsSection.model_validate(
    {"systems": {"sts": {}, "qa": {"kind": "global"}, "far": {"agent": {"kind": "none"}}}}
)


class Stage:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.names: list[str] = []
        self.refusals = 0
        self.boots: dict[str, set[str]] = {}
        self.together: list[dict[str, str]] = []
        """What was in each heartbeat of the whole process."""
        self.own = 0
        """Heartbeats of single agents."""
        self.clients: dict[str, MemoryBus] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def connect(self, name: str) -> MemoryBus:
        if self.refusals:
            self.refusals -= 1
            raise LinkError("no server", source="bus")
        self.names.append(name)
        self.clients[name] = client = self.bus.client(name)
        return client

    async def hear(self) -> None:
        async with self.bus.subscribe(subjects.pulse("*")) as beats:
            async for message in beats:
                if subjects.is_pulse_of_many(message.subject):
                    self.together.append(dict(decode(message.data, AgentBeats).agents))
                    continue
                beat = decode(message.data, Presence)
                self.own += not beat.leaving
                if not beat.leaving:
                    self.boots.setdefault(beat.instance, set()).add(beat.boot)

    async def begin(self) -> asyncio.Task[None]:
        await streams.prepare(self.bus)
        host = AgentHost(self.connect, self.clock, SECTION)
        self.tasks += [asyncio.create_task(self.hear()), asyncio.create_task(host.run())]
        await self.clock.advance(1)
        return self.tasks[-1]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    for task in reversed(made.tasks):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_each_agent_has_a_connection_that_is_called_by_its_life(stage: Stage) -> None:
    host = await stage.begin()
    assert set(stage.boots) == {"sts", "qa"}
    lives = {subjects.connection(system, boot) for system, boots in stage.boots.items() for boot in boots}
    assert set(stage.names) == {"agents", *lives}
    async with stage.bus.subscribe(subjects.DEPARTURES) as departures:
        host.cancel()
        with suppress(asyncio.CancelledError):
            await host
        left = {gone.name for gone in [read(await anext(departures)) for _ in range(3)] if gone}
    assert left == {"agents", *lives}


async def test_one_heartbeat_tells_of_all_agents_that_are_reached(stage: Stage) -> None:
    await stage.begin()
    await stage.clock.advance(2)
    assert stage.own == 2  # the first of each
    sts, qa = (next(iter(stage.boots[name])) for name in ("sts", "qa"))
    assert len(stage.together) in (4, 5, 6)
    assert stage.together[-1] == {"sts": sts, "qa": qa}
    stage.clients[subjects.connection("sts", sts)].cut()
    await stage.clock.advance(1)
    assert stage.together[-1] == {"qa": qa}


async def test_agents_beat_each_for_itself_while_only_the_connection_of_the_process_is_lost(stage: Stage) -> None:
    await stage.begin()
    stage.clients["agents"].cut()
    stage.together.clear()
    stage.own = 0
    await stage.clock.advance(2)
    assert stage.together == []
    assert stage.own == 8
    stage.clients["agents"].mend()
    await stage.clock.advance(1)
    assert stage.together


async def test_a_bus_that_is_not_there_yet_is_waited_for(stage: Stage) -> None:
    stage.refusals = 3
    await stage.begin()
    await stage.clock.advance(3)
    assert set(stage.boots) == {"sts", "qa"}


async def test_a_system_that_is_served_elsewhere_is_left_alone_until_it_is_not(stage: Stage) -> None:
    await streams.prepare(stage.bus)
    other = AgentRunner(
        stage.bus.client(), stage.clock, "sts", SystemKind.DETECTOR, plain_chart(), System, boot="other"
    )
    serving = asyncio.create_task(other.run())
    stage.tasks.append(serving)
    await stage.clock.advance(0)
    await stage.begin()
    await stage.clock.advance(3)
    assert stage.boots["sts"] == {"other"}
    assert len(stage.boots["qa"]) == 1
    serving.cancel()
    await stage.clock.advance(2)
    assert len(stage.boots["sts"]) == 2


async def test_an_agent_whose_system_cannot_be_made_is_tried_again_and_harms_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = AgentHost.agent
    failures = [1, 1]

    def broken(self: AgentHost, bus: MemoryBus, name: str, *more: object, **other: object) -> AgentRunner:
        if name == "sts" and failures:
            failures.pop()
            raise OSError("no such device")
        return made(self, bus, name, *more, **other)  # type: ignore[arg-type]

    monkeypatch.setattr(AgentHost, "agent", broken)
    await stage.begin()
    assert set(stage.boots) == {"qa"}
    await stage.clock.advance(3)
    assert set(stage.boots) == {"sts", "qa"}
