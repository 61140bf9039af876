"""Law: agents on a real bus, each with a connection of its own: how soon they are configured, and how soon missed.

`python -m bench.agents COUNT REPEATS KILLS` measures with other numbers; `… host URL COUNT` is the agents' process.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.row import Row
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.port import Entry
from countingroom.bus.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.messages import decode, encode
from countingroom.core.systems import Action, Answer, Order, SystemState
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.description import RunsSection
from countingroom.runs.facts import LinkChanged
from countingroom.runs.liveness import Liveness

ROOT = Path(__file__).parents[1]
MANY = 200
REPEATS = 50
KILLS = 20


def names(count: int) -> list[str]:
    return [f"det{number:04d}" for number in range(count)]


async def host(url: str, count: int) -> None:
    """Agents as the role `agents` runs them."""
    section = RunsSection.model_validate({"systems": {name: {} for name in names(count)}})
    await AgentHost(lambda name: nats.connect(url, name=name), SystemClock(), section).run()


class Orders:
    """All agents at once: order, and wait until every state says it is done."""

    def __init__(self, bus: nats.NatsBus, systems: list[str]) -> None:
        self._bus, self._systems, self._count = bus, systems, 0
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


async def missed(url: str, place: Path, kills: int) -> list[float]:
    """From the kill of an agent's process to the fact that it is gone."""
    bus = await nats.connect(url, name="bench")
    told: asyncio.Queue[LinkChanged] = asyncio.Queue()
    listening = asyncio.create_task(Liveness(bus, SystemClock(), told.put_nowait).run())
    times: list[float] = []
    try:
        for _ in range(kills):
            child = await asyncio.create_subprocess_exec(
                sys.executable, ROOT / "tests" / "system" / "agent_child.py", url, "sts", place
            )
            async with asyncio.timeout(30):
                assert (await told.get()).connected
                began = time.perf_counter()
                child.kill()
                assert not (await told.get()).connected
            times.append(time.perf_counter() - began)
            await child.wait()
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
        await bus.close()
    return times


async def measure(count: int, repeats: int, kills: int) -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "bus", description=BusSection())
        url = await server.start()
        try:
            bus = await nats.connect(url, name="prepare")
            await streams.prepare(bus)
            await bus.close()
            one = await configured(url, count, repeats) if repeats else []
            other = await missed(url, Path(folder) / "memory", kills) if kills else []
        finally:
            await server.stop()
    return one, other


def run() -> list[Row]:
    """The rows of the table."""
    times, deaths = asyncio.run(measure(MANY, REPEATS, KILLS))
    return [
        Row(
            name=f"{MANY} agents, a connection each, all configured (no-op steps), median",
            value=round(statistics.median(times) * 1e3, 1),
            unit="ms",
            goal="<= 100 ms",
        ),
        Row(
            name=f"killed agent noticed, worst of {KILLS}",
            value=round(max(deaths) * 1e3, 1),
            unit="ms",
            goal="<= 100 ms",
        ),
    ]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["host", url, count]:
            with suppress(KeyboardInterrupt):
                asyncio.run(host(url, int(count)))
        case [count, repeats, kills]:
            times, deaths = asyncio.run(measure(int(count), int(repeats), int(kills)))
            for what, values in (("configured", times), ("missed", deaths)):
                if values:
                    worst, middle = max(values) * 1e3, statistics.median(values) * 1e3
                    sys.stdout.write(f"{what}: median {middle:.1f} ms, worst {worst:.1f} ms of {len(values)}\n")
        case _:
            sys.stderr.write("python -m bench.agents COUNT REPEATS KILLS\n")
