"""Finds the parts of an experiment that its fleet runs, so that `up` does not: agents of systems, and roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from countingroom.core.yaml.validation_errors import did_you_mean
from countingroom.departments import roles
from countingroom.experiment import Experiment
from countingroom.fleet.container_sections import UNIX, Problem
from countingroom.fleet.description import FleetSection, ServiceSection
from countingroom.fleet.own_programs import AGENT
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.agent import NoAgent

_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


def fleet_of(experiment: Experiment) -> FleetSection:
    """The section `fleet`; an empty one where the departments have none."""
    found = experiment.sections.get("fleet")
    return found if isinstance(found, FleetSection) else FleetSection()


def systems_of(experiment: Experiment, service: ServiceSection) -> list[str]:
    """The systems with agents in a service, in the order of its list."""
    known = experiment.section(RunsSection).systems if service.run == AGENT else ()
    found = [name for pattern in service.systems for name in known if fnmatchcase(name, pattern)]
    return list(dict.fromkeys(found))


def fleet_systems(experiment: Experiment) -> frozenset[str]:
    """The systems with agents that are services of the fleet."""
    services = fleet_of(experiment).services.values()
    return frozenset(name for one in services if one.run == AGENT for name in systems_of(experiment, one))


def fleet_roles(experiment: Experiment, *, simulate: bool) -> frozenset[str]:
    """The roles that are services. With `simulate` the device host is none: its devices are simulated, here."""
    found = {one.run for one in fleet_of(experiment).services.values() if one.run and one.run != AGENT}
    return frozenset(found - {"devices"} if simulate else found)


def is_local(section: FleetSection, node: str, service: ServiceSection) -> bool:
    """Whether a service on this node reaches what listens on loopback of this computer."""
    one = section.nodes[node]
    if one.address not in _LOOPBACK:
        return False
    if one.engine in ("docker", "podman"):
        return one.url.startswith(UNIX) and service.network == "host"
    return one.engine == "process" or bool(one.address)


def is_here(section: FleetSection, node: str) -> bool:
    """Whether it has the files of this computer: the description and the data folder."""
    return section.nodes[node].engine == "process"


def run_problems(experiment: Experiment) -> Iterator[Problem]:
    """Mistakes in services with `run` that other sections show, with paths below `fleet`."""
    section = fleet_of(experiment)
    systems = experiment.section(RunsSection).systems
    taken: dict[str, str] = {}
    names = dict.fromkeys(section.services)
    for name, service in section.services.items():
        here = ("services", name)
        for index, pattern in enumerate(service.systems if service.run == AGENT else ()):
            if not any(fnmatchcase(system, pattern) for system in systems):
                yield (*here, "systems", index), f"there is no system {pattern}{did_you_mean(pattern, systems)}"
        for system in systems_of(experiment, service):
            if (other := taken.setdefault(system, name)) != name:
                yield (*here, "systems"), f"{other} runs the agent of {system} already: a system has one"
            if isinstance(systems[system].agent, NoAgent) and not service.command:
                yield (*here, "command"), f"{system} has an agent of its own: give its command"
            if (made := f"{name}-{system}") in names:
                yield here, f"the agent of {system} would be a service {made}, and there is one of that name"
        if service.run:
            yield from _out_of_reach(experiment, section, name, service)


def _out_of_reach(
    experiment: Experiment, section: FleetSection, name: str, service: ServiceSection
) -> Iterator[Problem]:
    placed: Sequence[str] = section.placed(service)
    far = [node for node in placed if not is_local(section, node, service)]
    bus = experiment.bus
    if bus.url and (own := [key for key in ("creds_file", "nkey_file", "tls_certificate") if getattr(bus, key)]):
        yield (
            ("services", name),
            f"its login would need the file of bus.{own[0]} on its node: give users_file, or user and password",
        )
    if far and not bus.url and not bus.listen:
        yield (
            ("services", name),
            f"on {far[0]} it cannot reach the bus, which listens on loopback of this computer alone: give bus.listen, "
            "or bus.url, the servers of the site" + (", or network: host" if _could_be_local(section, far[0]) else ""),
        )
    role = roles().get(service.run)
    elsewhere = [node for node in placed if not is_here(section, node)]
    if role and role.database and elsewhere and not experiment.storage.url.startswith("postgresql"):
        yield (
            ("services", name, "run"),
            f"on {elsewhere[0]} it cannot reach the database, which is a file of this computer: give storage.url with "
            "PostgreSQL",
        )


def _could_be_local(section: FleetSection, node: str) -> bool:
    one = section.nodes[node]
    return one.engine in ("docker", "podman") and one.url.startswith(UNIX)
