"""Agents and roles as services of the fleet: what is made of a description, and what `up` leaves to the fleet."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from countingroom.app import bus_users, service_process
from countingroom.app.fleet_programs import ORDER_VARIABLE, OwnPrograms, decoded
from countingroom.app.fleet_runs import run_problems
from countingroom.app.processes import processes
from countingroom.app.reload.described import content_of
from countingroom.app.roles import needed_roles
from countingroom.bus.login import CA_VARIABLE, PASSWORD_VARIABLE, URL_VARIABLE, USER_VARIABLE, TlsFiles
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.presence import heartbeat
from countingroom.bus.server import credentials
from countingroom.bus.streams import prepare
from countingroom.core.errors import ConfigurationError
from countingroom.core.fleet.specs import InstanceId, WantedService
from countingroom.core.reload.content import ReloadContent
from countingroom.core.reload.plan import Entails, plan
from countingroom.core.systems import SystemKind
from countingroom.experiment import Invalid, Loaded, load_with_problems
from countingroom.fleet.description import FleetSection
from countingroom.fleet.presence import ServicePresence
from countingroom.fleet.wanted import wanted
from countingroom.runs.agents import standalone
from countingroom.runs.agents.agent import AgentRunner
from countingroom.runs.agents.port import System
from countingroom.runs.description import RunsSection
from countingroom.runs.sections.system import plain_chart
from countingroom.testing.clock import FakeClock

DESCRIPTION = """
experiment: {{name: cbm, title: CBM}}
{more}
runs:
  systems:
    TFC: {{kind: global}}
    STS: {{type: {{table: sts.csv, map: map.csv}}, agent: {{kind: script, configure: [[up, "{{hv}}"]]}}}}
    MVD: {{title: Vertex}}
    BEAM: {{agent: {{kind: none}}}}
fleet:
  nodes:
    n1: {{}}
    n2: {{}}
    far: {{engine: docker, url: "tcp://far:2376", insecure: true}}
    box: {{engine: docker, url: "unix:///run/docker.sock"}}
  services:
{services}
"""
AGENTS = "    agents: {run: agent, systems: [STS, MVD, TFC], nodes: [n1, n2]}"


def described(folder: Path, services: str = AGENTS, more: str = "") -> Loaded:
    (folder / "sts.csv").write_text("Off,configure,Ramp\nRamp,success,On\nRamp,error,Off\nOn,abort,Off\n")
    (folder / "map.csv").write_text("Off,Unconfigured\nRamp,Configuring\nOn,Active\n")
    file = folder / "experiment.yaml"
    file.write_text(DESCRIPTION.format(services=services, more=more))
    return load_with_problems(file)


def running_bus(folder: Path) -> Path:
    """The data folder of an experiment whose bus runs."""
    data = folder / "data"
    (data / "bus").mkdir(parents=True)
    users = ["devices", *(f"agent-{name}" for name in ("TFC", "STS", "MVD", "BEAM"))]
    credentials.write(data / "bus", credentials.new("nats://127.0.0.1:4222", users))
    return data


def services_of(loaded: Loaded, folder: Path, *, simulate: bool = False) -> dict[str, WantedService]:
    made = OwnPrograms(loaded, folder, running_bus(folder), simulate=simulate).made()
    section = loaded.experiment.section(FleetSection)
    return {one.name: one for one in wanted(section, made).services}


def test_each_agent_is_a_service_of_its_own_spread_over_the_nodes(tmp_path: Path) -> None:
    found = services_of(described(tmp_path), tmp_path)
    assert {name: (one.nodes, one.runs) for name, one in found.items()} == {
        "agents-STS": (("n1",), "system.STS"),
        "agents-MVD": (("n2",), "system.MVD"),
        "agents-TFC": (("n1",), "system.TFC"),
    }
    spec = found["agents-STS"].spec
    assert spec.command == ("{python}", "-m", "countingroom", "service")
    assert spec.health.kind == "presence"
    place = spec.secrets[PASSWORD_VARIABLE].removeprefix("file:")
    password = Path(place).read_text().strip()
    assert password and Path(place).stat().st_mode & 0o77 == 0
    assert password not in str(spec)


def test_an_agent_needs_no_file_of_the_description(tmp_path: Path) -> None:
    spec = services_of(described(tmp_path), tmp_path)["agents-STS"].spec
    for name in ("sts.csv", "map.csv", "experiment.yaml"):
        (tmp_path / name).unlink()
    task = service_process.task_of({**spec.environment, PASSWORD_VARIABLE: "rosebud"})
    (system,) = task.experiment.section(RunsSection).systems.values()
    assert (task.roles, task.systems, task.bus_url) == (("agents",), ("STS",), "nats://127.0.0.1:4222")
    assert system.chart.initial == "Off" and system.chart.to_common("On") == "Active"
    assert system.agent.model_dump()["configure"] == [["up", "{hv}"]]
    assert task.service and (task.service.user, task.service.password) == ("agent-STS", "rosebud")


def test_up_leaves_to_the_fleet_what_is_a_service(tmp_path: Path) -> None:
    services = AGENTS + "\n    hosts: {run: devices, nodes: [n1]}"
    experiment = described(tmp_path, services).experiment
    needed = needed_roles(experiment, simulate=False)
    assert "devices" not in needed and "agents" not in processes(experiment, needed)
    assert "devices" in needed_roles(experiment, simulate=True)
    assert bus_users.of_services(experiment) == {"devices", "agent-STS", "agent-MVD", "agent-TFC"}
    some = described(tmp_path, AGENTS.replace("[STS, MVD, TFC]", "[MVD]")).experiment
    assert "agents" in processes(some, needed_roles(some, simulate=False))


def test_a_role_gets_the_whole_description_without_the_fleet(tmp_path: Path) -> None:
    services = "    hosts: {run: devices, nodes: [n1]}"
    loaded = described(tmp_path, services)
    one = services_of(loaded, tmp_path)["hosts"]
    order = decoded(one.spec.environment[ORDER_VARIABLE])
    assert one.runs == "role.devices" and order.role == "devices"
    assert {"experiment", "runs"} == order.value.keys()
    assert one.spec.environment[USER_VARIABLE] == "devices"
    again = OwnPrograms(loaded, tmp_path, tmp_path / "data", simulate=True).made()
    assert again == {"hosts": []}  # the devices of a simulated experiment are not touched


def test_an_agent_of_ones_own_gets_the_bus_by_its_environment(tmp_path: Path) -> None:
    services = "    beam: {run: agent, systems: [BEAM], command: [beam.py], nodes: [n2]}"
    spec = services_of(described(tmp_path, services), tmp_path)["beam-BEAM"].spec
    assert spec.command == ("beam.py",) and ORDER_VARIABLE not in spec.environment
    assert spec.environment[URL_VARIABLE] == "nats://127.0.0.1:4222"
    assert spec.environment[USER_VARIABLE] == "agent-BEAM" and PASSWORD_VARIABLE in spec.secrets


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ("    a: {run: agent, nodes: [n1]}", "say which agents it runs"),
        ("    a: {run: agent, systems: [STX], nodes: [n1]}", "no system STX; did you mean STS?"),
        ("    a: {run: agent, systems: [BEAM], nodes: [n1]}", "BEAM has an agent of its own: give its command"),
        ("    a: {run: agent, systems: [STS], nodes: [n1], copies: 2}", "a system has one agent"),
        ("    a: {run: device, nodes: [n1]}", "there is no role device; did you mean devices?"),
        ("    a: {run: console, nodes: [n1]}", "`up` runs it always"),
        ("    a: {run: devices, nodes: [n1], command: [x]}", "is made by countingroom"),
        ("    a: {systems: [STS], command: [x], nodes: [n1]}", "they are for run: agent"),
        ("    a: {python: p, command: [x], nodes: [n1]}", "it is for services with run"),
        (AGENTS + "\n    b: {run: agent, systems: ['*S'], nodes: [n1]}", "runs the agent of STS already"),
        (AGENTS + "\n    agents-STS: {command: [x], nodes: [n1]}", "there is one of that name"),
        ("    a: {run: agent, systems: [STS], nodes: [far], image: x}", "cannot reach the bus"),
        ("    a: {run: agent, systems: [STS], nodes: [box], image: x}", "or network: host"),
        ("    a: {run: alarms, nodes: [far], image: x}", "cannot reach the database"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, services: str, said: str) -> None:
    loaded = described(tmp_path, services)
    found = [one.message for one in loaded.problems]
    found += [text for _, text in run_problems(loaded.experiment)]
    assert any(said in one for one in found), found


def test_a_mistake_refuses_the_plan_with_its_line(tmp_path: Path) -> None:
    loaded = described(tmp_path, "    a: {run: agent, systems: [STX], nodes: [n1]}")
    with pytest.raises(Invalid, match="there is no system STX"):
        OwnPrograms(loaded, tmp_path, running_bus(tmp_path), simulate=False).made()


def test_containers_of_this_computer_reach_the_bus_by_its_network(tmp_path: Path) -> None:
    services = "    a: {run: agent, systems: [STS], nodes: [box], image: x, network: host}"
    loaded = described(tmp_path, services)
    assert not [*loaded.problems, *run_problems(loaded.experiment)]
    spec = services_of(loaded, tmp_path)["a-STS"].spec
    assert spec.command[0] == "python3"
    assert decoded(spec.environment[ORDER_VARIABLE]).data == ""
    site = described(tmp_path, services.replace("network: host", ""), "bus: {url: 'nats://daq:4222', user: house}")
    assert not [*site.problems, *run_problems(site.experiment)]


def test_other_computers_reach_the_bus_where_it_listens(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("the authority")
    files = "certificate: bus.pem, key: bus.key, ca: ca.pem"
    services = "    a: {run: agent, systems: [STS], nodes: [far], image: x}\n" + AGENTS.replace("STS, ", "")
    loaded = described(tmp_path, services, f"bus: {{listen: {{address: daq1, {files}}}}}")
    assert not [*loaded.problems, *run_problems(loaded.experiment)]
    found = services_of(loaded, tmp_path)
    far, near = found["a-STS"].spec.environment, found["agents-MVD"].spec.environment
    assert (far[URL_VARIABLE], far[CA_VARIABLE]) == ("tls://daq1:4222", "the authority")
    assert near[URL_VARIABLE] == "nats://127.0.0.1:4222" and CA_VARIABLE not in near
    task = service_process.task_of(far)
    assert task.service and task.service.tls == TlsFiles(authority="the authority")


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("address: daq1", "give certificate, key and ca"),
        ("address: daq1, certificate: c, key: k", "give certificate, key and ca"),
        ("address: daq1, certificate: c, key: k, ca: a, insecure: true", "leave insecure out"),
        ("address: daq1, insecure: true", "go over the network as they are"),
    ],
)
def test_a_bus_that_listens_without_tls_is_told(tmp_path: Path, listen: str, said: str) -> None:
    loaded = described(tmp_path, more=f"bus: {{listen: {{{listen}}}}}")
    assert any(said in one.message for one in (*loaded.problems, *loaded.warnings))


def test_a_reload_disturbs_no_more_than_it_must(tmp_path: Path) -> None:
    writer = "    writer: {{command: [sh], nodes: [n1], title: {title}}}"
    some = "    agents: {{run: agent, systems: [{system}], nodes: [n1]}}\n" + writer

    def content(system: str = "MVD", title: str = "one", node: str = "n2: {}") -> ReloadContent:
        services = some.format(system=system, title=title)
        loaded = described(tmp_path, services, f"x-{system}: 1")
        file = tmp_path / "experiment.yaml"
        file.write_text(file.read_text().replace("n2: {}", node))
        loaded = load_with_problems(file)
        assert not loaded.problems
        return content_of(loaded.experiment, simulate=False)

    before = content()
    assert plan(before, content(title="two")).restarts == {}
    assert set(plan(before, content(system="STS")).restarts) == {"agents"}
    assert set(plan(before, content(node="n2: {category: daq}")).restarts) == {"fleet"}
    all_of_them = plan(before, content(system="MVD, STS, TFC"))  # then `up` has no process of agents any more
    assert [one.entails for one in all_of_them.changes if one.path == "the processes"] == [Entails.UP]


def test_passwords_of_services_outlive_the_bus(tmp_path: Path) -> None:
    first = credentials.new("nats://h:1", ["supervisor", "agent-STS", "agent-MVD"])
    credentials.write(tmp_path, first)
    again = credentials.new("nats://h:1", first.passwords, credentials.kept(tmp_path, {"agent-STS", "agent-NEW"}))
    kept = {name for name, one in again.passwords.items() if one == first.passwords[name]}
    assert kept == {"agent-STS"}
    assert credentials.kept(tmp_path / "none", {"agent-STS"}) == {}


@pytest.mark.parametrize("text", ["", "no base64", "AAAA"])
def test_a_service_by_hand_is_refused_with_its_reason(text: str) -> None:
    environment: dict[str, Any] = {ORDER_VARIABLE: text} if text else {}
    with pytest.raises(ConfigurationError, match=r"holds no order|is not set"):
        service_process.task_of(environment)


async def test_a_service_is_present_while_its_heartbeats_come(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    presence = ServicePresence(bus.client(), clock)
    one, other = InstanceId("agents-STS", "n1"), InstanceId("agents-STS", "n2")
    hearing = asyncio.create_task(presence.run())
    assert presence.absent(one) is None
    await clock.advance(4.0)
    assert presence.absent(one) == "it is not on the bus"
    monkeypatch.setenv("COUNTINGROOM_SERVICE_INSTANCE", "agents-STS@n1#0")
    beating = asyncio.create_task(heartbeat(bus.client(), clock, role="agents", instance="STS", boot="b"))
    await clock.advance(2.0)
    assert presence.absent(one) == "" and presence.absent(other)
    beating.cancel()
    ill = heartbeat(
        bus.client(), clock, role="agents", instance="STS", boot="b", troubles=lambda: ["STS does not serve yet"]
    )
    await clock.advance(0.1)
    beating = asyncio.create_task(ill)
    await clock.advance(1.0)
    assert presence.absent(one) == "STS does not serve yet"
    beating.cancel()
    await clock.advance(0.1)
    assert presence.absent(one) == "it is not on the bus"
    hearing.cancel()


async def test_an_agent_of_ones_own_is_present_as_the_service_that_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    presence = ServicePresence(bus.client(), clock)
    hearing = asyncio.create_task(presence.run())
    monkeypatch.setenv("COUNTINGROOM_SERVICE_INSTANCE", "beam-BEAM@n1#0")
    agent = AgentRunner(bus.client(), clock, "BEAM", SystemKind.DETECTOR, plain_chart(), System, boot="b")
    running = asyncio.create_task(standalone.serve_agent(bus.client(), clock, agent, "b"))
    await clock.advance(5.0)
    assert presence.absent(InstanceId("beam-BEAM", "n1")) == "" and agent.serves
    for task in (running, hearing):
        task.cancel()
    await clock.advance(1.0)
    await asyncio.wait([running, hearing])
