"""A fleet on real engines for tests: its revisions, its keeper, and what engines of containers say has run.

As a program it is a keeper that kills itself with SIGKILL at one of its steps; see `KillOrder`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from aiodocker import Docker
from msgspec import Struct

from countingroom.core.clock import Clock, SystemClock
from countingroom.core.fleet.record import FleetRecord, Phase
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.docker import DockerEngine
from countingroom.fleet.engines.port import Engine
from countingroom.fleet.engines.slurm import SlurmEngine
from countingroom.fleet.engines.slurm_commands import SlurmCommands
from countingroom.fleet.engines.slurm_records import JobRecords
from countingroom.fleet.engines.ssh import SshEngine
from countingroom.fleet.engines.ssh_connection import SshConnection
from countingroom.fleet.keeper import DescribedFleet, FleetStore, Keeper
from countingroom.fleet.node import Node
from countingroom.fleet.wanted import wanted
from countingroom.storage.database import Database
from tests.container_engines import EngineServer
from tests.patience import PATIENCE_S

EXPERIMENT, SERVICE = "guider", "camera"
NAME = f"{EXPERIMENT}-{SERVICE}"
WARM_S = 0.2
"""So long after its start a good container passes its check."""
GOOD = ("sh", "-c", f"sleep {WARM_S}; touch /tmp/exposing; exec sleep 600")
BAD = ("sleep", "600")
ENDED = (Phase.DONE, Phase.ROLLED_BACK, Phase.FAILED)


def revision(nodes: Sequence[WantedNode], image: str) -> Revision:
    """One camera on each node."""
    section = FleetSection.model_validate(
        {
            "nodes": {one.name: {"engine": "docker", "url": "unix:///none"} for one in nodes},
            "services": {
                SERVICE: {
                    "image": image,
                    "nodes": ["*"],
                    "network": "none",
                    "health": {
                        "exec": ["test", "-e", "/tmp/exposing"],
                        "interval": "0.2 s",
                        "timeout": "20 s",
                        "failures": 1,
                    },
                    "start_period": "1 s",
                    "grace": "0 s",
                    "update": {"healthy_for": "0.2 s"},
                }
            },
        }
    )
    return msgspec.structs.replace(wanted(section), nodes=tuple(nodes))


def engine_of(clock: Clock, node: WantedNode, folder: Path) -> Engine:
    """The engine of a node: of containers, of a node reached by ssh, or of a cluster."""
    if node.engine == "ssh":
        return SshEngine(clock, EXPERIMENT, node, folder)
    if node.engine == "slurm":
        return SlurmEngine(clock, EXPERIMENT, node, folder / node.name, folder, look_s=0.1)
    return DockerEngine(clock, EXPERIMENT, node, folder)


def keeper_of(store: FleetStore, nodes: Sequence[WantedNode], folder: Path) -> Keeper:
    """A keeper over these engines, with the clock of the machine."""
    clock = SystemClock()

    def node(one: WantedNode, changed: asyncio.Event, line: Callable[[str], None]) -> Node:
        return Node(clock, one.name, one.address, engine_of(clock, one, folder), changed, line)

    return Keeper(
        clock,
        store,
        node,
        DescribedFleet(nodes=nodes),
        lambda key, state: None,
        lambda name, text, cause: None,
        name="k",
    )


def store_of(database: Database) -> FleetStore:
    """What a keeper needs of a database."""
    kept = database.fleet
    return FleetStore(record=kept.record, save=kept.save, add=kept.add, revision=kept.revision)


@asynccontextmanager
async def keeping(keeper: Keeper) -> AsyncGenerator[Keeper]:
    """The keeper, while it works."""
    task = asyncio.create_task(keeper.run())
    try:
        await keeper.ready()
        yield keeper
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(
    condition: Callable[[], bool], what: str, keeper: Keeper | None = None, state: Callable[[], str] = lambda: ""
) -> None:
    """Wait until it holds. Where it does not come, what the `keeper` remembers and sees is told, and the `state`."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        seen = f"; {keeper.record.changes}; {keeper.observed()}" if keeper else ""
        raise AssertionError(f"it did not come: {what}{seen} {state()}") from None


def is_over(keeper: Keeper) -> bool:
    """Whether the change has ended, and each node answers and has healthy instances."""
    change = keeper.record.changes.get(SERVICE)
    seen = keeper.observed()
    nodes = seen.nodes.values()
    all_answer = bool(nodes) and all(one.is_reachable for one in nodes)
    all_healthy = all(one.health == "healthy" for node in nodes for one in node.instances.values())
    each_has_one = all(node.instances for node in nodes)
    return (
        change is not None and change.phase in ENDED and not seen.busy and all_answer and all_healthy and each_has_one
    )


class Ran(Struct, frozen=True):
    """A container from its start to its end."""

    node: str
    container: str
    began_ns: int
    ended_ns: int


class Recorder:
    """What ran on engines, as they told it themselves."""

    def __init__(self, servers: dict[str, EngineServer], files: dict[str, Path]) -> None:
        self._servers = servers
        self._files = files
        self._since_s = time.time()
        self._before = self._running()

    def is_told(self) -> bool:
        """Whether the engines have told all that has happened until now."""
        return self._told() == self._running()

    def state(self) -> str:
        """What runs, what should run by the events, and all events."""
        events = "\n".join(f"{name}: {self._events(name)}" for name in self._files)
        return f"\nruns by ps: {self._running()}\nruns by events: {self._told()}\nbefore: {self._before}\n{events}"

    def _told(self) -> dict[str, set[str]]:
        ran = self.ran()
        return {
            name: {one.container for one in ran if one.node == name and one.ended_ns == sys.maxsize}
            for name in self._files
        }

    def _events(self, node: str) -> str:
        """Podman's client that follows its file of events may miss that the last line was added, until the next one is:
        the file is read anew instead."""
        server = self._servers[node]
        return server.past_events(self._since_s) if server.is_podman else self._files[node].read_text()

    def _running(self) -> dict[str, set[str]]:
        return {name: set(server.client("ps", "--quiet").split()) for name, server in self._servers.items()}

    def ran(self) -> list[Ran]:
        """All that ran since the beginning, in the order of their starts. What runs still has no end."""
        found: list[Ran] = []
        for node in self._files:
            open_ones = dict.fromkeys(self._before[node], 1)
            for line in self._events(node).splitlines():
                is_start, container, at_ns = _event(json.loads(line))
                if is_start:
                    open_ones[container] = at_ns
                elif began_ns := open_ones.pop(container, 0):
                    found.append(Ran(node, container, began_ns, at_ns))
            found += [Ran(node, container, began_ns, sys.maxsize) for container, began_ns in open_ones.items()]
        return sorted(found, key=lambda one: one.began_ns)

    def doubles(self) -> list[tuple[Ran, Ran]]:
        """Pairs that ran at the same time on one node."""
        return doubles_of(self.ran())

    def fewest(self, since_ns: int) -> int:
        """The fewest that were healthy at one time after a time at which all were."""
        return fewest_of(self.ran(), since_ns)


def doubles_of(ran: Sequence[Ran]) -> list[tuple[Ran, Ran]]:
    """Pairs that ran at the same time on one node."""
    return [
        (one, other)
        for one in ran
        for other in ran
        if one is not other and one.node == other.node and one.began_ns <= other.began_ns < one.ended_ns
    ]


def fewest_of(ran: Sequence[Ran], since_ns: int) -> int:
    """The fewest that were healthy at one time after a time at which all were."""
    warm_ns = int(WARM_S * 1e9)
    spans = [(one.began_ns + warm_ns, one.ended_ns) for one in ran if one.began_ns + warm_ns < one.ended_ns]
    times = [since_ns, *(end for _, end in spans if since_ns < end < sys.maxsize)]
    return min(sum(began <= at < end for began, end in spans) for at in times)


def _event(told: dict[str, Any]) -> tuple[bool, str, int]:
    """Whether it is a start or else an end, of what container, and when, of what Docker or Podman tells."""
    if "Action" in told:
        return told["Action"] == "start", told["id"][:12], told["timeNano"]
    if "timeNano" in told:  # Podman 5
        return told["Status"] == "start", told["ID"][:12], told["timeNano"]
    whole, _, part = told["Time"].rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return told["Status"] == "start", told["ID"][:12], seconds * 1_000_000_000 + int(part.ljust(9, "0"))


@contextmanager
def recording(servers: dict[str, EngineServer], folder: Path) -> Generator[Recorder]:
    """Follow what starts and ends on engines."""
    folder.mkdir(exist_ok=True)
    files = {name: folder / f"{name}.events" for name in servers}
    recorder = Recorder(servers, files)
    following = [server.events(files[name]) for name, server in servers.items() if not server.is_podman]
    try:
        yield recorder
    finally:
        for process in following:
            process.terminate()
            process.wait(PATIENCE_S)


class KillOrder(Struct, frozen=True, kw_only=True):
    """What a keeper that is to be killed gets on its standard input."""

    database: str
    folder: str
    nodes: tuple[WantedNode, ...]
    revision: Revision
    """It is applied as soon as the keeper has begun."""
    at: int
    """The number of the step, from 1."""
    of: str = ""
    """Only such steps count: `save`; of containers `pull`, `create`, `stop`, `start`, `remove`, `rename`; by ssh
    `make`, `start_again`, `remove`; of Slurm `sbatch`, `scancel`, `write`, `forget`. Empty: all of these. What changes
    nothing, such as a health check, is no step."""
    is_under_way: bool = False
    """Not before the step, but after its request was sent and before it is answered (`save`: after it is written)."""
    after_s: float = 0.01
    """Under way: so long after the step began."""


async def killed_keeper(order: KillOrder) -> int:
    """The exit status of a keeper that got this order: -9, or 0 where it came to the end of the change before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fleet_containers", stdin=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        await process.communicate(msgspec.json.encode(order))
    return process.returncode or 0


class _Death:
    """Counts the steps of this process, and ends it at one of them."""

    def __init__(self, order: KillOrder) -> None:
        self._order = order
        self._passed = 0

    def has_come(self, step: str) -> bool:
        self._passed += step == (self._order.of or step)
        return self._passed >= self._order.at

    async def at(self, step: str, begin: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out a step, or end there."""
        if step == "exec" or not self.has_come(step):
            return await begin()
        if not self._order.is_under_way:
            _die()
        asyncio.get_running_loop().call_later(self._order.after_s, _die)
        await begin()
        return await asyncio.Event().wait()

    def install(self) -> None:
        """Into all ways to an engine."""

        def into(kind: type, method: str, step_of: Callable[..., str]) -> None:
            ask = getattr(kind, method)

            async def asked(*words: Any, **more: Any) -> Any:
                return await self.at(step_of(*words, **more), lambda: ask(*words, **more))

            setattr(kind, method, asked)

        into(Docker, "_do_query", _step_of_container)
        into(SshConnection, "run", _step_of_script)
        into(SlurmCommands, "_run", _step_of_cluster)
        into(JobRecords, "write", lambda *_: "write")
        into(JobRecords, "forget", lambda *_: "forget")

    def store(self, kept: FleetStore) -> FleetStore:
        async def save(record: FleetRecord, version: int) -> int:
            is_last = self.has_come("save")
            if is_last and not self._order.is_under_way:
                _die()
            saved = await kept.save(record, version)
            if is_last:
                _die()
            return saved

        return msgspec.structs.replace(kept, save=save)


def _step_of_container(_: Docker, path: Any, method: str, **__: Any) -> str:
    place = str(path)
    if method == "GET" or "exec" in place:
        return "exec"
    if method == "DELETE":
        return "remove"
    return "pull" if place.startswith("images/") else place.rpartition("/")[2]


def _step_of_script(_: SshConnection, script: str, *__: Any, **___: Any) -> str:
    call = script.partition("|| exit\n")[2].partition(" ")[0]
    return call if call in ("make", "start_again", "remove") else "exec"


def _step_of_cluster(_: SlurmCommands, program: str, *__: Any, **___: Any) -> str:
    return program if program in ("sbatch", "scancel") else "exec"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _keep(order: KillOrder) -> None:
    death = _Death(order)
    death.install()
    database = Database(order.database)
    await database.open()
    async with keeping(keeper_of(death.store(store_of(database)), order.nodes, Path(order.folder))) as keeper:
        await keeper.apply(order.revision)
        await until(lambda: is_over(keeper), "the end of the change")
    await database.close()


if __name__ == "__main__":
    asyncio.run(_keep(msgspec.json.decode(sys.stdin.buffer.read(), type=KillOrder)))
