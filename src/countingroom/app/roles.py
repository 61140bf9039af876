"""Law: what each role is made of. A role runs until cancelled and says when it serves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator, Mapping
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


class Setting(Struct, frozen=True, kw_only=True):
    """What a role is given."""

    experiment: Experiment
    bus: Bus
    clock: Clock
    data: Path
    port: int
    """Of the console."""
    overrides: Overrides
    """Where simulators listen; empty keys for real hardware."""


Role = Callable[[Setting, Ready], Awaitable[None]]


async def devices(setting: Setting, ready: Ready) -> None:
    """The device host with every device of the description."""
    from countingroom.devices.host import DeviceHost
    from countingroom.devices.registry import build

    hosted = [
        build(name, pointed_at(section, setting.overrides.get(name, {})), simulated=name in setting.overrides)
        for name, section in setting.experiment.devices.items()
    ]
    host = DeviceHost(setting.bus, setting.clock, hosted)
    ready({"devices": [device.name for device in hosted]})
    await host.run()


async def history(setting: Setting, ready: Ready) -> None:
    """The history's writer and its answers."""
    from countingroom.history.service import HistoryService

    service = HistoryService(setting.bus, setting.clock, setting.experiment.history, setting.data / "history")
    ready({})
    await service.run()


async def console(setting: Setting, ready: Ready) -> None:
    """API, live feed and pages."""
    import uvicorn

    from countingroom.console.app import create

    section = setting.experiment.console
    host = section.host
    listening = listen(host, setting.port)
    address = f"http://{host}:{listening.getsockname()[1]}"

    class Server(uvicorn.Server):
        """Signals are the process's business; readiness is told."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready({"address": address})

    app = create(setting.bus, setting.clock, title=setting.experiment.title, version=__version__, tick_s=section.tick)
    settings = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="websockets-sansio",
        ws_max_size=262_144,
        ws_ping_interval=5,
        ws_ping_timeout=10,
        timeout_graceful_shutdown=2,
    )
    server = Server(settings)
    with listening:
        serving = asyncio.ensure_future(server.serve([listening]))
        try:
            await asyncio.shield(serving)
        finally:  # asked to end, not cancelled: so that it closes what it opened
            server.should_exit = True
            await serving


def listen(host: str, port: int) -> socket.socket:
    """The console's socket; ConfigurationError with a free port where this one is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
            free = other.getsockname()[1]
        raise ConfigurationError(
            f"the console cannot listen on {host}:{port}: {error.strerror}",
            source="--port",
            suggestion=f"stop what uses that port, or choose another: --port {free}",
            code="port_in_use",
        ) from error


async def simulators(setting: Setting, ready: Ready) -> None:
    """Hardware that cannot be here, one child a device."""
    room = Simulators(setting.bus, setting.clock, dict(setting.experiment.devices.items()), again=setting.overrides)
    await room.run(ready)


ROLES: dict[str, Role] = {
    SIMULATORS: simulators,
    "history": history,
    "devices": devices,
    "console": console,
}
"""In the order in which they begin."""
