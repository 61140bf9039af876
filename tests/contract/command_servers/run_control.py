"""A partition, and the experiment as a whole, in a running experiment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from countingroom.bus.port import Message
from countingroom.core import subjects
from countingroom.core.messages import decode
from countingroom.core.systems import Placement
from tests.contract.command_servers.harness import Given, Target
from tests.scenario.experiment import World, experiment


class RunControlTarget(Target):
    department = "runs"
    world: World

    def never_answer(self) -> None:
        """The next request of run control, to an agent or to an owner, has no answer and no time-out."""
        bus = self.world.buses["runs"]
        answered = bus.request

        async def hang(subject: str, data: bytes, *, timeout_s: float) -> Message:
            bus.request = answered
            await asyncio.Event().wait()
            raise AssertionError

        bus.request = hang

    async def stop(self) -> None:
        if "runs" in self.world.tasks:
            await self.world.end("runs")


class PartitionTarget(RunControlTarget):
    name = "A"
    state = "Idle"
    do = Given("lock")
    undo = Given("unlock")
    already = Given("stop")
    unknown_argument = Given("lock", {"door": 1})
    missing_argument = Given("select")

    async def is_so(self) -> bool:
        found = await self.world.partition()
        return found is not None and found.locked

    async def prepare_failure(self) -> Given:
        """A goal that another one takes the place of."""
        await self.world.say("STS", "fault", name="hang")
        return Given("configure_all")

    async def prepare_endless(self) -> Given:
        await self.world.say("STS", "fault", name="error")
        await self.clock.advance(0.5)
        self.never_answer()
        return Given("reset", {"system": "STS"})


class ExperimentTarget(RunControlTarget):
    name = subjects.EXPERIMENT
    state = ""
    do = Given("create_detector", {"name": "RICH"})
    undo = Given("delete_detector", {"name": "RICH", "force": True})
    already = Given("release_control")
    unknown_argument = Given("create_detector", {"name": "RICH", "colour": 1})
    missing_argument = Given("create_detector")

    async def is_so(self) -> bool:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.MAPPING_KEY)
        return bool(entry and entry.data and "RICH" in decode(entry.data, Placement).detectors)

    async def prepare_failure(self) -> Given:
        await self.world.does("lock")
        return Given("move", {"detectors": "STS", "to": ""})

    async def prepare_endless(self) -> Given:
        self.never_answer()
        return Given("move", {"detectors": "STS", "to": ""})


@asynccontextmanager
async def begin_partition() -> AsyncGenerator[Target]:
    async with experiment() as world:
        target = PartitionTarget(world.clock, world.bus)
        target.world = world
        await world.reaches("Idle")
        await world.clock.advance(3.0)
        yield target


@asynccontextmanager
async def begin_experiment() -> AsyncGenerator[Target]:
    async with experiment() as world:
        target = ExperimentTarget(world.clock, world.bus)
        target.world = world
        await world.reaches("Idle")
        await world.clock.advance(3.0)
        yield target
