"""Agents as services of the fleet: programs, also by ssh, jobs of Slurm, a container. Run control configures with them;
the death of one takes one system, that of a whole host the systems on it, and all come back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.container_engines import IMAGE, EngineServer, docker_server, make_certificates
from tests.slurm_server import SlurmServer, slurm_server
from tests.ssh_node import SshServer, ssh_server
from tests.system.running import Running, until, up
from tests.system.test_fleet_up import fleet
from tests.system.test_run_control import ask, partition
from tests.warm_python import run

pytestmark = pytest.mark.server

FLEET = """
bus: {{listen: {{address: 127.0.0.1, certificate: tls/server.pem, key: tls/server.key, ca: tls/ca.pem}}}}
fleet:
  nodes:
    n1: {{}}
    box: {{engine: docker, url: "{docker}"}}
    farm: {{engine: slurm, slurm: {{conf: {slurm}, folder: {jobs}}}}}
    daq: {{engine: ssh, address: 127.0.0.1, ssh: {ssh}}}
  services:
    agents: {{run: agent, systems: [MVD], nodes: [n1], update: {{healthy_for: 0.2 s}}}}
    remote: {{run: agent, systems: [FLES], nodes: [daq], update: {{healthy_for: 0.2 s}}}}
    batch: {{run: agent, systems: [DCS], nodes: [farm], update: {{healthy_for: 0.2 s}}}}
    boxed:
      run: agent
      systems: [STS]
      nodes: [box]
      image: {image}
      network: host
      python: {python}
      volumes: {volumes}
      update: {{healthy_for: 0.2 s}}
      grace: 2 s
"""
SERVICES = {"MVD": "agents-MVD", "FLES": "remote-FLES", "DCS": "batch-DCS", "STS": "boxed-STS"}


def bound_folders() -> list[dict[str, Any]]:
    """The folders of this computer that its Python and countingroom need, as volumes of a container."""
    found = {"/usr", "/lib", "/lib64", "/etc", sys.base_prefix, sys.prefix, str(Path(__file__).parents[2])}
    return [{"source": one, "target": one, "read_only": True} for one in sorted(found) if Path(one).is_dir()]


def states(running: Running) -> dict[str, str]:
    """System -> what the partition shows of it."""
    return {one["system"]: one["seen"] for one in partition(running)["members"]}


def lost(running: Running) -> set[str]:
    return {system for system, state in states(running).items() if state == "Connection Problem"}


def instance(running: Running, service: str) -> dict[str, Any]:
    return running.get(f"/services/{service}")["instances"][0]


class Stage:
    """An experiment whose agents run on four kinds of nodes, and what these nodes are."""

    def __init__(
        self, running: Running, docker: EngineServer, sshd: SshServer, daq: Path, cluster: SlurmServer
    ) -> None:
        self.running = running
        self.docker = docker
        self.sshd = sshd
        self.daq = daq
        """The folder of the node with ssh."""
        self.cluster = cluster

    def kill(self, service: str) -> None:
        """End the process of a service with SIGKILL, as its node does it."""
        id: str = instance(self.running, service)["engine_id"]
        if service.startswith("batch"):
            self.cluster.client("scancel", "--full", "--signal=KILL", id)
        elif service.startswith("boxed"):
            os.kill(int(self.docker.client("inspect", "-f", "{{.State.Pid}}", id)), signal.SIGKILL)
        else:
            os.kill(int(id), signal.SIGKILL)

    def are_back(self) -> None:
        """Wait until the fleet has started all agents again, and knows it."""
        until(lambda: not lost(self.running), "the fleet starts them again")
        for service in SERVICES.values():
            until(lambda one=service: instance(self.running, one)["health"] == "healthy", f"{service} is on the bus")


@pytest.fixture(scope="module")
def stage(needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fleet")
    run("example", "cbm", "--detectors", "2", "--pause", "0.05", "-o", str(folder / "cbm")).check_returncode()
    file = folder / "cbm" / "experiment.yaml"
    (folder / "cbm" / "tls").mkdir()
    make_certificates(folder / "cbm" / "tls")
    with docker_server(needs) as docker, ssh_server(needs) as sshd, slurm_server(needs) as cluster:
        reach = sshd.reach(folder / "daq")
        ssh = {name: getattr(reach, name) for name in ("user", "port", "key", "agent", "host_key", "folder")}
        words = {
            "docker": docker.unix.url,
            "ssh": {**ssh, "python": sys.executable},
            "slurm": cluster.conf,
            "jobs": folder / "jobs",
            "image": IMAGE,
            "python": sys.executable,
            "volumes": bound_folders(),
        }
        file.write_text(file.read_text() + FLEET.format(**words))
        with up(file, folder / "data") as running:
            until(lambda: (seen := running.get("/fleet"))["nodes_reachable"] == seen["nodes"], "all nodes answer")
            status, said = fleet(running, "apply", "--yes")
            assert (status, "Done." in said) == (0, True), said
            until(lambda: partition(running)["refusals"]["goal"] is None, "the partition is owned and looks no more")
            yield Stage(running, docker, sshd, folder / "daq", cluster)
            for service in SERVICES.values():
                assert fleet(running, "disable", service, "--reason", "end")[0] == 0
            until(lambda: not docker.client("ps", "-q"), "the end of all")


def configured(running: Running) -> None:
    ask(running, "configure_all")
    until(lambda: partition(running)["state"] == "QA_Active", "it is configured")
    assert set(states(running).values()) == {"Active"}


def test_a_killed_agent_of_the_fleet_takes_one_system_and_comes_back(stage: Stage) -> None:
    running = stage.running
    configured(running)
    killed: set[str] = set()
    for system, service in SERVICES.items():
        assert running.get(f"/services/{service}")["runs"] == f"system.{system}"
        stage.kill(service)
        killed.add(system)
        until(lambda one=system: one in lost(running), "it is missed")
        assert lost(running) <= killed
    stage.are_back()


def test_a_killed_host_takes_its_systems_and_no_other_and_they_come_back_with_it(stage: Stage) -> None:
    running = stage.running
    configured(running)
    host = instance(running, "batch-DCS")["host"]
    hosts: dict[str, tuple[str, Callable[[], None], Callable[[], None]]] = {
        "STS": ("box", stage.docker.kill, stage.docker.host.start),
        "FLES": ("daq", lambda: stage.sshd.kill(stage.daq), stage.sshd.host.start),
        "DCS": ("farm", lambda: stage.cluster.kill(host), lambda: stage.cluster.start(host)),
    }
    before = {service: instance(running, service)["engine_id"] for service in SERVICES.values()}
    killed: set[str] = set()
    for system, (node, kill, _) in hosts.items():
        kill()
        killed.add(system)
        until(lambda all=killed: lost(running) == all, f"{node} is missed, and no other")
        (member,) = [one for one in partition(running)["members"] if one["system"] == system]
        assert f"the agent of {system} on {node} (host " in member["cause"]["message"], member
        assert member["cause"]["evidence"]["node"] == node
        if node != "farm":  # of a cluster the controller answers on
            until(lambda one=node: not running.get(f"/nodes/{one}")["is_reachable"], f"{node} is lost")
    assert set(states(running).values()) == {"Active", "Connection Problem"}
    for _, _, start in hosts.values():
        start()
    stage.are_back()
    assert running.get("/fleet")["nodes_reachable"] == 4
    after = {service: instance(running, service)["engine_id"] for service in SERVICES.values()}
    same = {service for service in after if after[service] == before[service]}
    assert same - {"boxed-STS"} == {"agents-MVD"}  # a container has its id still
    configured(running)
