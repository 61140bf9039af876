"""Runs a user-written agent as a process of its own, with one call.

It connects to the bus, serves its system until SIGTERM or Ctrl-C, and logs its start and end:

standalone.run(Beam, "BEAM", data="/data/experiment")
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from uuid import uuid4

from countingroom.bus import nats
from countingroom.bus.login import URL_VARIABLE, BusLogin, FindBusLogin, login_of_environment
from countingroom.bus.port import Bus
from countingroom.bus.presence import INSTANCE_VARIABLE, heartbeat
from countingroom.bus.server.credentials import of_running
from countingroom.core import subjects
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.retry import Retry, edge_log
from countingroom.core.systems import SystemKind
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.port import Factory
from countingroom.runs.sections.system import TypeSection, plain_chart

_log = logging.getLogger(__name__)

_AGAIN_S = 1.0


def run(
    factory: Factory,
    system: str,
    *,
    url: str = "",
    data: Path | str | None = None,
    user: str = "",
    password: str = "",
    kind: SystemKind | str = SystemKind.DETECTOR,
    table: Path | str | None = None,
    map: Path | str | None = None,
    version: str = "",
    memory: Path | str | None = None,
) -> None:
    """Run until SIGTERM or Ctrl-C. `factory` is a System class, or a function that makes a system from its handle.

    The bus: `data`, the data folder of `countingroom up` on this machine, which must belong to the same account; it has
    the address and the password. Or `url`, with `user` and `password` where the servers of the site want them. Neither:
    those of the environment, which the fleet gives to a service with `run: agent`.
    `table`, `map`: the state table (CSV or YAML) and its map. Default: a plain table with one step of configuring.
    `memory`: folder of the saved state, for a system that continues without its agent. SystemExit (status 1) when the
    agent ends with an error.
    """
    login: FindBusLogin = BusLogin
    if data is None and not url:
        url = os.environ.get(URL_VARIABLE, "")
        login = lambda: login_of_environment(os.environ)  # noqa: E731
    if data is not None:
        found, login = of_running(Path(data), subjects.agent_user(system))
        url = url or found
    elif user:
        given = BusLogin(user=user, password=password)
        login = lambda: given  # noqa: E731
    chart = TypeSection.model_validate({"table": str(table), "map": map and str(map)}).chart if table else plain_chart()

    refused: list[Cause] = []

    async def serve() -> None:
        clock, boot = SystemClock(), uuid4().hex
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: task and task.cancel())
        try:
            bus = await _reach(clock, url, subjects.connection(system, boot), login)
            try:
                keeps = Path(memory) if memory else None
                agent = AgentRunner(
                    bus, clock, system, SystemKind(kind), chart, factory, boot=boot, version=version, memory=keeps
                )
                _log.info("the agent of %s serves", system)
                await serve_agent(bus, clock, agent, boot)
            finally:
                await bus.close()
        except* asyncio.CancelledError:
            _log.info("the agent of %s ends", system)
        except* CountingRoomError as group:
            refused.extend(error.cause for error in group.exceptions if isinstance(error, CountingRoomError))

    asyncio.run(serve())
    if refused:
        sys.stderr.write("".join(f"{cause}\n" for cause in refused))
        raise SystemExit(1)


async def serve_agent(bus: Bus, clock: Clock, agent: AgentRunner, boot: str) -> None:
    """Run the agent; as a service of the fleet with the heartbeats by which the fleet knows that it is on the bus."""
    if not os.environ.get(INSTANCE_VARIABLE):
        await agent.run()
        return
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(heartbeat(bus, clock, role="agents", instance=agent.name, boot=boot))
        await agent.run()
        beating.cancel()


async def _reach(clock: Clock, url: str, name: str, login: FindBusLogin) -> Bus:
    report = edge_log(_log, f"{name} waits for the bus", f"{name} is connected")
    connect = partial(nats.connect, url, name=name, login=login, clock=clock)
    return await Retry(clock, report, pause_s=_AGAIN_S).run(connect)
