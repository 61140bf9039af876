"""A whole experiment on the memory bus: real run control, real agents, a real database, time standing still."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from countingroom.bus import streams
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Bus, Message
from countingroom.core import subjects
from countingroom.core.errors import LinkError
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.partitions import PartitionState
from countingroom.core.policy import Control
from countingroom.core.run_book import Run
from countingroom.core.systems import Order, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.description import RunsSection
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database
from countingroom.testing.clock import FakeClock

GLOBALS = ("TFC", "FLES", "DCS", "QA")
DETECTORS = ("STS", "MVD", "TRD")


def description(agent: dict[str, Any] | None = None, **partitions: Sequence[str]) -> RunsSection:
    """CBM with partitions of these detectors, `A` of STS and MVD where none is named; TRD is there too."""
    partitions = partitions or {"A": ("STS", "MVD")}
    kinds = dict.fromkeys(GLOBALS, "global") | dict.fromkeys(DETECTORS, "detector")
    systems = {name: {"kind": kind, "agent": agent or {"kind": "simulated"}} for name, kind in kinds.items()}
    tags = {
        f"physics-{name}": dict.fromkeys((*GLOBALS, *detectors), "physics") for name, detectors in partitions.items()
    }
    return RunsSection.model_validate(
        {
            "systems": systems,
            "partitions": {
                name: {"detectors": list(detectors), "tag": f"physics-{name}"} for name, detectors in partitions.items()
            },
            "configurations": {name: {"physics": {"threshold": 10}, "tests": {"threshold": 20}} for name in systems},
            "tags": tags,
        }
    )


class AtOnce(Executor):
    """Does what is submitted before it returns, so that the database needs no time of its own."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # as every executor does
            future.set_exception(error)
        return future


class FaultyBus(MemoryBus):
    """Fails where a test says so: `fails` is asked with every subject requested and every key put."""

    fails: Callable[[str], bool] = staticmethod(lambda _: False)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> Message:
        self._fail(subject)
        return await super().request(subject, data, timeout_s=timeout_s)

    async def put(self, bucket: str, key: str, data: bytes, *, expected: int | None = None) -> int:
        self._fail(key)
        return await super().put(bucket, key, data, expected=expected)

    def _fail(self, where: str) -> None:
        if self.fails(where):
            raise LinkError(f"{where} is not reached", source="bus")


class World:
    """Everything, and a hand to act with."""

    def __init__(self, section: RunsSection, url: str = "sqlite://", folder: Path | None = None) -> None:
        """`folder`: where run control and the agents keep files; None: nowhere."""
        self.folder = folder
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.section = section
        self.database = Database(url, clock=self.clock)
        self.database._store._writer = self.database._store._reader = AtOnce()
        self.orders: list[Order] = []
        self.ids = itertools.count(1)
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.buses: dict[str, FaultyBus] = {}

    async def connect(self, name: str) -> Bus:
        return self.bus.client(name)

    def begin(self, name: str, run: Callable[[], Any]) -> None:
        self.tasks[name] = asyncio.create_task(run())

    def begin_runs(self, name: str = "runs") -> None:
        """A run-control process."""
        self.buses[name] = bus = FaultyBus(server=self.bus.server)
        service = RunsService(bus, self.clock, self.section, self.database, instance=name, folder=self.folder)
        service._context.run_book._kept._disk = AtOnce()
        self.begin(name, service.run)

    async def kill(self, name: str) -> None:
        """Let a process say nothing any more, as if it were killed: its link goes first."""
        self.buses[name].die()
        await self.end(name)

    async def end(self, name: str) -> None:
        task = self.tasks.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def begin_agents(self, *names: str) -> None:
        """Agents of these systems, or of all, in a process of their own."""
        systems = {name: system for name, system in self.section.systems.items() if not names or name in names}
        part = self.section.model_copy(update={"systems": systems})
        host = AgentHost(self.connect, self.clock, part, data=self.folder)
        self.begin("agents" if not names else f"agents of {','.join(names)}", host.run)

    async def listen(self) -> None:
        async with self.bus.subscribe("agent.>") as orders:
            async for message in orders:
                self.orders.append(decode(message.data, Order))

    async def until(self, true: Callable[[], Any], *, seconds: float = 30.0, step: float = 0.05) -> None:
        """Let time go on until it is true."""
        for _ in range(int(seconds / step)):
            found = true()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return
            await self.clock.advance(step)
        raise AssertionError(f"not within {seconds} s")

    # What is there to be seen.

    async def _get(self, key: str, kind: type[Any]) -> Any:
        entry = await self.bus.get(subjects.STATE_BUCKET, key)
        return decode(entry.data, kind) if entry and entry.data else None

    async def partition(self, name: str = "A") -> PartitionState | None:
        return await self._get(subjects.partition_key(name), PartitionState)

    async def system(self, name: str, at: str = "") -> SystemState | None:
        return await self._get(subjects.system_key(name, at), SystemState)

    async def control(self, target: str = "A") -> Control | None:
        return await self._get(subjects.control_key(target), Control)

    async def is_in(self, state: str, name: str = "A") -> bool:
        found = await self.partition(name)
        return found is not None and found.state == state and found.goal is None

    async def reaches(self, state: str, name: str = "A", *, seconds: float = 30.0) -> PartitionState:
        """Wait until it rests there."""
        await self.until(lambda: self.is_in(state, name), seconds=seconds)
        found = await self.partition(name)
        assert found is not None
        return found

    async def events(self, source: str = "A") -> list[Event]:
        found: list[Event] = []
        async with self.bus.replay(
            subjects.EVENTS_STREAM, subjects=subjects.event("runs", source), follow=False
        ) as stored:
            async for one in stored:
                found.append(decode(one.data, Event))
        return found

    async def moves(self, source: str = "A") -> list[tuple[str, str, str]]:
        return [(e.before, e.action, e.after) for e in await self.events(source) if e.kind is EventKind.STATE]

    async def runs(self) -> tuple[Run, ...]:
        return await self.database.runs.find()

    # What is done.

    async def ask(
        self, action: str, target: str = "A", *, by: str = "local", id: str = "", **arguments: Scalar
    ) -> Reply:
        """Give a command; the answer."""
        now_ns = self.clock.now_ns()
        command = Command(
            id=id or f"c{next(self.ids)}",
            action=action,
            arguments=arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + 10_000_000_000,
        )
        subject = subjects.command(by, "runs", target)
        asking = asyncio.create_task(self.bus.request(subject, encode(command), timeout_s=60.0))
        await self.until(asking.done)
        return decode((await asking).data, Reply)

    async def say(self, system: str, action: str, **arguments: Scalar) -> None:
        """Tell an agent something, where there is one."""
        now_ns = self.clock.now_ns()
        command = Command(
            id=f"c{next(self.ids)}",
            action=action,
            arguments=arguments,
            issued_ns=now_ns,
            deadline_ns=now_ns + 10_000_000_000,
        )
        with suppress(LinkError):
            await self.bus.request(subjects.command("local", "systems", system), encode(command), timeout_s=1.0)

    async def does(self, action: str, target: str = "A", *, by: str = "local", **arguments: Scalar) -> Event:
        """Give a command and wait for its end."""
        reply = await self.ask(action, target, by=by, **arguments)
        assert reply.accepted, str(reply.cause)
        ends: list[Event] = []

        async def is_over() -> bool:
            ends[:] = [
                event
                for event in await self.events(target)
                if event.command_id == reply.id and event.kind in (EventKind.DONE, EventKind.FAILED)
            ]
            return bool(ends)

        await self.until(is_over, seconds=120.0)
        assert len(ends) == 1
        return ends[0]


@asynccontextmanager
async def experiment(
    section: RunsSection | None = None, *, agents: bool = True, runs: bool = True, world: World | None = None
) -> AsyncIterator[World]:
    """A world in which everything runs."""
    world = world or World(section or description())
    await streams.prepare(world.bus)
    await world.database.open()
    world.begin("listener", world.listen)
    if agents:
        world.begin_agents()
    if runs:
        world.begin_runs()
    try:
        if runs:
            await world.until(world.partition)
        yield world
    finally:
        for name in list(world.tasks):
            await world.end(name)
        await world.database.close()
