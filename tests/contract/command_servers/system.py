"""A system with its agent: a detector that is in no partition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.core import subjects
from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import DeviceError
from countingroom.core.messages import decode, encode
from countingroom.core.systems import ERROR, Placement, SystemKind, SystemState
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.kinds.simulated import Simulated
from countingroom.runs.agents.port import Handle
from countingroom.runs.sections.agent import SimulatedAgent
from countingroom.testing.clock import FakeClock
from tests.contract.command_servers.harness import Given, Target

CHART = Chart(
    name="test",
    rows=(
        Row("Unconfigured", "error", "Error"),
        Row("Error", "resolved", "Unconfigured"),
        Row("Error", "reset", "Unconfigured"),
    ),
    initial="Unconfigured",
)


class Detector(Simulated):
    """Fails to reset, or takes for ever, as a test wants it."""

    def __init__(self, handle: Handle, target: SystemTarget) -> None:
        super().__init__(handle, SimulatedAgent(), target.clock)
        self._target = target

    async def reset(self) -> None:
        if self._target.hangs:
            await asyncio.Event().wait()
        if self._target.fails:
            raise DeviceError("no power", source="TRD", suggestion="switch it on")


class SystemTarget(Target):
    department = "systems"
    name = "TRD"
    state = "Error"
    do = Given("resolved")
    undo = Given("error", {"message": "smoke"})
    already = Given("error")
    unknown_argument = Given("error", {"colour": 1})
    missing_argument = Given("fault")
    hangs = False
    fails = False
    task: asyncio.Task[None]

    async def is_so(self) -> bool:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.system_key("TRD"))
        return bool(entry and entry.data and decode(entry.data, SystemState).common != ERROR)

    async def prepare_failure(self) -> Given:
        self.fails = True
        return Given("reset")

    async def prepare_endless(self) -> Given:
        self.hangs = True
        return Given("reset")

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@asynccontextmanager
async def begin() -> AsyncGenerator[Target]:
    clock = FakeClock()
    target = SystemTarget(clock, MemoryBus(clock))
    await streams.prepare(target.bus)
    placement = Placement(partitions=("A",), detectors={"TRD": ""})
    await target.bus.put(subjects.STATE_BUCKET, subjects.MAPPING_KEY, encode(placement))
    bus = target.bus.client("agent")
    agent = AgentRunner(bus, clock, "TRD", SystemKind.DETECTOR, CHART, lambda handle: Detector(handle, target))
    target.task = asyncio.create_task(agent.run())
    await clock.advance(0.1)
    try:
        await target.end(Given("error"))
        yield target
    finally:
        await target.stop()
