"""Law: what each role is made of. It is made before the bus is joined, runs until cancelled, and says when it serves.

Imports and drivers take their time, in which a client could not answer the bus: it would be taken for dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from countingroom import __version__
from countingroom.app.simulation import ROLE as SIMULATORS
from countingroom.app.simulation import Overrides, Simulators, pointed_at
from countingroom.bus.port import Bus
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.experiment import Experiment

Ready = Callable[[Mapping[str, Any]], None]
Connect = Callable[[str], Awaitable[Bus]]
"""A connection of this name to the bus."""


class Setting(Struct, frozen=True, kw_only=True):
    """What a role is given."""

    experiment: Experiment
    directory: Path
    """Of the description."""
    clock: Clock
    data: Path
    port: int
    """Of the console."""
    connect: Connect
    """For a role that needs more connections than the one it is given."""
    overrides: Overrides
    """Where simulators listen; empty keys for real hardware."""
    systems: tuple[str, ...] = ()
    """Those whose agents are run; empty: all."""


Role = Callable[[Bus, Ready], Awaitable[None]]


def devices(setting: Setting) -> Role:
    """The device host with every device of the description."""
    from countingroom.devices.host.host import DeviceHost
    from countingroom.devices.registry import build

    hosted = [
        build(name, pointed_at(section, setting.overrides.get(name, {})), simulated=name in setting.overrides)
        for name, section in setting.experiment.devices.items()
    ]

    async def run(bus: Bus, ready: Ready) -> None:
        host = DeviceHost(bus, setting.clock, hosted)
        ready({"devices": [device.name for device in hosted]})
        await host.run()

    return run


def history(setting: Setting) -> Role:
    """The history's writer and its answers."""
    from countingroom.history.service import HistoryService

    async def run(bus: Bus, ready: Ready) -> None:
        service = HistoryService(bus, setting.clock, setting.experiment.history, setting.data / "history")
        ready({})
        await service.run()

    return run


def agents(setting: Setting) -> Role:
    """The agents of the description's systems, each over a connection of its own."""
    from countingroom.runs.agents.host import AgentHost

    section = setting.experiment.runs
    if unknown := [name for name in setting.systems if name not in section.systems]:
        raise ConfigurationError(
            f"there is no system {unknown[0]}",
            source="--system",
            suggestion=f"choose from {', '.join(section.systems)}",
        )
    if setting.systems:
        section = section.model_copy(update={"systems": {name: section.systems[name] for name in setting.systems}})
    host = AgentHost(setting.connect, setting.clock, section, directory=setting.directory, data=setting.data)

    async def run(bus: Bus, ready: Ready) -> None:
        ready({"agents": len(host.systems)})
        await host.run()

    return run


def runs(setting: Setting) -> Role:
    """Run control: the partitions that this process owns, and those it stands by for."""
    from countingroom.app.database import opened
    from countingroom.app.first_goals import bring
    from countingroom.runs.service import RunsService

    section = setting.experiment.runs

    async def run(bus: Bus, ready: Ready) -> None:
        async with opened(setting.experiment.storage, setting.data, setting.clock) as database:
            there = await database.partitions.list()
            first = {} if there else {name: one.goal for name, one in section.partitions.items() if one.goal}
            service = RunsService(bus, setting.clock, section, database)
            ready({"partitions": len(there or section.partitions)})
            async with asyncio.TaskGroup() as group:
                group.create_task(service.run())
                await bring(bus, setting.clock, first)

    return run


def console(setting: Setting) -> Role:
    """API, live feed and pages."""
    from countingroom.app.listening_socket import listen
    from countingroom.app.database import opened
    from countingroom.app.web_server import serve
    from countingroom.console.app import Login, create
    from countingroom.console.auth.sessions import SessionLifetime

    section = setting.experiment.console
    listening = listen(section.host, setting.port)
    address = section.address(listening.getsockname()[1])
    login = (
        Login(life=SessionLifetime(idle_s=section.idle, whole_s=section.session)) if section.login == "local" else None
    )

    async def run(bus: Bus, ready: Ready) -> None:
        async with opened(setting.experiment.storage, setting.data, setting.clock) as database:
            app = create(
                bus,
                setting.clock,
                title=setting.experiment.title,
                version=__version__,
                tick_s=section.tick,
                database=database,
                login=login,
                names=section.answers_for,
            )
            first = await app.state.context.login()[0].first() if login else None
            said = {"address": address} | ({"first": f"{address}/link#{first}"} if first else {})
            await serve(app, listening, lambda: ready(said), tls=section.tls)

    return run


def simulators(setting: Setting) -> Role:
    """Hardware that cannot be here, one child a device."""

    async def run(bus: Bus, ready: Ready) -> None:
        sections = dict(setting.experiment.devices.items())
        await Simulators(bus, setting.clock, sections, again=setting.overrides).run(ready)

    return run


ROLES: dict[str, Callable[[Setting], Role]] = {
    SIMULATORS: simulators,
    "history": history,
    "devices": devices,
    "agents": agents,
    "runs": runs,
    "console": console,
}
"""In the order in which they begin."""
