"""The control room behind a console with a login: a simulated upstream, the real link to it, and the memory bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.console.app import create
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.commands.upstreams import UPSTREAMS
from countingroom.core.mirror.control import CONTROL_KEY, UpstreamControl
from countingroom.core.subjects import STATE_BUCKET
from countingroom.mirror.grabber.control import ControlPlan, ControlService
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess, UpstreamLink, WebSocketLink
from countingroom.simulators.dqm import DqmSimulator
from tests.console.people import House, house
from tests.console.served import served
from tests.console.stage import stage
from tests.patience import PATIENCE_S

FU = "fu-c2f11-11-01"
SECRET = "s3cr3t/ of the farm"
BASE = "/api/v1/mirror/upstreams/farm"


class AheadClock(SystemClock):
    """The time of the system, and as much more as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class ControlStage:
    """All of it."""

    def __init__(self, home: House, simulator: DqmSimulator, link: UpstreamLink, clock: AheadClock) -> None:
        self.home = home
        self.simulator = simulator
        self.link = link
        """By which the upstream is read and acted at."""
        self.clock = clock

    @property
    def done(self) -> list[str]:
        """What the upstream did."""
        return self.simulator.control.done

    async def plan(self, client: httpx.AsyncClient, action: str, /, **arguments: Any) -> httpx.Response:
        """Ask what would be sent."""
        return await client.post(f"{BASE}/plan/{action}", json={"arguments": arguments})

    async def act(self, client: httpx.AsyncClient, action: str, /, **arguments: Any) -> httpx.Response:
        """Ask what would be sent, and send it."""
        asked = await self.plan(client, action, **arguments)
        assert asked.status_code == 200, asked.text
        return await self.send(client, action, asked.json()["mark"], **arguments)

    async def send(self, client: httpx.AsyncClient, action: str, mark: str, /, **arguments: Any) -> httpx.Response:
        """Send what a plan says."""
        body = {"arguments": {**arguments, "plan": mark}, "wait_s": 20}
        return await client.post(f"{BASE}/commands/{action}", json=body)

    async def answer(self, client: httpx.AsyncClient, sent: httpx.Response) -> dict[str, Any]:
        """The answer to an action."""
        found = await client.get(f"{BASE}/answers/{sent.json()['id']}")
        assert found.status_code == 200, found.text
        return found.json()

    async def recorded(self, code: str) -> bool:
        """Whether the audit has a refused request with this cause."""
        return any(
            one.outcome == "refused" and one.cause and one.cause.code == code for one in await self.home.record()
        )


@asynccontextmanager
async def upstream(
    bus: Bus, clock: Clock, *, per_minute: int = 100, timeout_s: float = 20.0, over: str = "http"
) -> AsyncGenerator[tuple[DqmSimulator, UpstreamLink]]:
    """An upstream `farm` at which everything is permitted but `kill_proc`, and the service that controls it by the
    link, `over` HTTP or a WebSocket."""
    simulator = DqmSimulator({"log_bytes": 500, "lumi_s": 3600, "clients": 3})
    url = str((await simulator.start())["url"])
    told = UpstreamControl(
        name="farm",
        set="production",
        url=url,
        actions=tuple(name for name in UPSTREAMS if name != "kill_proc"),
        hosts=tuple(simulator.farm.computers),
        per_minute=per_minute,
        timeout_s=timeout_s,
    )
    access = UpstreamAccess(name="farm", url=url, port=9215, timeout_s=PATIENCE_S, secret=SECRET)
    link = WebSocketLink(access) if over == "websocket" else HttpLink(access)
    publisher = Publisher(bus, clock, "mirror")
    service = ControlService(bus, clock, publisher, [ControlPlan(told=told, link=link, secret=SECRET)])
    tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(service.run())]
    try:
        while await bus.get(STATE_BUCKET, CONTROL_KEY) is None:
            await asyncio.sleep(0.01)
        yield simulator, link
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.wait(tasks)
        await link.close()
        await simulator.stop()


@asynccontextmanager
async def control_stage(
    *, per_minute: int = 100, timeout_s: float = 20.0, over: str = "http"
) -> AsyncGenerator[ControlStage]:
    """A console with a login, and the upstream."""
    clock = AheadClock()
    async with (
        stage(SystemClock(), play=False) as here,
        upstream(here.bus.client(), clock, per_minute=per_minute, timeout_s=timeout_s, over=over) as (simulator, link),
        house(here) as home,
    ):
        yield ControlStage(home, simulator, link, clock)


@contextmanager
def control_console() -> Generator[tuple[str, DqmSimulator]]:
    """The address of a console without a login, and the farm."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[tuple[FastAPI, DqmSimulator]]:
        clock = SystemClock()
        async with stage(clock, play=False) as here, upstream(here.bus.client(), clock) as (simulator, _):
            yield create(here.bus.client(), clock, title="Test stand", version="0.0.1", tick_s=0.05), simulator

    with served(made) as found:
        yield found
