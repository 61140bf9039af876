"""A keeper that is killed with -9 at every step of a change: before and after each action and each write.

The next keeper goes on from what is seen and remembered. Never are fewer instances healthy than the change may leave,
and in the end all are as wanted, or as before with the cause.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from countingroom.core.clock import Clock
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.specs import InstanceId, Revision, WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.port import MakeOrder, Progress
from countingroom.fleet.keeper import DescribedFleet, Keeper
from countingroom.fleet.node import Node
from countingroom.fleet.wanted import wanted
from countingroom.testing.clock import FakeClock
from countingroom.testing.fake_engine import FakeEngine
from tests.scenario.test_fleet_keeper import MemoryFleet

NODES = ("n1", "n2", "n3")
STEP_S = 0.25
WARM_NS = 700_000_000
"""So long after its start a good instance has passed a check."""


class Death:
    """Ends a keeper at its boundary number `at`: from then on nothing that it does has an effect."""

    def __init__(self) -> None:
        self.at = 0
        self.passed = 0
        self.has_come = False

    async def boundary(self) -> None:
        self.passed += 1
        if self.at and self.passed >= self.at:
            self.has_come = True
        if self.has_come:
            await asyncio.Event().wait()


class MortalEngine(FakeEngine):
    """An engine whose keeper may die before and after each order."""

    def __init__(self, clock: Clock, death: Death) -> None:
        super().__init__(clock)
        self._death = death
        self.takes_s = 0.1

    async def pull(self, image: str, progress: Progress) -> None:
        await self._death.boundary()
        await super().pull(image, progress)
        await self._death.boundary()

    async def replace(self, order: MakeOrder, grace_s: float) -> None:
        await self._death.boundary()
        await super().replace(order, grace_s)
        await self._death.boundary()


class MortalStore(MemoryFleet):
    """A database whose keeper may die before and after each write."""

    def __init__(self, death: Death) -> None:
        super().__init__()
        self._death = death

    async def save(self, record: FleetRecord, version: int) -> int:
        await self._death.boundary()
        saved = await super().save(record, version)
        await self._death.boundary()
        return saved


class MortalSite:
    """Three nodes that run the old image."""

    def __init__(self) -> None:
        self.death = Death()
        self.clock = FakeClock()
        self.fleet = MortalStore(self.death)
        self.engines = {name: MortalEngine(self.clock, self.death) for name in NODES}
        for engine in self.engines.values():
            engine.registry |= {"camera:1", "camera:2"}
            engine.unhealthy.add("none")
        self.keeper: Keeper

    def revision(self, tag: str) -> Revision:
        section = {
            "nodes": {name: {"engine": "docker", "url": f"unix:///{name}.sock"} for name in NODES},
            "services": {
                "camera": {
                    "image": f"camera:{tag}",
                    "nodes": ["*"],
                    "update": {"healthy_for": 0.5, "canary": True},
                    "health": {"exec": ["check"], "interval": 0.5, "failures": 1},
                    "start_period": 0,
                }
            },
        }
        return wanted(FleetSection.model_validate(section))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
            return Node(self.clock, one.name, one.address, self.engines[one.name], changed, line)

        self.keeper = Keeper(
            self.clock,
            self.fleet.store(),
            node,
            DescribedFleet(nodes=self.revision("1").nodes),
            lambda key, state: None,
            lambda name, sentence, cause: None,
            name="k",
        )
        task = asyncio.create_task(self.keeper.run())
        await self.clock.advance(0.5)
        try:
            yield
        finally:
            task.cancel()
            for _ in range(20):
                await self.clock.advance(0.2)
                if task.done():
                    break
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await task

    def healthy(self) -> int:
        now_ns = self.clock.now_ns()
        return sum(
            one.is_running and one.spec.image not in engine.unhealthy and now_ns - one.since_ns >= WARM_NS
            for engine in self.engines.values()
            for one in engine.present.values()
        )

    def images(self) -> list[str]:
        return [engine.present[InstanceId("camera", name)].spec.image for name, engine in self.engines.items()]

    async def until_over(self) -> None:
        """Until the change is over, or the keeper is dead."""
        for _ in range(100):
            await self.clock.advance(STEP_S)
            assert self.healthy() >= 2
            change = self.fleet.kept.changes["camera"]
            if self.death.has_come or change.phase not in (Phase.ROLLING, Phase.ROLLING_BACK):
                return
        raise AssertionError("it does not come to its end")

    async def begin(self, what: str) -> None:
        """A command to the keeper, which may die in it."""
        work = self.keeper.restart("camera", (), "anna") if what == "restart" else self.keeper.apply(self.revision("2"))
        task = asyncio.create_task(work)  # type: ignore[arg-type]
        await self.clock.advance(0.1)
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("what", ["update", "bad", "restart"])
async def test_a_keeper_that_is_killed_at_any_step_is_followed_by_one_that_goes_on(what: str) -> None:
    at, ends = 0, set[str]()
    while True:
        at += 1
        site = MortalSite()
        async with site.running():
            await site.keeper.apply(site.revision("1"))
            await site.clock.advance(6)
            assert site.healthy() == 3 and site.fleet.kept.changes["camera"].phase is Phase.DONE
            made = [len(engine.made) for engine in site.engines.values()]
            if what == "bad":
                site.engines["n2"].unhealthy.add("camera:2")
            site.death.at, site.death.passed = at, 0
            await site.begin(what)
            await site.until_over()
        is_dead, site.death.has_come, site.death.at = site.death.has_come, False, 0
        began = site.fleet.kept.revision == 2 or what == "restart"
        async with site.running():
            await site.until_over()
            await site.clock.advance(3)
            change = site.fleet.kept.changes["camera"]
            assert site.healthy() == 3
            if what == "update":
                assert (change.phase, site.images()) == (Phase.DONE, [f"camera:{2 if began else 1}"] * 3)
            elif what == "bad" and began:
                assert (change.phase, site.images()) == (Phase.ROLLED_BACK, ["camera:1"] * 3)
                assert change.cause and "camera@n2 failed its health check" in change.cause.message
            elif what == "restart":
                again = [len(engine.made) - before for engine, before in zip(site.engines.values(), made, strict=True)]
                # Where it was remembered it is finished, and no instance is made again twice.
                assert again in ([1, 1, 1], [0, 0, 0]) and (again[0] or at == 1)
            ends.add(change.phase)
        if not is_dead:
            break
    assert at > 8 and (what != "bad" or Phase.ROLLED_BACK in ends)
