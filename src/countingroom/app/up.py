"""`countingroom up`: an experiment with all its processes, started in order, stopped by one Ctrl-C.

A role starts when the roles that it needs are ready, and stops before them, in the order of the departments' table.
Independent roles start at the same time; the console shows which ones are not ready yet. Each role is a separate
process, so that a crash or a blocked call stops only that role.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Struct

from countingroom import __version__
from countingroom.app import bus_users
from countingroom.app.backup_schedule import BackupSchedule, make_in_child
from countingroom.app.child_process import fork_server, launch_by
from countingroom.app.data_folder import BACKUPS, InstanceOwner, close_to_others, owned
from countingroom.app.file_limit import raise_file_limit
from countingroom.app.forked_server import forked_server
from countingroom.app.listening_socket import listen
from countingroom.app.new_database import make_new_database
from countingroom.app.process_events import ProcessEvents
from countingroom.app.processes import Process, processes
from countingroom.app.reload.candidate import CandidateQuestion
from countingroom.app.reload.described import content_of
from countingroom.app.reload.under_up import UpReload
from countingroom.app.roles import needed_roles
from countingroom.app.serve import first_of
from countingroom.app.shared_renewer import shared_renewer, socket_beside
from countingroom.app.simulation import ROLE as SIMULATORS
from countingroom.app.site_supervision import SiteSupervision
from countingroom.app.supervisor import Child, ChildChange
from countingroom.backup.description import BackupSection
from countingroom.backup.identity import identity_of
from countingroom.bus import nats, streams
from countingroom.bus.port import Bus
from countingroom.bus.presence import BUS_ROLE, heartbeat
from countingroom.bus.server.credentials import SUPERVISOR, bus_folder
from countingroom.bus.server.server import EmbeddedServer
from countingroom.console.description import ConsoleSection
from countingroom.core.accounts import FIRST_ADMINISTRATOR
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Event
from countingroom.core.times import duration
from countingroom.core.umask import keep_files_private
from countingroom.departments import DEPARTMENTS, roles, stages
from countingroom.devices.description import DevicesSection
from countingroom.devices.registry import builder_module
from countingroom.experiment import Experiment
from countingroom.mirror.description import MirrorSection

PROGRAM = (
    *("countingroom.cli.main", "countingroom.cli.serve", "countingroom.app.serve", "nats"),
    *("countingroom.app.reload.taking", "countingroom.app.reload.simulated"),
)


class StartPlan(Struct, frozen=True, kw_only=True):
    """The parameters of `up`."""

    description: Path
    experiment: Experiment
    simulate: bool
    port: int
    data: Path


def run(plan: StartPlan, say: Callable[[str], None]) -> None:
    """Run everything until Ctrl-C or SIGTERM."""
    keep_files_private()
    section = plan.experiment.section(ConsoleSection)
    with listen(section.host, plan.port) as free:  # a port in use is reported before any process starts
        port = free.getsockname()[1]
    address = section.address(port)
    owner = InstanceOwner(
        pid=os.getpid(),
        description=str(plan.description),
        console=address,
        since=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
    raise_file_limit()  # of the bus and of every role, which inherit it
    # The fork server starts first, before this process has threads or the lock on the data: a fork would inherit both.
    with forked_server(imported_modules(plan), plan.description) as server, owned(plan.data, owner):
        say(f"Counting room {__version__}: {plan.experiment.title}{' (simulated)' if plan.simulate else ''}")
        say(f"Data: {plan.data}")
        for text in close_to_others(plan.data):
            say(f"  warning     {text}")
        asyncio.run(_Processes(plan, port, say, server).run())
        say("Everything has stopped.")


class _Processes:
    """The processes of one experiment."""

    def __init__(self, plan: StartPlan, port: int, say: Callable[[str], None], server: Path | None) -> None:
        """`server`: the socket of a running fork server; None to start one."""
        self._plan = plan
        self._port = port
        self._say = say
        self._clock: Clock = SystemClock()
        self._processes = processes(plan.experiment, _roles(plan))
        self._width = max(11, *map(len, self._processes))
        self._facts: dict[str, dict[str, Any]] = {}
        """Process -> what it reported when it was ready."""
        self._events = ProcessEvents(self._clock)
        backup = plan.experiment.section(BackupSection)
        self._backups = BackupSchedule(
            backup,
            plan.experiment.experiment.name,
            backup.folder or plan.data / BACKUPS,
            self._clock,
            lambda: make_in_child(plan.description, plan.data),
            self._events.add,
            lambda: identity_of(plan.data),
        )
        self._started = False
        self._server: EmbeddedServer | None = None
        self._fork_server = server or Path()
        self._has_fork_server = server is not None
        self._reload: UpReload | None = None

    async def run(self) -> None:
        """Start in order, wait for the signal, stop in reverse order."""
        loop = asyncio.get_running_loop()
        this = asyncio.current_task()
        if this is None:
            raise RuntimeError("runs inside a task")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, this.cancel)
        try:
            await self._start_and_wait()
        except asyncio.CancelledError:
            return
        except BaseExceptionGroup as failures:
            raise first_of(failures) from failures

    async def _start_and_wait(self) -> None:
        async with contextlib.AsyncExitStack() as running:
            if not self._has_fork_server:
                self._fork_server = await running.enter_async_context(
                    fork_server(imported_modules(self._plan), self._plan.description)
                )
            renewing = shared_renewer(launch_by(self._fork_server), socket_beside(self._fork_server), self._clock)
            await running.enter_async_context(renewing)
            storage = self._plan.experiment.storage
            async with asyncio.TaskGroup() as group:
                group.create_task(make_new_database(launch_by(self._fork_server), storage, self._plan.data))
                bus, url = await running.enter_async_context(self._bus())
            await running.enter_async_context(self._events.on(bus))
            children = {name: self._child(process, url) for name, process in self._processes.items()}
            for stage in stages(_roles(self._plan)):  # the last one is stopped first
                await running.enter_async_context(self._supervised(stage, children))
            async with asyncio.TaskGroup() as group:
                for name, child in children.items():
                    group.create_task(self._report_ready(name, child))
            self._started = True
            self._say(f"Console: {self._facts['console']['address']}")
            if "first" in self._facts["console"]:
                link = self._facts["console"]["first"]
                self._say(f"First administrator ({FIRST_ADMINISTRATOR}), valid once, for a day: {link}")
            if differs := self._facts.get("runs", {}).get("differs"):
                self._say(f"The description differs from the database: {differs}. See: countingroom apply --plan")
            self._say("Ctrl-C stops everything.")
            async with asyncio.TaskGroup() as group:
                group.create_task(self._backups.run())
                mirror = self._plan.experiment.section(MirrorSection)
                site = SiteSupervision(mirror, self._plan.data, self._clock, self._report_change)
                group.create_task(site.run(bus, self._say))
                await self._reloading(bus, children).run()

    def _reloading(self, bus: Bus, children: Mapping[str, Child]) -> UpReload:
        """Serves the reload of the description, from now on until the end."""
        plan = self._plan

        def simulated(overrides: Mapping[str, Any], devices: Collection[str]) -> None:
            if SIMULATORS in self._facts:
                known = {**self._facts[SIMULATORS], **overrides}
                self._facts[SIMULATORS] = {name: keys for name, keys in known.items() if name in devices}

        self._reload = UpReload(
            bus,
            self._clock,
            children,
            launch_by(self._fork_server),
            CandidateQuestion(description=str(plan.description), simulate=plan.simulate),
            plan.data,
            content_of(plan.experiment, simulate=plan.simulate),
            simulated=simulated,
        )
        return self._reload

    async def _report_ready(self, name: str, child: Child) -> None:
        self._facts[name] = await child.ready()
        self._say_ready(name, summary(self._processes[name].role, self._facts[name]))

    @asynccontextmanager
    async def _bus(self) -> AsyncGenerator[tuple[Bus, str]]:
        """The bus at the URL of the description, or the embedded server without a URL."""
        section = self._plan.experiment.bus
        async with contextlib.AsyncExitStack() as stack:
            url = section.url
            max_bytes = section.max_bytes
            server: EmbeddedServer | None = None
            if not url:
                server = EmbeddedServer(
                    bus_folder(self._plan.data),
                    description=section.model_copy(update={"listen": listen.below(self._plan.description.parent)})
                    if (listen := section.listen)
                    else section,
                    users=bus_users.users(self._plan.experiment),
                    kept=bus_users.of_services(self._plan.experiment),
                    on_event=self._report_event,
                    clock=self._clock,
                )
                url = await server.start()
                stack.push_async_callback(server.stop)
                self._server = server
                max_bytes = server.store_bytes
            login = server.login if server else bus_users.login(section, {}, self._plan.data, SUPERVISOR)
            bus = await nats.connect(url, name="up", login=login, clock=self._clock)
            stack.push_async_callback(bus.close)
            await streams.prepare(bus, max_bytes=max_bytes)
            self._say_ready("bus", url)
            for text in [*server.troubles(), *server.warnings()] if server else ():
                self._say(f"  warning     {text}")
            async with self._beating(bus, server):
                yield bus, url

    @asynccontextmanager
    async def _beating(self, bus: Bus, server: EmbeddedServer | None) -> AsyncGenerator[None]:
        """Send heartbeats with the troubles of the embedded server and of the backups."""
        backup = self._plan.experiment.section(BackupSection)
        if server is None and not backup.is_scheduled:
            yield
            return
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(
                heartbeat(
                    bus,
                    self._clock,
                    role=BUS_ROLE,
                    instance="main",
                    boot=uuid4().hex,
                    troubles=server.troubles if server else tuple,
                    warnings=lambda: [*(server.warnings() if server else ()), *self._backups.warnings()],
                    conditions=self._backups.conditions,
                )
            )
            try:
                yield
            finally:
                beating.cancel()

    @asynccontextmanager
    async def _supervised(self, stage: list[str], children: Mapping[str, Child]) -> AsyncGenerator[None]:
        """Start each role of the stage when what it needs is ready; stop them at the end of the block."""
        async with asyncio.TaskGroup() as group:
            names = [name for name, process in self._processes.items() if process.role in stage]
            tasks = [group.create_task(self._run_child(name, children), name=name) for name in names]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _run_child(self, name: str, children: Mapping[str, Child]) -> None:
        known = roles()[self._processes[name].role]
        needs = known.after if known.needs is None else known.needs
        try:
            for needed, process in self._processes.items():
                if process.role in needs:
                    self._facts[needed] = await children[needed].ready()  # addresses of simulators are parameters
        except CountingRoomError:
            return  # `_report_ready` of that child raises the error
        await children[name].run()

    def _child(self, process: Process, url: str) -> Child:
        plan = self._plan
        return Child(
            process.name,
            (sys.executable, "-m", "countingroom", "serve", *serve_arguments(plan, process, url, self._port)),
            parameters=lambda: {
                "overrides": self._facts.get(SIMULATORS, {}),
                "passwords": self._server.passwords_of(bus_users.of_process(plan.experiment, process))
                if self._server
                else {},
                "simulate": plan.simulate,
                "again": process.name in self._facts,
                "fork_server": str(self._fork_server),
                "description": self._reload.given(process.name) if self._reload else "",
            },
            clock=self._clock,
            launch=launch_by(self._fork_server),
            log=plan.data / "logs" / f"{process.name}.log",
            on_change=self._report_change,
        )

    def _report_event(self, event: Event) -> None:
        self._report(event.message)
        self._events.add(event)

    def _report_change(self, change: ChildChange) -> None:
        if self._server and not change.running:
            self._server.process_ended(change.pid)
        again = f"; again in {duration(change.again_in_s)}" if change.again_in_s is not None else ""
        if self._reload and change.running and not change.hangs:
            self._reload.started(change.name)
        self._report(change.message + again)
        self._events.add_change(change)

    def _report(self, message: str) -> None:
        """Print a line with the time, but not during the start."""
        if self._started:
            self._say(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} UTC  {message}")

    def _say_ready(self, name: str, text: str) -> None:
        self._say(f"  {name:<{self._width}} {text}")


def serve_arguments(plan: StartPlan, process: Process, url: str, port: int) -> list[str]:
    """The arguments of `serve` for a child; cli/serve.py knows them by their order."""
    fixed = [str(plan.description), process.role, "--supervised"]
    system = ["--system", process.system] if process.system else []
    return [*fixed, "--bus", url, "--data", str(plan.data), "--port", str(port), *system]


def _roles(plan: StartPlan) -> list[str]:
    """The roles to start."""
    return needed_roles(plan.experiment, simulate=plan.simulate)


def imported_modules(plan: StartPlan) -> list[str]:
    """The modules that the fork server imports."""
    known = roles()
    of_roles = [
        module for name in _roles(plan) for module in (*known[name].modules, known[name].start.partition(":")[0])
    ]
    of_console = [module for department in DEPARTMENTS for module in (*department.api, *department.pages)]
    of_drivers = [
        builder_module(type(section))
        for _, section in plan.experiment.section(DevicesSection).items()
        if type(section).__module__.startswith("countingroom.")  # a driver from elsewhere may start a thread
    ]
    return list(dict.fromkeys([*PROGRAM, *of_roles, *of_console, *of_drivers]))


def summary(role: str, facts: dict[str, Any]) -> str:
    """The text of a ready role in its line at the start."""
    match role, facts:
        case "devices", {"devices": [*names]}:
            return _counted(len(names), "device") if names else "none described"
        case "simulators", _:
            return _counted(len(facts), "device") if facts else "nothing to simulate"
        case "agents", {"agents": int(count)}:
            return _counted(count, "system")
        case "runs", {"partitions": int(count)}:
            return _counted(count, "partition")
        case "history", {"converts": str(what)}:
            return f"converts {what}"
        case "console", {"address": address}:
            return str(address)
        case _:
            return "ready"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
