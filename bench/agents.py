"""Agents on a real bus, each with a connection of its own: how soon they are configured, and how soon missed.

`python -m bench.agents host URL COUNT` is the agents' process.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.agents_raw import fan_out
from bench.row import Row
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Entry
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import decode, encode
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.description import RunsSection
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.planner.events import LinkChanged

ROOT = Path(__file__).parents[1]
MANY = 200
REPEATS = 50
KILLS = 100
STOPS = 20
BATCH = 10
"""Agents that live at the same time while they are killed one after the other."""
CHILD = ROOT / "tests" / "system" / "agent_child.py"


def names(count: int) -> list[str]:
    return [f"det{number:04d}" for number in range(count)]


async def host(url: str, count: int) -> None:
    """Agents as the role `agents` runs them."""
    section = RunsSection.model_validate({"systems": {name: {} for name in names(count)}})
    await AgentHost(lambda name: nats.connect(url, name=name), SystemClock(), section).run()


class Orders:
    """All agents at once: order, and wait until every state says it is done."""

    def __init__(self, bus: NatsBus, systems: list[str]) -> None:
        self._bus = bus
        self._systems = systems
        self._count = 0
        self.states: dict[str, SystemState] = {}
        self._news = asyncio.Event()

    async def watch(self) -> None:
        async with self._bus.watch(subjects.STATE_BUCKET, "system.>") as entries:
            async for entry in entries:
                if isinstance(entry, Entry) and entry.data:
                    state = decode(entry.data, SystemState)
                    self.states[state.system] = state
                    self._news.set()

    async def all(self, action: Action, common: str) -> float:
        """Seconds until all are there."""
        self._count += 1
        began = time.perf_counter()
        await asyncio.gather(*(self._order(system, action) for system in self._systems))
        while not all(self._is_there(system, common) for system in self._systems):
            self._news.clear()
            await self._news.wait()
        return time.perf_counter() - began

    def _is_there(self, system: str, common: str) -> bool:
        state = self.states.get(system)
        return state is not None and state.common == common and state.order == f"{system}-{self._count}"

    async def _order(self, system: str, action: Action) -> None:
        order = Order(
            id=f"{system}-{self._count}",
            action=action,
            partition="p",
            fence=1,
            deadline_ns=time.time_ns() + 10**10,
            tag="t",
            key=f"k{self._count}",
        )
        answer = await self._bus.request(subjects.agent(system), encode(order), timeout_s=10)
        assert decode(answer.data, Answer).accepted


async def configured(url: str, count: int, repeats: int) -> list[float]:
    """One level of `count` members from Unconfigured to Active, again and again."""
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.agents", "host", url, str(count), cwd=ROOT
    )
    bus = await nats.connect(url, name="bench")
    orders = Orders(bus, names(count))
    watching = asyncio.create_task(orders.watch())
    there: set[str] = set()
    all_there = asyncio.Event()

    def tell(change: LinkChanged) -> None:
        there.add(change.system)
        if len(there) == count:
            all_there.set()

    listening = asyncio.create_task(Liveness(bus, SystemClock(), tell).run())
    try:
        async with asyncio.timeout(300):
            await all_there.wait()
            times: list[float] = []
            for _ in range(repeats):
                times.append(await orders.all(Action.CONFIGURE, "Active"))
                await orders.all(Action.ABORT, "Unconfigured")
            return times
    finally:
        for task in (watching, listening):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        other.terminate()
        await other.wait()
        await bus.close()


class Losses:
    """Agents in processes of their own, and from what befalls one to the fact that it is not heard."""

    def __init__(self, url: str, place: Path) -> None:
        self._url = url
        self._place = place
        self._told: asyncio.Queue[LinkChanged] = asyncio.Queue()
        self._children: list[asyncio.subprocess.Process] = []

    async def seconds(self, number: signal.Signals, times: int) -> list[float]:
        """One process after the other gets this signal."""
        bus = await nats.connect(self._url, name="bench")
        listening = asyncio.create_task(Liveness(bus, SystemClock(), self._told.put_nowait).run())
        found: list[float] = []
        try:
            while len(found) < times:
                found += await self._batch(number)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            await bus.close()
        return found[:times]

    async def _batch(self, number: signal.Signals) -> list[float]:
        children = [await self._begin(name) for name in names(BATCH)]
        async with asyncio.timeout(30):
            for _ in children:
                assert (await self._told.get()).connected
        found: list[float] = []
        for child in children:
            began = time.perf_counter()
            child.send_signal(number)
            async with asyncio.timeout(10):
                assert not (await self._told.get()).connected
            found.append(time.perf_counter() - began)
        for child in children:
            if child.returncode is None:
                child.kill()
            await child.wait()
        return found

    async def _begin(self, system: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, CHILD, self._url, system, self._place)


async def measure(count: int, repeats: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds until all are configured, until a killed one is missed, and a stopped one."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "bus", description=BusSection())
        await server.start()
        url = server.url_with_login()
        try:
            bus = await nats.connect(url, name="prepare")
            await streams.prepare(bus)
            await bus.close()
            times = await configured(url, count, repeats)
            losses = Losses(url, Path(folder) / "memory")
            killed = await losses.seconds(signal.SIGKILL, KILLS)
            stopped = await losses.seconds(signal.SIGSTOP, STOPS)
        finally:
            await server.stop()
    return times, killed, stopped


def run() -> list[Row]:
    """The rows of the table."""
    times, killed, stopped = asyncio.run(measure(MANY, REPEATS))
    raw = asyncio.run(fan_out(MANY, REPEATS))
    return [
        Row(
            name=f"{MANY} agents, a connection each, all configured (no-op steps), median",
            value=round(statistics.median(times) * 1e3, 1),
            unit="ms",
            goal="<= 100 ms",
            raw_limit=round(raw * 1e3, 1),
            ratio=statistics.median(times) / raw,
        ),
        Row(
            name=f"killed agent noticed, p99 of {KILLS}",
            value=round(statistics.quantiles(killed, n=100)[98] * 1e3, 1),
            unit="ms",
            goal="<= 100 ms",
        ),
        Row(
            name=f"stopped agent (SIGSTOP) noticed, worst of {STOPS}",
            value=round(max(stopped), 2),
            unit="s",
            goal="<= 2 s",
        ),
    ]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["host", url, count]:
            with suppress(KeyboardInterrupt):
                asyncio.run(host(url, int(count)))
        case _:
            sys.stderr.write("python -m bench agents\n")
