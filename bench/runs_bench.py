"""A partition of N agents, each a connection of its own to a real server, is brought up, started and stopped.

Measured by a client that sends the command on the bus and waits for its DONE, as a console does.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from bench.agents_raw import fan_out
from bench.row import Row
from bench.runs_agents import description
from countingroom.app.garbage_collection import collect
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Subscription
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.runs.service import RunsService
from countingroom.storage.database import Database

REPEATS = {200: 200, 500: 20, 1000: 20, 2000: 10, 10_000: 3}
AGENTS_OF_A_PROCESS = 2500
RAW_UP_TO = 2000
"""With more agents the library alone is not measured: it has all connections in one process."""
ANSWER_S = 60.0
GOALS = {200: "<= 100 ms", 1000: "<= 500 ms", 10_000: "<= 5000 ms"}


class Hand:
    """Gives commands and waits for their end."""

    def __init__(self, bus: NatsBus, events: Subscription) -> None:
        self._bus = bus
        self._events = events

    async def does(self, action: str) -> float:
        """Seconds from the command to its DONE."""
        now_ns = time.time_ns()
        command = Command(id=uuid4().hex, action=action, issued_ns=now_ns, deadline_ns=now_ns + 60_000_000_000)
        begin = time.perf_counter()
        subject = subjects.command("local", "runs", "bench")
        async with asyncio.timeout(ANSWER_S):
            answer = await self._bus.request(subject, encode(command), timeout_s=ANSWER_S)
            reply = decode(answer.data, Reply)
            if not reply.accepted:
                raise RuntimeError(str(reply.cause))
            async for message in self._events:
                event = decode(message.data, Event)
                if event.command_id == command.id and event.kind is EventKind.DONE:
                    return time.perf_counter() - begin
                if event.command_id == command.id and event.kind is EventKind.FAILED:
                    raise RuntimeError(str(event.cause))
        raise RuntimeError("the events ended")


@asynccontextmanager
async def partition(agents: int, *, all_record: bool = False) -> AsyncIterator[Hand]:
    """A partition of so many agents, four of them global systems. `all_record`: every member takes data."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "bus", description=BusSection())
        await server.start()
        bus = await nats.connect(server.url_with_login(), name="bench")
        watcher = await nats.connect(server.url_with_login(), name="hand")
        await prepare(bus, max_bytes=server.store_bytes)
        database = Database(f"sqlite:///{folder}/runs.sqlite")
        await database.open()
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bench.runs_agents", server.url_with_login()),
                *(str(number) for number in (agents - 4, first, min(first + AGENTS_OF_A_PROCESS, agents))),
                stdin=asyncio.subprocess.PIPE,
            )
            for first in range(0, agents, AGENTS_OF_A_PROCESS)
        ]
        service = RunsService(bus, clock, description(agents - 4, all_record=all_record), database)
        tasks = [asyncio.create_task(service.run()), asyncio.create_task(collect(clock))]
        try:
            async with watcher.subscribe("events.runs.bench") as events:
                hand = Hand(watcher, events)
                await _ready(hand)
                yield hand
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            for child in children:
                child.terminate()
                await child.wait()
            await watcher.close()
            await bus.close()
            await database.close()
            await server.stop()


async def _ready(hand: Hand) -> None:
    """Until every agent has joined: the first configure that succeeds says so."""
    end = time.monotonic() + 120
    while True:
        try:
            await hand.does("configure_all")
            await hand.does("abort")
        except Exception:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.5)
        else:
            return


async def measure(agents: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds to configure, to start and to stop, each time."""
    configured: list[float] = []
    started: list[float] = []
    stopped: list[float] = []
    async with partition(agents) as hand:
        for _ in range(REPEATS[agents]):
            configured.append(await hand.does("configure_all"))
            if len(started) < 50:
                started.append(await hand.does("start"))
                stopped.append(await hand.does("stop"))
            await hand.does("abort")
    return configured, started, stopped


async def measure_all_recording(agents: int) -> tuple[list[float], list[float]]:
    """Seconds to start and to stop a run in which every member takes data."""
    started: list[float] = []
    stopped: list[float] = []
    async with partition(agents, all_record=True) as hand:
        await hand.does("configure_all")
        for _ in range(min(REPEATS[agents], 50)):
            started.append(await hand.does("start"))
            stopped.append(await hand.does("stop"))
    return started, stopped


def all_recording() -> list[Row]:
    """Start and stop with all members recording, for each of them, beside the library alone."""
    rows: list[Row] = []
    for agents in (200, 1000):
        started, stopped = asyncio.run(measure_all_recording(agents))
        raw = asyncio.run(fan_out(agents, REPEATS[agents]))
        for what, times in (("start", started), ("stop", stopped)):
            name = f"{what} with all {agents} members recording, for each of them"
            rows.append(_row(name, statistics.median(times) / agents, "<= 1 ms", raw / agents))
    return rows


def run() -> list[Row]:
    """The rows."""
    rows = all_recording()
    for agents, repeats in REPEATS.items():
        configured, started, stopped = asyncio.run(measure(agents))
        median, longest = statistics.median(configured), max(configured)
        raw = asyncio.run(fan_out(agents, repeats)) if agents <= RAW_UP_TO else None
        rows += [
            _row(f"{agents} agents to QA_Active, median of {len(configured)}", median, GOALS.get(agents, ""), raw, 1.5),
            _row(f"{agents} agents to QA_Active, longest", longest),
            _row(f"{agents} agents to QA_Active, for each of them", median / agents),
        ]
        if agents == 200:
            rows += [
                Row(
                    name=f"{agents} agents to QA_Active, longest of {len(configured)} in medians",
                    value=longest / median,
                    unit="medians",
                    goal="<= 2",
                ),
                _row("start of a run, two recorders, median", statistics.median(started), "<= 8 ms"),
                _row("stop of a run, two recorders, median", statistics.median(stopped), "<= 8 ms"),
            ]
    return rows


def _row(name: str, seconds: float, goal: str = "", raw: float | None = None, most: float | None = None) -> Row:
    """`raw`: the library alone, asking as many and hearing one word of each. `most`: the goal of the ratio to it."""
    return Row(
        name=name,
        value=round(seconds * 1000, 3),
        unit="ms",
        goal=goal,
        raw_limit=round(raw * 1000, 3) if raw else None,
        ratio=seconds / raw if raw else None,
        ratio_goal=most if raw else None,
    )
