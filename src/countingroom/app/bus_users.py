"""The users of the bus: one for each role, and one for the agent of each system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import structs

from countingroom.alarms.description import AlarmsSection
from countingroom.app.fleet_runs import fleet_roles, fleet_systems
from countingroom.app.processes import AGENTS, Process
from countingroom.bus.description import BusSection
from countingroom.bus.login import BusLogin, FindBusLogin, TlsFiles
from countingroom.bus.presence import DEAD_LETTERS
from countingroom.bus.server import credentials
from countingroom.bus.server.permissions import BusUser, granted
from countingroom.core import subjects
from countingroom.core.bus_grants import BusGrants
from countingroom.core.errors import ConfigurationError
from countingroom.departments import ProcessRole, roles
from countingroom.doors.description import DoorsSection
from countingroom.experiment import Experiment
from countingroom.fleet.description import FleetSection
from countingroom.home_assistant.description import HomeAssistantSection
from countingroom.pvs.description import PvsSection
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.agent import SlowControlAgent
from countingroom.runs.sections.system import SystemSection
from countingroom.tracker.description import TrackerSection


def users(experiment: Experiment) -> list[BusUser]:
    """All users with their permissions, beside the supervisor."""
    systems = experiment.section(RunsSection).systems
    own_roles = (_role(role, _commands(experiment, role)) for role in roles().values())
    return [*own_roles, *(_agent(name, system) for name, system in systems.items())]


def of_services(experiment: Experiment) -> frozenset[str]:
    """The users of services of the fleet. Their processes outlive the bus."""
    roles = fleet_roles(experiment, simulate=False)
    return roles | {subjects.agent_user(name) for name in fleet_systems(experiment)}


def _commands(experiment: Experiment, role: ProcessRole) -> list[str]:
    """The commands that a role may send as principals of the description. It may send as no other."""
    match role.name:
        case "alarms":
            names, words = experiment.section(AlarmsSection).principals, ("devices", "runs")
        case "tracker":
            names, words = experiment.section(TrackerSection).principals, ("devices",)
        case "pvs":
            names, words = experiment.section(PvsSection).principals, ("devices",)
        case "doors":
            names = [one.name for one in experiment.section(DoorsSection).principals.values()]
            words = ("fleet",)
        case "fleet":
            nodes = experiment.section(FleetSection).nodes.values()
            devices = {one.power.device for one in nodes if one.power}
            return [subjects.command(role.name, "devices", device) for device in sorted(devices)]
        case "home_assistant":
            names, words = experiment.section(HomeAssistantSection).principals, ("devices",)
        case _:
            return []
    return [subjects.commands_of(name, word) for name in names for word in words]


def _role(role: ProcessRole, commands: Sequence[str]) -> BusUser:
    own = structs.replace(
        role.bus,
        answers=(*role.bus.answers, *(f"command.*.{word}.*" for word in role.commands)),
        sends=(
            *role.bus.sends,
            *commands,
            subjects.presence(role.name, "*"),
            subjects.event(DEAD_LETTERS, role.name),
        ),
    )
    return granted(role.name, own)


def _agent(name: str, system: SystemSection) -> BusUser:
    """The user of one agent: it answers orders and commands for its system, and writes its state.

    It sends no commands, but for the question whether it is the only one. That of slow control commands its device.
    """
    sends = [
        subjects.pulse(name),
        subjects.command(AGENTS, "systems", name),
        # As a service of the fleet it has this user alone.
        subjects.presence(AGENTS, name),
        subjects.event(DEAD_LETTERS, AGENTS),
    ]
    hears: list[str] = []
    if isinstance(system.agent, SlowControlAgent):
        sends.append(subjects.command(AGENTS, "devices", system.agent.device))
        hears.append(subjects.presence("devices", "*"))
    return granted(
        subjects.agent_user(name),
        BusGrants(
            answers=(subjects.agent(name), subjects.commands_to("systems", name)),
            hears=tuple(hears),
            sends=tuple(sends),
            stores=(subjects.event("systems", name),),
            states=(subjects.system_key(name),),
        ),
    )


def of_process(experiment: Experiment, process: Process) -> list[str]:
    """The users that a process needs."""
    systems = experiment.section(RunsSection).systems if process.role == AGENTS else ()
    return [process.role, *map(subjects.agent_user, (process.system,) if process.system else systems)]


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
    if section.users_file:
        file, tls = section.users_file, _tls(section)
        return lambda: structs.replace(credentials.read(file).login(user), tls=tls)
    if section.url or section.user:
        return lambda: BusLogin(
            user=section.user,
            password=section.password(),
            creds_file=str(section.creds_file or ""),
            nkey_file=str(section.nkey_file or ""),
            tls=_tls(section),
        )
    if passwords:
        return credentials.given(passwords, user)
    if is_embedded(section, data):
        return credentials.of_running(data, user)[1]
    return BusLogin  # a server that is not ours, without login, given by --bus


def _tls(section: BusSection) -> TlsFiles | None:
    files = [str(file or "") for file in (section.tls_ca, section.tls_certificate, section.tls_key)]
    return TlsFiles(ca=files[0], certificate=files[1], key=files[2]) if any(files) else None


def is_embedded(section: BusSection, data: Path) -> bool:
    """Whether `countingroom up` runs, or ran, the embedded server on this data folder."""
    return not section.url and (credentials.bus_folder(data) / credentials.FILE).exists()
