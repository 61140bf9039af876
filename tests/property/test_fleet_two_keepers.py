"""Two keepers over engines of containers in virtual time: the lease changes, the old one acts on for a moment.

With it nodes are lost and come back, pulls are slow, health flaps. At every request that an engine carries out: never
two run where one is wanted, never fewer work than the change may leave. When the faults end it comes to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from countingroom.core.clock import Clock
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.specs import Reach, Revision, WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines import docker
from countingroom.fleet.engines.container_api import PingFacts
from countingroom.fleet.keeper import DescribedFleet, FleetStore, Keeper
from countingroom.fleet.node import Node
from countingroom.fleet.wanted import wanted
from countingroom.testing.clock import FakeClock
from tests.fake_docker import Caller, Daemon, FakeDocker
from tests.scenario.test_fleet_keeper import MemoryFleet

LAG_S = 5.0
"""A keeper sees a change of health, of a link or of another keeper's work so late."""
ENDED = (Phase.DONE, Phase.ROLLED_BACK, Phase.FAILED)


class Process(Caller):
    """One process of the role `fleet`."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._place = Path(str(len(world.callers)))
        world.callers[self._place] = self
        kept = world.fleet

        async def save(record: FleetRecord, version: int) -> int:
            await self.goes_on.wait()
            return await kept.save(record, version)

        self.keeper = Keeper(
            world.clock,
            FleetStore(record=kept.record, save=save, add=kept.add, revision=kept.revision),
            self._node,
            DescribedFleet(nodes=world.nodes),
            lambda key, state: None,
            lambda name, sentence, cause: None,
            name="k",
            may_act=lambda: world.leader is self,
        )
        self.task = asyncio.create_task(self.keeper.run())

    def _node(self, one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        engine = docker.DockerEngine(self._world.clock, "x", one, self._place)
        return Node(self._world.clock, one.name, one.address, engine, changed, line)

    async def end(self) -> None:
        """It goes on for as long as it takes to be cancelled."""
        self.goes_on.set()
        self.task.cancel()
        for _ in range(60):
            await self._world.clock.advance(0.5)
            if self.task.done():
                break
        with suppress(asyncio.CancelledError, BaseExceptionGroup):
            await self.task


class World:
    """Nodes, a database, and the process that has the lease."""

    def __init__(self, count: int, update: dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.fleet = MemoryFleet()
        self.update = update
        names = [f"n{index}" for index in range(count)]
        self.nodes = tuple(WantedNode(name=name, engine="docker", reach=Reach(url=f"unix:///{name}")) for name in names)
        self.daemons = {name: Daemon(self.clock, self._watch) for name in names}
        self.callers: dict[Path, Caller] = {}
        self.faults: list[str] = []
        self.leader: Process

    def revision(self, tag: int) -> Revision:
        section = {
            "nodes": {one.name: {"engine": "docker", "url": one.reach.url} for one in self.nodes},
            "services": {
                "camera": {
                    "image": f"hub:5000/camera:{tag}",
                    "nodes": ["*"],
                    "update": self.update,
                    "health": {"exec": ["check"], "interval": 2, "failures": 1},
                    "start_period": 2,
                }
            },
        }
        return wanted(FleetSection.model_validate(section))

    def _watch(self, what: str, daemon: Daemon, id: str) -> None:
        now_s = self.clock.monotonic()
        if what == "start" and (twin := [i for i, one in daemon.containers.items() if one["State"]["Running"]]):
            self.faults.append(f"{now_s:.2f}: {id[:12]} starts beside {twin[0][:12]}")
        if what == "stop" and daemon.is_healthy(id):
            others = [
                other
                for one in self.daemons.values()
                for other in one.containers
                if (one is not daemon or other != id) and one.is_healthy(other, lag_s=LAG_S)
            ]
            known = [one for one in self.daemons.values() if not one.is_cut and now_s - one.changed_s > LAG_S]
            least = self.update.get("min_healthy")
            least = len(known) - self.update["max_parallel"] if least is None else min(least, len(known))
            if len(others) < least:
                self.faults.append(f"{now_s:.2f}: {id[:12]} is stopped, {len(others)} work of at least {least}")

    async def lead(self) -> None:
        """Another process gets the lease."""
        self.leader = Process(self)
        await self.clock.advance(0.1)

    def is_over(self) -> bool:
        """Whether the change has ended, and each node has one container that works. One that was lost in between
        may have a bad image since: none that works is taken away for it."""
        change = self.fleet.kept.changes["camera"]
        image = f":{change.effective}"
        return change.phase in ENDED and all(
            len(one.containers) == 1
            and all(one.is_healthy(id) or one.is_bad(shown["Config"]["Image"]) for id, shown in one.containers.items())
            and all(shown["Name"] == "/x-camera" for shown in one.containers.values())
            and (
                change.phase is Phase.FAILED
                or all(c["Config"]["Image"].endswith(image) for c in one.containers.values())
            )
            for one in self.daemons.values()
        )

    async def until_over(self, seconds: int) -> None:
        for _ in range(seconds):
            await self.clock.advance(1.0)
            if self.is_over():
                return
        raise AssertionError(f"it does not come to its end: {self.fleet.kept.changes}")


async def _inline(work: Callable[..., Any], *words: Any) -> Any:
    return work(*words)


@asynccontextmanager
async def world_of(count: int, update: dict[str, Any]) -> AsyncGenerator[World]:
    """All nodes run the first image, kept by one process."""
    world = World(count, update)

    async def ping(client: FakeDocker, clock: Clock) -> PingFacts:
        await client.ask(lambda: None)
        return PingFacts(name="Docker", is_podman=False, ahead_ns=0)

    async def open_engine(reach: Reach, directory: Path, source: str) -> FakeDocker:
        return FakeDocker(world.daemons[reach.url.rpartition("/")[2]], world.callers[directory])

    with (
        patch.object(docker, "open_engine", open_engine),
        patch.object(docker, "ping", ping),
        patch.object(asyncio, "to_thread", _inline),
    ):
        await world.lead()
        await world.leader.keeper.apply(world.revision(1))
        await world.until_over(60)
        try:
            yield world
        finally:
            await world.leader.end()


async def disturbed(count: int, update: dict[str, Any], steps: list[tuple[float, str, int]], *, is_bad: bool) -> None:
    async with world_of(count, update) as world:
        if is_bad:
            list(world.daemons.values())[-1].is_bad = lambda image: image.endswith(":2")
        await world.leader.keeper.apply(world.revision(2))
        world.faults.clear()
        for wait_s, what, place in steps:
            await world.clock.advance(wait_s)
            daemon = list(world.daemons.values())[place % count]
            match what:
                case "lost" | "back":
                    daemon.cut(what == "lost")
                case "flap":
                    daemon.flaps_since_s = world.clock.monotonic()
                case "well":
                    daemon.flaps_since_s = None
                case "slow":
                    daemon.pull_s = 5.0
                case "stands":  # it stands still until the lease is another one's, and acts on for a moment
                    before = world.leader
                    before.goes_on.clear()
                    await world.lead()
                    await world.clock.advance(0.1 * place)
                    await before.end()
                case _:  # it is deposed in the middle of its work
                    before = world.leader
                    await world.lead()
                    await before.end()
        for daemon in world.daemons.values():
            daemon.cut(False)
            daemon.flaps_since_s = None
        await world.until_over(400)
        assert world.faults == []


@given(
    st.integers(2, 4),
    st.fixed_dictionaries(
        {"max_parallel": st.integers(1, 2), "healthy_for": st.integers(0, 3), "canary": st.booleans()}
    ),
    st.lists(
        st.tuples(
            st.floats(0.05, 4.0),
            st.sampled_from(["stands", "stands", "deposed", "lost", "back", "flap", "well", "slow"]),
            st.integers(0, 12),
        ),
        max_size=8,
    ),
    st.booleans(),
)
@settings(max_examples=40)
def test_two_keepers_never_double_a_service_nor_take_too_many_away(
    count: int, update: dict[str, Any], steps: list[tuple[float, str, int]], is_bad: bool
) -> None:
    asyncio.run(disturbed(count, update, steps, is_bad=is_bad))
