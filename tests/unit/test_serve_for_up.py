"""The children of `up` begin their role without Typer, whose objects each would keep in memory of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from countingroom import experiment
from countingroom.app.processes import Process
from countingroom.app.up import StartPlan, serve_arguments
from countingroom.cli.serve import serve_for_up

DEMO = Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml"
REPORT = """
import sys, typer.main
from countingroom.app import serve
from countingroom.cli.main import run

typer.main.get_command = lambda app: sys.exit("by Typer")
serve.run_as_child = lambda task: print(task.roles, task.bus_url, task.data, task.port, task.systems)
sys.exit(run())
"""


@pytest.mark.server
def test_the_arguments_that_up_gives_start_the_role_without_typer() -> None:
    plan = StartPlan(description=DEMO, experiment=experiment.load(DEMO), simulate=True, port=0, data=Path("/nowhere"))
    words = serve_arguments(plan, Process(name="devices", role="devices"), "nats://127.0.0.1:4222", 8081)
    found = subprocess.run(
        [sys.executable, "-c", REPORT, "serve", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stdout == "('devices',) nats://127.0.0.1:4222 /nowhere 8081 ()\n", found.stderr
    assert found.returncode == 0


@pytest.mark.server
def test_the_process_of_one_system_is_started_without_typer() -> None:
    plan = StartPlan(description=DEMO, experiment=experiment.load(DEMO), simulate=True, port=0, data=Path("/nowhere"))
    words = serve_arguments(plan, Process(name="agents-STS", role="agents", system="STS"), "nats://a", 0)
    found = subprocess.run(
        [sys.executable, "-c", REPORT, "serve", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.stdout == "('agents',) nats://a /nowhere 0 ('STS',)\n", found.stderr


def test_other_arguments_are_left_to_typer() -> None:
    assert not serve_for_up([str(DEMO), "devices", "--bus", "nats://127.0.0.1:4222"])
    assert not serve_for_up([str(DEMO), "devices", "history", "--supervised"])
    assert not serve_for_up(["--help"])
