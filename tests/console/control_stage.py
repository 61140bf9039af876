"""The control room behind a console with a login: a simulated upstream, the real link to it, and the memory bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from countingroom.bus.publisher import Publisher
from countingroom.core.clock import SystemClock
from countingroom.core.commands.upstreams import UPSTREAMS
from countingroom.core.mirror.control import CONTROL_KEY, UpstreamControl
from countingroom.mirror.grabber.control import ControlPlan, ControlService
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess
from countingroom.simulators.dqm import DqmSimulator
from tests.console.people import House, house
from tests.console.stage import Stage, stage

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

    def __init__(self, here: Stage, home: House, simulator: DqmSimulator, clock: AheadClock) -> None:
        self.here = here
        self.home = home
        self.simulator = simulator
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
async def control_stage(*, per_minute: int = 100, timeout_s: float = 20.0) -> AsyncGenerator[ControlStage]:
    """An upstream `farm` at which everything is permitted but `kill_proc`."""
    simulator = DqmSimulator({"log_bytes": 500, "lumi_s": 3600, "clients": 3})
    url = str((await simulator.start())["url"])
    access = UpstreamAccess(name="farm", url=url, port=9215, timeout_s=20, secret=SECRET)
    told = UpstreamControl(
        name="farm",
        set="production",
        url=url,
        actions=tuple(name for name in UPSTREAMS if name != "kill_proc"),
        hosts=tuple(simulator.farm.computers),
        per_minute=per_minute,
        timeout_s=timeout_s,
    )
    link, clock = HttpLink(access), AheadClock()
    async with stage(SystemClock(), play=False) as here, house(here) as home:
        publisher = Publisher(here.bus.client(), clock, "mirror")
        plans = [ControlPlan(told=told, link=link, secret=SECRET)]
        service = ControlService(here.bus.client(), clock, publisher, plans)
        tasks = [asyncio.create_task(publisher.run()), asyncio.create_task(service.run())]
        while CONTROL_KEY not in home.context.latest.words:
            await asyncio.sleep(0.01)
        try:
            yield ControlStage(here, home, simulator, clock)
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.wait(tasks)
            await link.close()
            await simulator.stop()
