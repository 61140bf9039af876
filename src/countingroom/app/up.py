"""Law: one command runs everything: the bus, the hardware that cannot be here, the roles; one Ctrl-C ends it all.

What others stand on begins first and ends last. Each role is a process of its own, so that none can stop another.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom import __version__
from countingroom.app.listening_socket import listen
from countingroom.app.supervisor import Child, ChildChange
from countingroom.app.data_folder import InstanceOwner, owned
from countingroom.app.process_events import ProcessEvents
from countingroom.app.serve import connect, first_of
from countingroom.app.simulation import ROLE as SIMULATORS
from countingroom.bus import streams
from countingroom.bus.port import Bus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.console.auth.accounts import FIRST
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.messages import Event
from countingroom.experiment import Experiment


class StartPlan(Struct, frozen=True, kw_only=True):
    """What is to be up."""

    description: Path
    experiment: Experiment
    simulate: bool
    port: int
    data: Path


def run(plan: StartPlan, say: Callable[[str], None]) -> None:
    """Everything, until Ctrl-C or SIGTERM."""
    host = plan.experiment.console.host
    with listen(host, plan.port) as free:  # known now, before anything is started
        port = free.getsockname()[1]
    address = plan.experiment.console.address(port)
    owner = InstanceOwner(
        pid=os.getpid(),
        description=str(plan.description),
        console=address,
        since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    with owned(plan.data, owner):
        say(f"Counting room {__version__}: {plan.experiment.title}{' (simulated)' if plan.simulate else ''}")
        say(f"Data: {plan.data}")
        asyncio.run(_House(plan, port, say).run())
        say("Everything has stopped.")


class _House:
    """The processes of one experiment."""

    def __init__(self, plan: StartPlan, port: int, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._port = port
        self._say = say
        self._clock: Clock = SystemClock()
        self._overrides: dict[str, dict[str, Any]] = {}
        self._record = ProcessEvents(self._clock)
        self._begun = False

    async def run(self) -> None:
        """Begin in order, wait, end in order."""
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        if this is None:
            raise RuntimeError("runs inside a task")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, this.cancel)
        try:
            await self._everything()
        except asyncio.CancelledError:
            return
        except BaseExceptionGroup as failures:
            raise first_of(failures) from failures

    async def _everything(self) -> None:
        async with self._bus() as (bus, url), self._record.on(bus):
            ground = ["history", SIMULATORS] if self._plan.simulate else ["history"]
            async with self._children(ground, url) as first, contextlib.AsyncExitStack() as above:
                if self._plan.simulate:
                    self._overrides.update(await first[SIMULATORS].ready())
                children = first
                for stage in self._stages():
                    children = await above.enter_async_context(self._children(stage, url))
                said = await children["console"].ready()
                self._begun = True
                self._say(f"Console: {said['address']}")
                if "first" in said:
                    self._say(f"First administrator ({FIRST}), valid once, for a day: {said['first']}")
                self._say("Ctrl-C stops everything.")
                await asyncio.Future[None]()

    def _stages(self) -> list[list[str]]:
        """What stands on the ground. Run control ends before its agents, so that none of them seems lost to it."""
        if self._plan.experiment.runs.in_use:
            return [["devices", "agents"], ["runs", "console"]]
        return [["devices", "console"]]

    @asynccontextmanager
    async def _bus(self) -> AsyncGenerator[tuple[Bus, str]]:
        """The site's own bus where the description names one, else the embedded server."""
        section = self._plan.experiment.bus
        async with contextlib.AsyncExitStack() as stack:
            url, room = section.url, section.max_bytes
            if not url:
                server = EmbeddedServer(
                    self._plan.data / "bus", description=section, on_event=self._happened, clock=self._clock
                )
                url = await server.start()
                stack.push_async_callback(server.stop)
                room = server.store_bytes
            bus = await connect(section, url, "up", self._clock)
            stack.push_async_callback(bus.close)
            await streams.prepare(bus, max_bytes=room)
            self._line("bus", url)
            yield bus, url

    @asynccontextmanager
    async def _children(self, roles: list[str], url: str) -> AsyncGenerator[dict[str, Child]]:
        """These roles, all ready; ended when the block is left."""
        children = {role: self._child(role, url) for role in roles}
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child.run(), name=child.name) for child in children.values()]
            try:
                for role, child in children.items():
                    said = await child.ready()
                    self._line(role, summary(role, said))
                yield children
            finally:
                for task in tasks:
                    task.cancel()

    def _child(self, role: str, url: str) -> Child:
        plan = self._plan
        return Child(
            role,
            (
                *(sys.executable, "-m", "countingroom", "serve", str(plan.description), role, "--supervised"),
                *("--bus", url, "--data", str(plan.data), "--port", str(self._port)),
            ),
            parameters=lambda: {"overrides": self._overrides},
            clock=self._clock,
            log=plan.data / "logs" / f"{role}.log",
            on_change=self._changed,
        )

    def _happened(self, event: Event) -> None:
        self._tell(event.message)
        self._record.add(event)

    def _changed(self, change: ChildChange) -> None:
        again = f"; again in {change.again_in_s:g} s" if change.again_in_s is not None else ""
        self._tell(change.message + again)
        self._record.add_change(change)

    def _tell(self, message: str) -> None:
        """What happens after the beginning, with the time."""
        if self._begun:
            self._say(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} UTC  {message}")

    def _line(self, name: str, text: str) -> None:
        self._say(f"  {name:<11} {text}")


def summary(role: str, said: dict[str, Any]) -> str:
    """What a role that is ready has to do."""
    match role, said:
        case "devices", {"devices": [*names]}:
            return _counted(len(names), "device") if names else "none described"
        case "simulators", _:
            return _counted(len(said), "device") if said else "nothing to simulate"
        case "agents", {"agents": int(count)}:
            return _counted(count, "system")
        case "runs", {"partitions": int(count)}:
            return _counted(count, "partition")
        case "console", {"address": address}:
            return str(address)
        case _:
            return "ready"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
