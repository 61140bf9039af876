"""The services of the fleet that are processes of countingroom: command, environment and login of each.

A process gets all that it needs in its environment: what of the description it reads, the address of the bus and the
name of its user. Its password is a reference to a file of this computer, whose content the keeper gives to the engine.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.app import bus_users
from countingroom.app.data_folder import FLEET
from countingroom.app.fleet_runs import fleet_of, fleet_roles, is_here, is_local, run_problems, systems_of
from countingroom.bus.login import CA_VARIABLE, PASSWORD_VARIABLE, URL_VARIABLE, USER_VARIABLE
from countingroom.bus.presence import INSTANCE_VARIABLE
from countingroom.bus.server import credentials
from countingroom.core import subjects
from countingroom.core.errors import ConfigurationError
from countingroom.experiment import Experiment, Invalid, Loaded
from countingroom.fleet.description import FleetSection, ServiceSection
from countingroom.fleet.own_programs import AGENT, OwnProgram
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.system import SystemSection

ORDER_VARIABLE = "COUNTINGROOM_SERVICE_ORDER"
DATA_VARIABLE = "COUNTINGROOM_DATA"
_LONGEST = 120_000
"""Characters; Linux takes 131,072 in one variable."""


class ServiceOrder(Struct, frozen=True, kw_only=True):
    """The order that a process of countingroom reads from its environment, as base64 of zlib of JSON."""

    role: str
    systems: tuple[str, ...] = ()
    directory: str = ""
    """Of the description; empty, or where there is none: that in which the process was started."""
    data: str = ""
    """Data folder; empty: one of the account of the process."""
    value: dict[str, Any] = {}
    """What it reads of the description."""


def encoded(order: ServiceOrder) -> str:
    """The text of the variable."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(order, order="sorted"), 9)).decode()


def decoded(text: str) -> ServiceOrder:
    """The order of a text. ConfigurationError where it is none."""
    try:
        return msgspec.json.decode(zlib.decompress(base64.b64decode(text, validate=True)), type=ServiceOrder)
    except (ValueError, zlib.error) as error:
        raise ConfigurationError(
            f"the variable {ORDER_VARIABLE} holds no order: {error or type(error).__name__}",
            source="service",
            suggestion="the fleet starts this command; it is not for use by hand",
        ) from error


class OwnPrograms:
    """Makes the programs of one description."""

    def __init__(self, loaded: Loaded, directory: Path, data: Path, *, simulate: bool) -> None:
        """`directory`: that of the description. `data`: the data folder of this computer."""
        self._loaded = loaded
        self._experiment: Experiment = loaded.experiment
        self._directory = directory.absolute()
        self._data = data.absolute()
        self._roles = fleet_roles(loaded.experiment, simulate=simulate)

    def made(self) -> dict[str, list[OwnProgram]]:
        """Service of the description with `run` -> its programs. ConfigurationError with every mistake."""
        found = [self._loaded.problem(("fleet", *path), text) for path, text in run_problems(self._experiment)]
        if found:
            raise Invalid(found)
        section = fleet_of(self._experiment)
        made: dict[str, list[OwnProgram]] = {}
        for name, service in section.services.items():
            placed = section.placed(service)
            if service.run == AGENT:
                systems = systems_of(self._experiment, service)
                made[name] = [
                    self._agent(section, name, service, system, placed[index % len(placed)])
                    for index, system in enumerate(systems)
                ]
            elif service.run:
                made[name] = [self._role(section, name, service)] if service.run in self._roles else []
        return made

    def _agent(self, section: FleetSection, name: str, service: ServiceSection, system: str, node: str) -> OwnProgram:
        described = self._experiment.section(RunsSection).systems[system]
        user = subjects.agent_user(system)
        environment = self._bus(section, service, [node], user)
        if service.command:
            command = tuple(service.command)
        else:
            command = _command(section, service, [node])
            value = {"runs": {"systems": {system: _of_agent(described)}}}
            environment |= self._order(section, [node], "agents", value, systems=(system,))
        return OwnProgram(
            name=f"{name}-{system}",
            nodes=(node,),
            runs=f"system.{system}",
            title=described.title or service.title,
            command=command,
            environment=environment,
            secrets=self._password(user),
        )

    def _role(self, section: FleetSection, name: str, service: ServiceSection) -> OwnProgram:
        placed = section.placed(service)
        left = {"fleet", "bus", "experiment"}
        value = {key: one for key, one in self._loaded.located.value.items() if key not in left}
        user = service.run
        return OwnProgram(
            name=name,
            nodes=tuple(placed),
            runs=f"role.{service.run}",
            title=service.title,
            command=_command(section, service, placed),
            environment=self._bus(section, service, placed, user)
            | self._order(section, placed, service.run, value, title=self._experiment.experiment.title),
            secrets=self._password(user),
        )

    def _order(
        self,
        section: FleetSection,
        nodes: list[str],
        role: str,
        value: Mapping[str, Any],
        *,
        systems: tuple[str, ...] = (),
        title: str = "",
    ) -> dict[str, str]:
        about = {"name": self._experiment.experiment.name, **({"title": title} if title else {})}
        order = ServiceOrder(
            role=role,
            systems=systems,
            directory=str(self._directory),
            data=str(self._data) if all(is_here(section, node) for node in nodes) else "",
            value={"experiment": about, **value},
        )
        if len(text := encoded(order)) > _LONGEST:
            raise ConfigurationError(
                f"the description is too large to be given to the role {role} as a service: {len(text)} characters",
                source="fleet",
                code="too_large",
                suggestion=f"run it by its command: countingroom serve DESCRIPTION {role}",
            )
        return {ORDER_VARIABLE: text}

    def _bus(self, section: FleetSection, service: ServiceSection, nodes: list[str], user: str) -> dict[str, str]:
        bus = self._experiment.bus
        url, ca = bus.url, bus.tls_ca
        if not url:
            url = credentials.read(credentials.bus_folder(self._data) / credentials.FILE).url
            if bus.listen and not all(is_local(section, node, service) for node in nodes):
                scheme = "nats" if bus.listen.insecure else "tls"
                url = f"{scheme}://{bus.listen.address}:{url.rpartition(':')[2]}"
                ca = self._directory / bus.listen.ca if bus.listen.ca else None
        found = {
            INSTANCE_VARIABLE: "{service}@{node}#{index}",
            URL_VARIABLE: url,
            USER_VARIABLE: bus.user or user,
        }
        return {**found, CA_VARIABLE: _text(ca)} if ca else found

    def _password(self, user: str) -> dict[str, str]:
        """The reference to the password of a user, whose file is written where there is none."""
        bus = self._experiment.bus
        if bus.password_env:
            return {PASSWORD_VARIABLE: f"env:{bus.password_env}"}
        if bus.password_file:
            return {PASSWORD_VARIABLE: f"file:{bus.password_file.absolute()}"}
        if bus.url and not bus.users_file:
            return {}
        password = bus_users.login(bus, {}, self._data, user)().password
        folder = self._data / FLEET / ".logins"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        credentials.write_private(folder / user, f"{password}\n".encode())
        return {PASSWORD_VARIABLE: f"file:{folder / user}"}


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"the authority of the bus cannot be read: {error}",
            source="fleet",
            suggestion="give its file in the section bus",
        ) from error


def _command(section: FleetSection, service: ServiceSection, nodes: list[str]) -> tuple[str, ...]:
    in_container = any(section.nodes[node].engine in ("docker", "podman") for node in nodes)
    python = service.python or ("python3" if in_container else "{python}")
    return (python, "-m", "countingroom", "service")


def _of_agent(system: SystemSection) -> dict[str, Any]:
    """The part of its section that the agent of a system needs. The state table is included, also if the description
    has it in a file, which the node may not have."""
    chart = system.chart
    first = [row for row in chart.rows if row.state == chart.initial]
    rows = [*first, *(row for row in chart.rows if row.state != chart.initial)]
    agent = system.agent
    return {
        "kind": system.kind.value,
        "type": {"table": [[row.state, row.event, row.next] for row in rows], "map": dict(chart.common)},
        "agent": {"kind": agent.kind, **agent.model_dump(mode="json", exclude_defaults=True)},
    }
