"""The processes of an experiment: one for each role, and on request one for the agent of each system.

The agents that are services of the fleet are not among them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from countingroom.app.fleet_runs import fleet_systems
from countingroom.experiment import Experiment
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.agent import NoAgent

AGENTS = "agents"
"""The role whose processes have a connection for each system."""


class Process(Struct, frozen=True, kw_only=True):
    """One process under `up`."""

    name: str
    """`agents-STS`; the role where it is the only one of its role."""
    role: str
    system: str = ""
    """The only system whose agent it runs; empty: all of its role."""

    @property
    def instance(self) -> str:
        """Its name among the processes of its role, in its heartbeat."""
        return self.system or "main"


def processes(experiment: Experiment, roles: Iterable[str]) -> dict[str, Process]:
    """The processes of these roles by their names."""
    section = experiment.section(RunsSection)
    elsewhere = fleet_systems(experiment)
    described = [name for name, system in section.systems.items() if not isinstance(system.agent, NoAgent)]
    systems = [name for name in described if name not in elsewhere]
    found: list[Process] = []
    for role in roles:
        if role == AGENTS and described and not systems:
            continue  # all are services of the fleet
        if role == AGENTS and section.agents.process == "per_system" and systems:
            found += [Process(name=f"{role}-{system}", role=role, system=system) for system in systems]
        else:
            found.append(Process(name=role, role=role))
    return {one.name: one for one in found}
