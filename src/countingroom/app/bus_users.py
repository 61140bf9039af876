"""The users of the bus: one for each role, and one for the agent of each system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from countingroom.bus.description import BusSection
from countingroom.bus.login import BusLogin, FindBusLogin
from countingroom.bus.server import credentials
from countingroom.core import subjects
from countingroom.core.errors import ConfigurationError
from countingroom.departments import roles
from countingroom.experiment import Experiment
from countingroom.runs.description import RunsSection

AGENTS = "agents"
"""The role whose process has a connection for each system."""


def names(experiment: Experiment) -> list[str]:
    """All users, beside the supervisor."""
    return [*roles(), *map(subjects.agent_user, experiment.section(RunsSection).systems)]


def of_role(experiment: Experiment, role: str) -> list[str]:
    """The users that the process of a role needs."""
    systems = experiment.section(RunsSection).systems if role == AGENTS else ()
    return [role, *map(subjects.agent_user, systems)]


def of_roles(served: Sequence[str]) -> str:
    """The user of a process that serves several roles, with one connection for all."""
    return served[0] if len(served) == 1 else credentials.SUPERVISOR


def of_connection(name: str, served: Sequence[str]) -> str:
    """The user of a further connection that a role opens under this name."""
    system = subjects.connection_system(name)
    return subjects.agent_user(system) if system else of_roles(served)


def url(section: BusSection, data: Path) -> str:
    """The URL of the description, or that of the embedded server on the data folder."""
    if section.url:
        return section.url
    try:
        return credentials.read(credentials.bus_folder(data) / credentials.FILE).url
    except ConfigurationError as error:
        raise ConfigurationError(
            "no bus is given",
            source="serve",
            suggestion="start it with `countingroom up` and the same data folder, give --bus nats://HOST:PORT, or "
            "write bus.url in the description",
            causes=(error.cause,),
        ) from error


def login(section: BusSection, passwords: Mapping[str, str], data: Path, user: str) -> FindBusLogin:
    """The login of a user: the one of the description where there is one; on the embedded server the password from the
    parent, or the one in the data folder."""
    if section.url or section.user:
        return lambda: BusLogin(user=section.user, password=section.password())
    if passwords:
        return credentials.given(passwords, user)
    if is_embedded(section, data):
        return credentials.of_running(data, user)[1]
    return BusLogin  # a server of somebody else without login, given by --bus


def is_embedded(section: BusSection, data: Path) -> bool:
    """Whether `countingroom up` runs, or ran, the embedded server on this data folder."""
    return not section.url and (credentials.bus_folder(data) / credentials.FILE).exists()
