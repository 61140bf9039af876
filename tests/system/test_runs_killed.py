"""The owner of a partition may be killed at any moment: it is owned again and right within 2 s, no system is
disturbed, and no run is lost or left open."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from uuid import uuid4

import psutil
import pytest
import pytest_asyncio
from msgspec.structs import replace

from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Bus, Entry
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Command, Reply, decode, encode
from countingroom.core.partitions import PartitionState
from countingroom.core.run_book import Run, RunEnd
from countingroom.core.systems import Order
from countingroom.runs.agents.host import AgentHost
from countingroom.storage.database import Database
from tests import warm_python
from tests.patience import PATIENCE_S
from tests.scenario.experiment import description

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
STEP = "100ms"
"""What a step of a system takes."""

RIGHT_S = 2.0
"""A killed owner is replaced within this time where the machine has a processor for it."""
WAIT_S = 60.0


class Launcher:
    """Makes processes of run control."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def launch(self, *words: str) -> int:
        """The process id of a new one."""
        assert self._process.stdin and self._process.stdout
        print(*words, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with subprocess.Popen(
        [sys.executable, str(HERE / "runs_child.py"), str(warm_python.server())],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        yield Launcher(process)


class Stand:
    """A real server, real agents, and two processes of run control."""

    def __init__(self, bus: NatsBus, url: str, folder: Path, launcher: Launcher) -> None:
        self.bus = bus
        self.url = url
        self.launcher = launcher
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/runs.sqlite")
        self.processes: dict[str, int] = {}
        self.orders: list[Order] = []
        self.steps: list[str] = []
        self.news = asyncio.Event()

    async def begin(self, name: str) -> None:
        self.processes[name] = self.launcher.launch(self.url, f"sqlite:///{self.folder}/runs.sqlite", name, STEP)

    async def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        os.kill(process, signal.SIGKILL)
        while psutil.pid_exists(process):
            await asyncio.sleep(0.001)

    async def listen(self) -> None:
        async with self.bus.subscribe("agent.>") as messages:
            async for message in messages:
                order = decode(message.data, Order)
                self.orders.append(order)
                self._takes_step(f"{order.action.value} {message.subject}")

    async def look(self) -> None:
        """Follow the states that the partition shows."""
        last = ""
        async with self.bus.watch(subjects.STATE_BUCKET, subjects.partition_key("A")) as entries:
            async for entry in entries:
                state = decode(entry.data, PartitionState).state if isinstance(entry, Entry) and entry.data else last
                if state != last:
                    self._takes_step(state)
                last = state

    def _takes_step(self, step: str) -> None:
        self.steps.append(step)
        self.news.set()

    async def takes(self, count: int, goal: str) -> bool:
        """True as soon as so many steps are taken; False where the goal is reached with fewer."""
        async with asyncio.timeout(WAIT_S):
            while len(self.steps) < count:
                if goal in self.steps:
                    return False
                self.news.clear()
                await self.news.wait()
        return True

    async def shown(self) -> PartitionState | None:
        entry = await self.bus.get(subjects.STATE_BUCKET, subjects.partition_key("A"))
        return decode(entry.data, PartitionState) if entry and entry.data else None

    async def owner(self) -> str:
        shown = await self.shown()
        return shown.owner.split()[0] if shown else ""

    async def until(self, true: Callable[[], Awaitable[bool]], *, seconds: float = WAIT_S) -> float:
        """Seconds until it was true."""
        begin = time.monotonic()
        while not await true():
            assert time.monotonic() - begin < seconds, await self.shown()
            await asyncio.sleep(0.01)
        return time.monotonic() - begin

    async def ask(self, action: str) -> Reply:
        now_ns = time.time_ns()
        command = Command(id=uuid4().hex, action=action, issued_ns=now_ns, deadline_ns=now_ns + 10_000_000_000)
        subject = subjects.command("local", "runs", "A")
        return decode((await self.bus.request(subject, encode(command), timeout_s=PATIENCE_S)).data, Reply)

    async def reaches(self, state: str) -> float:
        async def is_there() -> bool:
            shown = await self.shown()
            return shown is not None and shown.state == state and shown.goal is None

        return await self.until(is_there)

    async def go(self, action: str, state: str) -> None:
        reply = await self.ask(action)
        assert reply.accepted, str(reply.cause)
        await self.reaches(state)

    async def stand_by(self, name: str) -> None:
        """Begin a process and wait until it can take over: by its third beat it has heard every agent."""
        async with self.bus.subscribe(subjects.presence("runs", name)) as beats:
            await self.begin(name)
            async with asyncio.timeout(WAIT_S):
                for _ in range(3):
                    await anext(beats)

    async def kill_owner(self) -> float:
        """Kill who owns the partition; seconds until it is owned again by the other one, which is ready at once."""
        name = await self.owner()
        other = next(one for one in self.processes if one != name)
        await self.kill(name)
        return await self.until(lambda: _is(self.owner, other))

    async def has_written_the_start(self) -> bool:
        """The run book keeps a record a moment after the state is shown."""
        return all(run.started_ns is not None for run in await self.database.runs.open_runs())

    async def has_no_open_run(self) -> bool:
        return not await self.database.runs.open_runs()

    async def restore(self) -> None:
        """Two processes again, the partition in Idle and nothing counted."""
        missing = {"first", "second"} - self.processes.keys()
        for name in missing:
            await self.stand_by(name)
        shown = await self.shown()
        if shown and shown.state != "Idle":
            await self.go("abort", "Idle")
        self.orders.clear()


@pytest_asyncio.fixture
async def stand(tmp_path: Path, launcher: Launcher) -> AsyncIterator[Stand]:
    server = EmbeddedServer(tmp_path / "bus", description=BusSection())
    await server.start()
    bus = await nats.connect(server.url_with_login(), name="test")
    await streams.prepare(bus, max_bytes=server.store_bytes)
    stand = Stand(bus, server.url_with_login(), tmp_path, launcher)
    await stand.database.open()

    async def connect(name: str) -> Bus:
        return await nats.connect(server.url_with_login(), name=name)

    section = description({"kind": "simulated", "configure": STEP, "start": STEP, "stop": STEP})
    tasks = [
        asyncio.create_task(AgentHost(connect, SystemClock(), section).run()),
        asyncio.create_task(stand.listen()),
        asyncio.create_task(stand.look()),
    ]
    await stand.begin("first")
    await stand.until(lambda: _is(stand.owner, "first"))
    await stand.stand_by("second")
    await stand.reaches("Idle")
    try:
        yield stand
    finally:
        for name in list(stand.processes):
            await stand.kill(name)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await bus.close()
        await stand.database.close()
        await server.stop()


async def _is(what: Callable[[], Awaitable[str]], wanted: str) -> bool:
    return await what() == wanted


RESTS = ("Idle", "TFC_Active", "Detectors_Active", "FLES_and_DCS_Active", "QA_Active", "Recording")


async def climb(stand: Stand, state: str) -> None:
    """Bring it to a state of rest."""
    for rest in RESTS[1 : RESTS.index(state) + 1]:
        await stand.go("start" if rest == "Recording" else "configure", rest)


async def runs_without_flags(stand: Stand) -> list[Run]:
    """The run book but for the flags: the next owner flags the run that lost its owner, a moment later."""
    return [replace(run, flags=()) for run in await stand.database.runs.find()]


async def test_killed_at_rest_it_is_owned_again_in_the_same_state_and_nobody_got_an_order(stand: Stand) -> None:
    times = list[float]()
    for state in RESTS:
        await climb(stand, state)
        await stand.until(stand.has_written_the_start)
        before = await runs_without_flags(stand)
        stand.orders.clear()
        times.append(await stand.kill_owner() + await stand.reaches(state))
        shown = await stand.shown()
        assert shown is not None and all(
            member.seen != "Connection Problem" for member in shown.members if member.included
        )
        assert stand.orders == [], state
        assert await runs_without_flags(stand) == before
        await stand.restore()
    assert median(times) <= RIGHT_S, times  # each one, if no other process wanted the processor
    await stand.until(stand.has_no_open_run)
    assert [run.end for run in await stand.database.runs.find()] == [RunEnd.ABORTED]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("first", "action", "goal", "least"),
    [
        ("Idle", "configure_all", "QA_Active", 10),
        ("QA_Active", "start", "Recording", 2),
        ("Recording", "stop", "QA_Active", 2),
        ("Recording", "abort", "Idle", 5),
    ],
)
async def test_killed_at_every_step_the_goal_is_gone_on_with_and_no_run_is_left_open(
    stand: Stand, first: str, action: str, goal: str, least: int
) -> None:
    """A step is an order that an agent hears, or a state that is shown. It is killed before the first, at the first, at
    the second, until there is none left."""
    step, took = 0, list[float]()
    while True:
        await climb(stand, first)
        stand.orders.clear()
        stand.steps.clear()
        reply = await stand.ask(action)
        assert reply.accepted
        if not await stand.takes(step, goal):
            break
        took.append(await stand.kill_owner())
        shown = await stand.shown()
        assert shown is not None
        if shown.goal is None and shown.state == first:  # killed before it was written down: nothing was begun
            assert stand.orders == []
        else:
            await stand.reaches(goal)
        allowed = {"configure_all": {"configure"}, "start": {"start"}, "stop": {"stop"}}.get(action)
        assert allowed is None or {order.action.value for order in stand.orders} <= allowed
        await stand.restore()
        await stand.until(stand.has_no_open_run)
        step += 1
    assert step > least, f"{step} steps were seen"
    assert median(took) <= RIGHT_S, took  # each one, if no other process wanted the processor
