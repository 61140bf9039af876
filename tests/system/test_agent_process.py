"""Agents as processes on a real bus: a death, a silence and a return are each seen once, and disturb no run."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import decode, encode
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.planner.events import LinkChanged
from tests.patience import PATIENCE_S

CHILD = Path(__file__).parent / "agent_child.py"


class Stage:
    def __init__(self, bus: NatsBus, url: str, place: Path) -> None:
        self.bus = bus
        self.url = url
        self.place = place
        self.told: asyncio.Queue[LinkChanged] = asyncio.Queue()
        self.children: list[asyncio.subprocess.Process] = []
        self.liveness = Liveness(bus, SystemClock(), self.told.put_nowait)
        self.orders = 0

    async def agent(self) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(sys.executable, CHILD, self.url, "sts", self.place)
        self.children.append(child)
        return child

    async def change(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            change = await self.told.get()
        return change.cause.code if change.cause else "connected"

    async def order(self, action: Action, **more: int | str) -> None:
        self.orders += 1
        deadline_ns = SystemClock().now_ns() + 10**10
        order = Order(id=f"o{self.orders}", action=action, partition="p", fence=1, deadline_ns=deadline_ns, **more)
        answer = decode(
            (await self.bus.request(subjects.agent("sts"), encode(order), timeout_s=PATIENCE_S)).data, Answer
        )
        assert answer.accepted, answer.cause
        async with asyncio.timeout(PATIENCE_S):
            while (await self.state()).order != order.id:
                await asyncio.sleep(0.01)

    async def state(self) -> SystemState:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.system_key("sts"))
        assert entry
        assert entry.data
        return decode(entry.data, SystemState)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    server = EmbeddedServer(tmp_path / "bus", description=BusSection())
    await server.start()
    url = server.url_with_login()
    bus = await nats.connect(url, name="runs")
    await streams.prepare(bus)
    made = Stage(bus, url, tmp_path / "memory")
    listening = asyncio.create_task(made.liveness.run())
    yield made
    for child in made.children:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    await bus.close()
    await server.stop()


async def test_a_killed_agent_is_seen_at_once_and_its_run_is_found_by_the_next(stage: Stage) -> None:
    child = await stage.agent()
    assert await stage.change() == "connected"
    await stage.order(Action.CONFIGURE, key="k", tag="t")
    await stage.order(Action.START, run=5)
    before = await stage.state()
    assert (before.state, before.run) == ("Recording", 5)
    child.kill()
    assert await stage.change() == "agent_gone"
    assert stage.liveness.why_not("sts")
    await stage.agent()
    assert await stage.change() == "connected"
    after = await stage.state()
    assert (after.state, after.run, after.key) == ("Recording", 5, "k")
    assert after.boot != before.boot
    assert stage.told.empty()


async def test_a_stopped_agent_is_seen_after_three_beats_and_its_return_too(stage: Stage) -> None:
    child = await stage.agent()
    assert await stage.change() == "connected"
    os.kill(child.pid, signal.SIGSTOP)
    assert await stage.change() == "agent_silent"
    os.kill(child.pid, signal.SIGCONT)
    assert await stage.change() == "connected"
    assert stage.told.empty()
