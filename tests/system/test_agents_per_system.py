"""With `agents: {process: per_system}` the death of one process takes one system, which comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from countingroom.app.bus_users import of_process
from countingroom.app.processes import Process, processes
from countingroom.experiment import load
from tests.system.running import Running, until, up
from tests.system.test_run_control import ask, partition, systems

NAMES = {"TFC", "DCS", "FLES", "QA", "STS", "MVD"}


def written(folder: Path) -> Path:
    words = ["example", "cbm", "--detectors", "2", "--pause", "0.05", "-o", str(folder)]
    subprocess.run([sys.executable, "-m", "countingroom", *words], check=True, capture_output=True, timeout=60)
    file = folder / "experiment.yaml"
    text = file.read_text()
    assert text.count("\nruns:\n") == 1
    file.write_text(text.replace("\nruns:\n", "\nruns:\n  agents: {process: per_system}\n"))
    return file


def agents(running: Running) -> dict[str, psutil.Process]:
    """System -> the process of its agent."""
    found: dict[str, psutil.Process] = {}
    for one in running.children():
        words = one.cmdline()
        if {"serve", "agents", "--system"} <= set(words):
            found.setdefault(words[words.index("--system") + 1], one)
    return found


def messages(running: Running) -> str:
    """Of the last events, a line each."""
    return "\n".join(event["message"] for event in running.get("/events", limit=100)["events"])


def ready_roles(running: Running) -> list[str]:
    """The names of all roles, once each of them is ready; else none."""
    answer = running.http.get("/readyz")
    return [one["role"] for one in answer.json()["roles"]] if answer.status_code == 200 else []


def test_a_process_for_each_system_has_the_bus_user_of_its_system_alone(tmp_path: Path) -> None:
    experiment = load(written(tmp_path))
    found = processes(experiment, ["agents", "runs"])
    assert set(found) == {*(f"agents-{name}" for name in NAMES), "runs"}
    assert of_process(experiment, found["agents-STS"]) == ["agents", "agent-STS"]
    shared = of_process(experiment, Process(name="agents", role="agents"))
    assert len(shared) == 1 + len(NAMES)


def test_a_killed_agent_process_takes_one_system_and_comes_back(tmp_path: Path) -> None:
    with up(written(tmp_path / "cbm"), tmp_path / "data") as running:
        until(lambda: partition(running)["refusals"]["goal"] is None, "the partition is owned and looks no more")
        until(lambda: set(agents(running)) == NAMES, "each system has a process")
        before = agents(running)
        ask(running, "configure_all")
        until(lambda: partition(running)["state"] == "QA_Active", "it is configured")
        roles = until(lambda: ready_roles(running), "all roles are ready")
        assert {role for role in roles if role.startswith("agents")} == {f"agents-{name}" for name in NAMES}
        boots = {name: one["boot"] for name, one in systems(running).items()}
        before["MVD"].send_signal(signal.SIGKILL)
        until(lambda: agents(running)["MVD"].pid != before["MVD"].pid, "its process is started again")
        until(lambda: systems(running)["MVD"]["boot"] != boots["MVD"], "its agent serves again")
        until(lambda: "agents-MVD was ended by SIGKILL" in messages(running), "its end is told")
        after = agents(running)
        assert {name: one.pid for name, one in after.items() if name != "MVD"} == {
            name: one.pid for name, one in before.items() if name != "MVD"
        }
        again = {name for name, one in systems(running).items() if one["boot"] != boots[name]}
        assert again == {"MVD"}  # the other agents noticed nothing
        until(lambda: running.http.get("/readyz").status_code == 200, "all are ready again")
