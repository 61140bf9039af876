"""The start functions of the roles in the departments' table. Each builds its role from a `Setting`.

A role is built before its process connects to the bus. Imports and drivers take seconds, in which a connected client
answers no ping: the server then closed the link of a process that was still starting.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from msgspec import Struct, field

from countingroom import __version__
from countingroom.alarms.description import AlarmsSection
from countingroom.app.fleet_runs import fleet_roles, fleet_systems
from countingroom.app.processes import AGENTS, processes
from countingroom.app.reload.orders import ReloadOrders
from countingroom.app.simulation import Overrides, Simulators, pointed_at
from countingroom.bus.port import Bus
from countingroom.bus.presence import heartbeat
from countingroom.console.description import ConsoleSection
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.departments import DEPARTMENTS, Department
from countingroom.devices.description import DevicesSection
from countingroom.devices.section import DeviceSection
from countingroom.experiment import Experiment
from countingroom.history.description import HistorySection
from countingroom.runs.description import RunsSection

if TYPE_CHECKING:  # a device host starts sooner without SQLAlchemy
    from countingroom.storage.database import Database

Ready = Callable[[Mapping[str, Any]], None]
"""Reports that the role is ready, with a few facts for the operator."""
Connect = Callable[[str], Awaitable[Bus]]
"""Opens a connection to the bus under this name."""


class Setting(Struct, frozen=True, kw_only=True):
    """The input of a start function."""

    experiment: Experiment
    directory: Path
    """Directory of the description."""
    file: Path | None = None
    """The file of the description, for a role that reads it again on command."""
    clock: Clock
    data: Path
    port: int
    """Port of the console."""
    connect: Connect
    """Opens further connections, for a role that needs more than the one of its `Platform`."""
    overrides: Overrides
    """Device -> address of its simulator; a device without an entry is real hardware."""
    simulate: bool = False
    """Whether simulators stand in place of hardware. A role that is started before them has no overrides yet."""
    again: bool = False
    """Whether this process replaces one that was ready. Then it must start also without the database."""
    systems: tuple[str, ...] = ()
    """Systems whose agents this process runs; empty: all."""
    service: bool = False
    """Whether this process is a service of the fleet."""
    departments: tuple[Department, ...] = DEPARTMENTS

    @property
    def beside(self) -> list[str]:
        """The processes that the experiment needs: those of sections in use, and the simulators where there are any."""
        needed = needed_roles(self.experiment, simulate=self.simulate, departments=self.departments)
        return list(processes(self.experiment, needed))


class Platform(Struct, frozen=True, kw_only=True):
    """The connections that a role uses while it runs."""

    bus: Bus
    ready: Ready
    opened: Database | None = None
    reloads: ReloadOrders = field(default_factory=ReloadOrders)
    """Orders to take a changed description; a role that can do so serves them."""

    @property
    def database(self) -> Database:
        """The open database of a role that has `database=True` in the departments' table."""
        if self.opened is None:
            raise LookupError("the role uses the database: its row of the departments' table needs database=True")
        return self.opened


Role = Callable[[Platform], Awaitable[None]]
"""Runs a role until cancelled."""


def needed_roles(
    experiment: Experiment, *, simulate: bool, departments: tuple[Department, ...] = DEPARTMENTS
) -> list[str]:
    """The roles of the sections that are in use, without those that the fleet runs; with `simulate` the simulators."""
    sections = experiment.sections
    services = fleet_roles(experiment, simulate=simulate)
    return [
        role.name
        for department in departments
        for section in [sections[department.section.key] if department.section else None]
        if getattr(section, "in_use", True)
        for role in department.roles
        if (simulate or not role.simulation_only) and role.name not in services
    ]


@asynccontextmanager
async def _beating(
    bus: Bus, clock: Clock, role: str, troubles: Callable[[], Iterable[str]] = tuple, *, instance: str = "main"
) -> AsyncGenerator[None]:
    """Publish the heartbeat of a role that publishes none itself, while entered."""
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(
            heartbeat(bus, clock, role=role, instance=instance, boot=uuid4().hex, troubles=troubles)
        )
        try:
            yield
        finally:
            beating.cancel()


def devices(setting: Setting) -> Role:
    """The device host with every device of the description."""
    from countingroom.app.data_folder import INTERLOCKS
    from countingroom.app.interlocks import described_interlocks
    from countingroom.app.reload.taking import DeviceReload
    from countingroom.devices.host.host import DeviceHost
    from countingroom.devices.host.reload import HostReload
    from countingroom.devices.registry import Hosted, build
    from countingroom.devices.resources import SharedResources

    resources = SharedResources()
    overrides = dict(setting.overrides)

    def built(name: str, section: DeviceSection) -> Hosted:
        pointed = pointed_at(section, overrides.get(name, {}))
        # A device that computes its values from simulated ones counts as simulated too.
        simulated = name in overrides or (setting.simulate and not section.has_hardware)
        return build(name, pointed, simulated=simulated, resources=resources)

    hosted = [built(name, section) for name, section in setting.experiment.section(DevicesSection).items()]
    interlocks = described_interlocks(setting.experiment)

    async def run(platform: Platform) -> None:
        host = DeviceHost(
            platform.bus,
            setting.clock,
            hosted,
            resources=resources,
            interlocks=interlocks,
            interlock_file=setting.data / INTERLOCKS / "devices.json",
        )
        platform.reloads.serve(DeviceReload(HostReload(host, built), overrides, setting.directory))
        platform.ready({"devices": [device.name for device in hosted]})
        await host.run()

    return run


def history(setting: Setting) -> Role:
    """The history service, with the store that the description selects."""
    from countingroom.history import duckdb_file, duckdb_format
    from countingroom.history.duckdb_store import DuckStore
    from countingroom.history.service import HistoryService

    section = setting.experiment.section(HistorySection)
    file = setting.data / "history" / "history.duckdb"
    # Before the process is ready, so that the start is refused; later the supervisor would restart it again and again.
    duckdb_file.check(file)
    is_earlier = 0 < duckdb_format.check(file) < duckdb_format.VERSION
    told = (
        {"converts": "its file, which is of an earlier version; logs/history.log tells how far"} if is_earlier else {}
    )
    stores = {"duckdb": lambda: DuckStore(file, section)}
    tracker = None
    if any(store.has_tracker_layout for store in section.stores.values()):
        from countingroom.app.tracker_fields import tracker_fields

        tracker = tracker_fields(setting.experiment.section(DevicesSection))

    async def run(platform: Platform) -> None:
        service = HistoryService(platform.bus, setting.clock, section, stores[section.store], tracker=tracker)
        platform.ready(told)
        await service.run()

    return run


def agents(setting: Setting) -> Role:
    """The agents of the systems in the description, each with its own connection to the bus."""
    from countingroom.runs.agents.host import AgentHost

    section = setting.experiment.section(RunsSection)
    if unknown := [name for name in setting.systems if name not in section.systems]:
        raise ConfigurationError(
            f"there is no system {unknown[0]}",
            source="--system",
            suggestion=f"choose from {', '.join(section.systems)}",
        )
    if setting.systems:
        section = section.model_copy(update={"systems": {name: section.systems[name] for name in setting.systems}})
    elif elsewhere := fleet_systems(setting.experiment):
        here = {name: system for name, system in section.systems.items() if name not in elsewhere}
        section = section.model_copy(update={"systems": here})
    instance = setting.systems[0] if len(setting.systems) == 1 else "main"
    host = AgentHost(
        setting.connect, setting.clock, section, directory=setting.directory, data=setting.data, instance=instance
    )

    async def run(platform: Platform) -> None:
        platform.ready({"agents": len(host.systems)})
        troubles = host.troubles if setting.service else tuple
        async with _beating(platform.bus, setting.clock, AGENTS, troubles, instance=instance):
            await host.run()

    return run


def runs(setting: Setting) -> Role:
    """Run control: the partitions that this process owns, and those for which it is a standby."""
    from countingroom.alarms.interlocks.described import interlock_specs
    from countingroom.app.data_folder import RUN_BOOK
    from countingroom.app.first_goals import request_first_goals
    from countingroom.core.apply_description.messages import summary
    from countingroom.core.interlocks.specs import permissives
    from countingroom.runs.coordinator.seeding import plan_at_start
    from countingroom.runs.service import RunsService

    section = setting.experiment.section(RunsSection)
    forbidding = permissives(interlock_specs(setting.experiment.section(AlarmsSection).interlocks))

    async def run(platform: Platform) -> None:
        kept = await platform.database.partitions.list()
        first = {} if kept else {name: one.goal for name, one in section.partitions.items() if one.goal}
        plan = await plan_at_start(platform.database, section)
        service = RunsService(
            platform.bus,
            setting.clock,
            section,
            platform.database,
            folder=setting.data / RUN_BOOK,
            programs=setting.experiment.section(AlarmsSection).principals,
            permissives=forbidding,
        )
        facts = {"partitions": len(kept or section.partitions)}
        platform.ready(facts | ({"differs": summary(plan.counts)} if plan and plan.differs else {}))
        async with asyncio.TaskGroup() as group:
            group.create_task(service.run())
            await request_first_goals(platform.bus, setting.clock, first)

    return run


def console(setting: Setting) -> Role:
    """The console: API, live feed and pages."""
    from countingroom.app.connection_table import connection_limits
    from countingroom.app.data_folder import AUDIT, CONSOLE
    from countingroom.app.file_limit import raise_file_limit
    from countingroom.app.listening_socket import listen
    from countingroom.app.results import result_desk, results_service
    from countingroom.app.snapshot_rules import snapshot_rules
    from countingroom.app.synoptics import synoptic_files
    from countingroom.app.web_server import serve
    from countingroom.console.app import Login, create
    from countingroom.console.auth.sessions import SessionLifetime
    from countingroom.console.context import ConsoleContext

    # A thread that reads the database keeps the interpreter's lock for this long when the event loop wants it, and each
    # request wants it several times: with the default of 5 ms, one large read delays all small requests.
    sys.setswitchinterval(0.0005)
    section = setting.experiment.section(ConsoleSection)
    listening = listen(section.host, setting.port)
    address = section.address(listening.getsockname()[1])
    login = (
        Login(life=SessionLifetime(idle_s=section.idle, whole_s=section.session)) if section.login == "local" else None
    )

    async def run(platform: Platform) -> None:
        app = create(
            platform.bus,
            setting.clock,
            title=setting.experiment.title,
            version=__version__,
            tick_s=section.tick,
            database=platform.database,
            login=login,
            names=section.answers_for,
            behind_proxy=section.behind_proxy,
            insecure=section.is_exposed,
            departments=setting.departments,
            beside=tuple(role for role in setting.beside if role != "console"),
            audit_folder=setting.data / AUDIT,
            sessions_file=setting.data / CONSOLE / "sessions.json",
            synoptics=synoptic_files(setting.experiment, setting.directory),
            snapshot_rules=snapshot_rules(setting.experiment),
            results=result_desk(platform.database, setting.data),
        )
        context: ConsoleContext = app.state.context
        first = None
        with suppress(LinkError) if setting.again else nullcontext():
            first = await context.login()[0].first() if login else None
        facts = {"address": address} | ({"first": f"{address}/link#{first}"} if first else {})
        async with _beating(platform.bus, setting.clock, "console", context.troubles), asyncio.TaskGroup() as group:
            failing = group.create_task(context.until_failed())
            compiling = group.create_task(app.state.pages.compile_templates())
            programs = results_service(setting, platform.bus, platform.database)
            running = group.create_task(programs.run()) if programs else None
            limits = connection_limits(files=raise_file_limit(), behind_proxy=bool(section.behind_proxy))

            def serves() -> None:
                platform.ready(facts)

            await serve(app, listening, serves, tls=section.tls, limits=limits, has_lifespan=True)
            failing.cancel()
            compiling.cancel()
            if running:
                running.cancel()

    return run


def simulators(setting: Setting) -> Role:
    """Simulators in place of hardware, one for each device."""
    from countingroom.app.reload.simulated import SimulatorReload

    async def run(platform: Platform) -> None:
        devices = setting.experiment.section(DevicesSection).items()
        sections = {name: section for name, section in devices if section.has_hardware}
        made = Simulators(platform.bus, setting.clock, sections, again=setting.overrides)
        platform.reloads.serve(SimulatorReload(made, setting.directory))
        starting = ["the simulators are starting"]

        def ready(facts: Mapping[str, Any]) -> None:
            starting.clear()
            platform.ready(facts)

        async with _beating(platform.bus, setting.clock, "simulators", lambda: starting):
            await made.run(ready)

    return run
