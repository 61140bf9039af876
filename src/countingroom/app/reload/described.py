"""Makes the input of a reload from an experiment: its sections as plain values, and the facts about processes."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from pydantic import BaseModel

from countingroom.app import bus_users
from countingroom.app.fleet_runs import fleet_of
from countingroom.app.interlocks import described_interlocks
from countingroom.app.processes import AGENTS, processes
from countingroom.app.roles import needed_roles
from countingroom.core.interlocks.local_part import device_of
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.reload.content import ReloadContent
from countingroom.departments import DEPARTMENTS
from countingroom.experiment import Experiment
from countingroom.fleet.own_programs import AGENT
from countingroom.history.description import HistorySection
from countingroom.home_assistant.description import HomeAssistantSection
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.agent import SlowControlAgent
from countingroom.tracker.description import TrackerSection

_IN_PLACE = ("devices", "simulators")
"""Roles that take devices while they run; so do the areas of the alarm department."""
_USERS = "the users of the bus"
_PROCESSES = "the processes"


def content_of(experiment: Experiment, *, simulate: bool) -> ReloadContent:
    """The content of this experiment. ConfigurationError or ValueError where an interlock cannot be."""
    sections = {key: _plain(section) for key, section in experiment.sections.items()}
    specs = described_interlocks(experiment)
    silent = [spec.engine_silent.after_ns / 1e9 for spec in specs if spec.engine_silent]
    known = processes(experiment, needed_roles(experiment, simulate=simulate))
    systems = experiment.section(RunsSection).systems
    interlocked: dict[str, tuple[str, ...]] = {}
    for spec in specs:
        for device in sorted(_devices(spec)):
            interlocked[device] = (*interlocked.get(device, ()), spec.name)
    return ReloadContent(
        digest=_digest(sections),
        sections=sections,
        readers=_readers(experiment, list(known)),
        fixed={_USERS: _digest(bus_users.users(experiment)), _PROCESSES: _digest(list(known))},
        commanded={
            name: system.agent.device for name, system in systems.items() if isinstance(system.agent, SlowControlAgent)
        },
        interlocked=interlocked,
        silent_s=min(silent, default=None),
        areas=experiment.own_areas,
    )


def _plain(section: BaseModel) -> Any:
    return section.model_dump(mode="json", by_alias=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]


def _devices(spec: InterlockSpec) -> set[str]:
    """The devices that an interlock reads or commands."""
    read = {device_of(address) for cause in spec.causes for address in cause.points}
    return (read | {command.device for effect in spec.effects for command in effect.commands}) - {""}


def _readers(experiment: Experiment, known: list[str]) -> dict[str, tuple[str, ...]]:
    """Path -> the processes that have it from their start."""

    def of(*roles: str) -> tuple[str, ...]:
        return tuple(name for name in known if name in roles or name.partition("-")[0] in roles)

    found = {
        one.section.key: of(*(role.name for role in one.roles if role.name not in _IN_PLACE))
        for one in DEPARTMENTS
        if one.section
    }
    devices = [
        *(["tracker"] if experiment.section(TrackerSection).in_use else []),
        *(["home_assistant"] if experiment.section(HomeAssistantSection).in_use else []),
        *(["history"] if any(one.has_tracker_layout for one in _stores(experiment)) else []),
    ]
    return found | {
        "experiment": of("alarms", "console"),
        "devices": of(*devices),
        # A service is read when the fleet is planned and applied: its keeper goes on.
        "fleet.services": (),
        **{f"fleet.services.{name}": of(AGENTS) for name in _agent_services(experiment)},
        "results": of("console"),
        "snapshots": of("console"),
        "synoptics": of("console"),
        "runs": of(AGENTS, "runs"),
        "alarms.principals": of("alarms", "runs"),
    }


def _agent_services(experiment: Experiment) -> list[str]:
    """Services that run agents: `up` runs those of all other systems."""
    return [name for name, one in fleet_of(experiment).services.items() if one.run == AGENT]


def _stores(experiment: Experiment) -> list[Any]:
    return list(experiment.section(HistorySection).stores.values())
