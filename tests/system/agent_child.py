"""One simulated agent in a process of its own: `python agent_child.py URL SYSTEM MEMORY`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from uuid import uuid4

from countingroom.bus import nats
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.systems import SystemKind
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.kinds.simulated import Simulated
from countingroom.runs.sections.agent import SimulatedAgent
from countingroom.runs.sections.system import plain_chart


async def main(url: str, system: str, memory: str) -> None:
    clock, boot = SystemClock(), uuid4().hex
    bus = await nats.connect(url, name=subjects.connection(system, boot))
    agent = AgentRunner(
        bus,
        clock,
        system,
        SystemKind.DETECTOR,
        plain_chart(),
        lambda handle: Simulated(handle, SimulatedAgent(), clock),
        boot=boot,
        memory=Path(memory),
    )
    await agent.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
