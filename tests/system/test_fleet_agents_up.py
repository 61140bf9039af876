"""Agents as services of the fleet: programs, also by ssh, jobs of Slurm, a container. Run control configures with them;
the death of one takes one system, and it comes back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.container_engines import IMAGE, EngineServer, docker_server, make_certificates
from tests.slurm_server import SlurmServer, slurm_server
from tests.ssh_node import ssh_server
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


def kill(running: Running, service: str, docker: EngineServer, cluster: SlurmServer) -> None:
    """End the process of a service with SIGKILL, as its node does it."""
    id: str = instance(running, service)["engine_id"]
    if service.startswith("batch"):
        cluster.client("scancel", "--full", "--signal=KILL", id)
    elif service.startswith("boxed"):
        os.kill(int(docker.client("inspect", "-f", "{{.State.Pid}}", id)), signal.SIGKILL)
    else:
        os.kill(int(id), signal.SIGKILL)


def test_a_killed_agent_of_the_fleet_takes_one_system_and_comes_back(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    run("example", "cbm", "--detectors", "2", "--pause", "0.05", "-o", str(tmp_path / "cbm")).check_returncode()
    file, data = tmp_path / "cbm" / "experiment.yaml", tmp_path / "data"
    (tmp_path / "cbm" / "tls").mkdir()
    make_certificates(tmp_path / "cbm" / "tls")
    with docker_server(needs) as docker, ssh_server(needs) as sshd, slurm_server(needs) as cluster:
        reach = sshd.reach(tmp_path / "daq")
        ssh = {name: getattr(reach, name) for name in ("user", "port", "key", "agent", "host_key", "folder")}
        words = {
            "docker": docker.unix.url,
            "ssh": {**ssh, "python": sys.executable},
            "slurm": cluster.conf,
            "jobs": tmp_path / "jobs",
            "image": IMAGE,
            "python": sys.executable,
            "volumes": bound_folders(),
        }
        file.write_text(file.read_text() + FLEET.format(**words))
        with up(file, data) as running:
            until(lambda: (seen := running.get("/fleet"))["nodes_reachable"] == seen["nodes"], "all nodes answer")
            status, said = fleet(running, "apply", "--yes")
            assert (status, "Done." in said) == (0, True), said
            until(lambda: partition(running)["refusals"]["goal"] is None, "the partition is owned and looks no more")
            ask(running, "configure_all")
            until(lambda: partition(running)["state"] == "QA_Active", "it is configured")
            assert set(states(running).values()) == {"Active"}

            killed: set[str] = set()
            for system, service in SERVICES.items():
                assert running.get(f"/services/{service}")["runs"] == f"system.{system}"
                kill(running, service, docker, cluster)
                killed.add(system)
                until(lambda one=system: one in lost(running), "it is missed")
                assert lost(running) <= killed
            until(lambda: not lost(running), "the fleet starts them again")
            for service in SERVICES.values():
                until(lambda one=service: instance(running, one)["health"] == "healthy", "it serves on the bus")
            for service in SERVICES.values():
                assert fleet(running, "disable", service, "--reason", "end")[0] == 0
            until(lambda: not docker.client("ps", "-q"), "the end of all")
