"""The agents of the benchmark: a process of its own, in which each has its own connection, as in operation.

`python -m bench.runs_agents URL N FIRST END`: those from FIRST up to END of them; ended by the end of its input.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from countingroom.app.garbage_collection import collect
from countingroom.bus import nats
from countingroom.bus.port import Bus
from countingroom.core.clock import SystemClock
from countingroom.runs.agents.host import AgentHost
from countingroom.runs.description import RunsSection, shipped


def description(detectors: int, *, all_record: bool = False) -> RunsSection:
    """CBM with so many detectors in one partition, whose steps are no work. `all_record`: every member takes data."""
    names = [f"D{number:04}" for number in range(detectors)]
    globals_ = ("TFC", "FLES", "DCS", "QA")
    systems: dict[str, Any] = {name: {"kind": "global"} for name in globals_} | {name: {} for name in names}
    template = shipped("cbm").model_dump(mode="json", by_alias=True)
    return RunsSection.model_validate(
        {
            "templates": {"cbm": {**template, "recorders": ["all"]}} if all_record else {},
            "systems": systems,
            "partitions": {"bench": {"detectors": names, "tag": "physics"}},
            "configurations": {name: {"physics": {"threshold": 1}} for name in systems},
            "tags": {"physics": dict.fromkeys(systems, "physics")},
        }
    )


def part(detectors: int, first: int, end: int) -> RunsSection:
    """The systems from `first` up to `end`, for one of several processes."""
    systems = list(description(detectors).systems.items())[first:end]
    return RunsSection.model_validate({"systems": {name: {"kind": section.kind} for name, section in systems}})


async def serve(url: str, section: RunsSection) -> None:
    """Until standard input ends."""
    clock = SystemClock()

    async def connect(name: str) -> Bus:
        return await nats.connect(url, name=name, clock=clock)

    tasks = [asyncio.create_task(AgentHost(connect, clock, section).run())]
    tasks.append(asyncio.create_task(collect(clock)))
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], part(*map(int, sys.argv[2:5]))))
