"""Host of agents: runs the agents of a description in one process, each with its own connection, and restarts them.

When a system already has an agent in another process, the host is standby for this system and tries again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from uuid import uuid4

from countingroom.bus.port import Bus
from countingroom.bus.presence import INSTANCE_VARIABLE
from countingroom.core import subjects
from countingroom.core.clock import Clock, raise_if_cancelled
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import AgentBeats, encode
from countingroom.core.retry import Retry, edge_log
from countingroom.runs.agents.agent import BEAT_S, AgentRunner, beat_pause_s
from countingroom.runs.agents.kinds.calibration import Calibration
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.agents.kinds.script import Script
from countingroom.runs.agents.kinds.simulated import Simulated
from countingroom.runs.agents.kinds.slow_control import SlowControl
from countingroom.runs.agents.placement import Directory
from countingroom.runs.agents.port import Factory
from countingroom.runs.description import RunsSection
from countingroom.runs.sections import agent as sections
from countingroom.runs.sections.system import SystemSection

_log = logging.getLogger(__name__)

Connect = Callable[[str], Awaitable[Bus]]
"""Opens a new connection with this name."""

_AT_ONCE = 64
"""Maximum number of agents that connect, and ask for other agents of their systems, at the same time. With thousands at
once the process had no time for its heartbeats."""
_AGAIN_S = 1.0


class AgentHost:
    """Runs all agents of the description except those of the kind `none`."""

    def __init__(
        self,
        connect: Connect,
        clock: Clock,
        section: RunsSection,
        *,
        directory: Path | None = None,
        data: Path | None = None,
        instance: str = "main",
    ) -> None:
        """`directory`: directory of the description, in which programs are run. `data`: directory of saved states and
        results of calibrations; without it no state is saved. `instance`: this process among several with agents."""
        self._connect = connect
        self._clock = clock
        self._section = section
        self._directory = directory or Path()
        self._data = data
        # A guardian waits for the one of the process before, so each process of several has a lock of its own.
        lock = "guardian.lock" if instance == "main" else f"guardian.{instance}.lock"
        self._guardian = Guardian(data / "agents" / lock) if data else None
        self._entering = asyncio.Semaphore(_AT_ONCE)
        self._agents: dict[str, AgentRunner] = {}
        self._ended: dict[str, str] = {}
        """System -> why its agent ended last."""

    @property
    def systems(self) -> dict[str, SystemSection]:
        """The systems with an agent in this process."""
        return {
            name: system
            for name, system in self._section.systems.items()
            if not isinstance(system.agent, sections.NoAgent)
        }

    def troubles(self) -> list[str]:
        """The agents that do not serve, with the reason where it is known."""
        return [
            f"the agent of {name} does not serve yet" + (f": {self._ended[name]}" if name in self._ended else "")
            for name in self.systems
            if name not in self._agents or not self._agents[name].serves
        ]

    async def run(self) -> None:
        """Run until cancelled."""
        bus = await self._reach("agents")
        try:
            directory = Directory(bus, self._clock)
            await directory.refresh()
            async with asyncio.TaskGroup() as group:
                group.create_task(directory.run())
                if self._has_many:
                    group.create_task(self._beat(bus))
                for name, system in self.systems.items():
                    group.create_task(self._serve(name, system, directory), name=f"agent {name}")
        finally:
            try:
                if self._guardian:
                    await self._guardian.close()
            finally:
                await bus.close()

    @property
    def _has_many(self) -> bool:
        """Whether one heartbeat stands for all agents. A process with one agent may have its user of the bus alone."""
        return len(self.systems) > 1

    async def _beat(self, bus: Bus) -> None:
        """Publish heartbeats for all agents that serve over connections that are up."""
        host, boot, pid = socket.gethostname(), uuid4().hex, os.getpid()
        while True:
            await self._clock.sleep(beat_pause_s(self._clock.monotonic()))
            reached = [agent for agent in self._agents.values() if agent.is_reached]
            beats = AgentBeats(
                host=host,
                pid=pid,
                interval_s=BEAT_S,
                sent_ns=self._clock.now_ns(),
                agents={agent.name: agent.knows.boot for agent in reached},
                service=os.environ.get(INSTANCE_VARIABLE, ""),
            )
            try:
                await bus.publish(subjects.pulse_of_many(boot), encode(beats))
            except LinkError:  # this connection alone is lost
                for agent in reached:
                    await agent.beat()

    async def _reach(self, name: str) -> Bus:
        report = edge_log(_log, f"{name} is not connected", f"{name} is connected")
        return await Retry(self._clock, report, pause_s=_AGAIN_S, on=CountingRoomError).run(lambda: self._connect(name))

    async def _serve(self, name: str, system: SystemSection, directory: Directory) -> None:
        report = edge_log(
            _log, f"systems.{name}: the agent ended", f"systems.{name}: the agent serves", each_reason=True
        )
        while True:
            boot = uuid4().hex
            turn = ExitStack()
            await self._entering.acquire()
            turn.callback(self._entering.release)
            bus: Bus | None = None
            try:
                bus = await self._reach(subjects.connection(name, boot))
                self._agents[name] = agent = self.agent(bus, name, system, boot=boot, directory=directory)
                await agent.run(turn.close)
            except* CountingRoomError as group:
                for error in group.exceptions:
                    if isinstance(error, CountingRoomError):
                        report.failed(error.cause)
                        self._ended[name] = error.cause.message
            except* Exception:
                _log.exception("the agent of %s failed and is started again", name)
            finally:
                turn.close()
                self._agents.pop(name, None)
                if bus:
                    with suppress(CountingRoomError):
                        await bus.close()
            raise_if_cancelled()
            await self._clock.sleep(_AGAIN_S)

    def agent(
        self, bus: Bus, name: str, system: SystemSection, *, boot: str = "", directory: Directory | None = None
    ) -> AgentRunner:
        """Make the agent of one system."""
        return AgentRunner(
            bus,
            self._clock,
            name,
            system.kind,
            system.chart,
            self._factory(bus, name, system),
            boot=boot,
            directory=directory,
            memory=self._data / "agents" if self._data else None,
            beats=not self._has_many,
        )

    def _factory(self, bus: Bus, name: str, system: SystemSection) -> Factory:
        clock, directory, guardian = self._clock, self._directory, self._guardian
        match system.agent:
            case sections.SimulatedAgent() as simulated:
                return lambda handle: Simulated(handle, simulated, clock)
            case sections.ScriptAgent() as script:
                return lambda handle: Script(handle, script, clock, directory=directory, guardian=guardian)
            case sections.SlowControlAgent() as slow_control:
                return lambda handle: SlowControl(handle, slow_control, bus, clock)
            case sections.CalibrationAgent() as calibration:
                results = (self._data or directory) / calibration.results / name
                return lambda handle: Calibration(
                    handle,
                    calibration,
                    clock,
                    directory=directory,
                    results=results / handle.partition,
                    guardian=guardian,
                )
            case sections.NoAgent():
                raise ValueError(f"the agent of {name} is started elsewhere")
