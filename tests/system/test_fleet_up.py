"""The fleet of a whole experiment: a revision is applied, a bad one rolled back, and services outlive processes."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil

from countingroom.cli import fleet_logs
from tests import warm_python
from tests.container_engines import free_port
from tests.system.running import Running, until, up

DESCRIPTION = """
experiment: {{name: bench}}
fleet:
  nodes: {{n1: {{}}, n2: {{}}}}
  services:
    writer:
      command: [sh, -c, "echo writing as $ACTOR; exec sleep {seconds}"]
      environment: {{ACTOR: "writer-{{node}}"}}
      nodes: ["*"]
      update: {{healthy_for: 0.2 s}}
      health: {{exec: [sh, -c, "test {seconds} = 600 || test $ACTOR = writer-n1"], interval: 0.2 s, failures: 1}}
      start_period: 0 s
"""
CAMERA = """
    camera:
      command: ["{{python}}", -m, countingroom.simulators.camera, --port, "{port}", --folder, images, --size, "16"]
      environment: {{ACTOR_NAME: "{{node}}"}}
      nodes: [n1]
      actor: {{port: {port}}}
      health: {{actor: ping}}
      update: {{healthy_for: 0.2 s}}
"""


def fleet(running: Running, *words: str) -> tuple[int, str]:
    """(exit status, what `countingroom fleet ...` wrote)."""
    made = warm_python.run("fleet", *words, environment={"COUNTINGROOM_URL": running.url})
    return made.returncode, made.stdout + made.stderr


def services(running: Running) -> dict[str, Any]:
    return {one["node"]: one for one in running.get("/services/writer")["instances"]}


def pids(running: Running) -> set[str]:
    """The programs of the instances that run."""
    return {one["engine_id"] for one in services(running).values() if one["health"] == "healthy"}


def test_services_are_applied_rolled_back_and_outlive_keeper_and_experiment(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION.format(seconds=600))
    data = tmp_path / "data"
    with up(file, data) as running:
        status, said = fleet(running, "plan")
        assert status == 3 and "2 changes" in said
        status, said = fleet(running, "apply", "--yes", "--comment", "first")
        assert (status, "Done." in said) == (0, True), said
        assert "writing as writer-n2" in fleet(running, "logs", "writer@n2")[1]
        followed = fleet_logs._followed(running.url, [("writer", "n1", 0)], 5, 0)  # pyright: ignore[reportPrivateUsage]
        assert [line["text"] for line in next(followed)] == ["writing as writer-n1"]
        followed.close()
        first = pids(running)

        file.write_text(DESCRIPTION.format(seconds=500))  # its check fails on n2
        status, said = fleet(running, "apply", "--yes")
        assert status == 1 and "going back to r1" in said and "writer@n2 failed its health check" in said, said
        state = running.get("/services/writer")
        assert (state["phase"], state["target"], state["revision"], state["healthy"]) == ("rolled_back", 2, 1, 2)
        kept = pids(running)
        assert len(kept) == 2 and kept != first

        file.write_text("fleet: {nodes: 7}")
        status, said = fleet(running, "plan")
        assert status != 0 and "nodes" in said and pids(running) == kept
        file.write_text(DESCRIPTION.format(seconds=600))

        running.role("fleet").kill()
        until(lambda: fleet(running, "cordon", "n1", "--reason", "fan")[0] == 0, "a keeper that takes over")
        until(lambda: pids(running) == kept, "the new keeper sees the services that ran on")
    assert all(psutil.pid_exists(int(pid)) for pid in kept)
    with up(file, data) as running:
        until(lambda: pids(running) == kept, "the services that ran on are seen")
        assert running.get("/nodes/n1")["cordon"]["reason"] == "fan"
        assert fleet(running, "uncordon", "n1")[0] == 0
        file.write_text(DESCRIPTION.format(seconds=600) + CAMERA.format(port=free_port()))
        _talk(running, tmp_path / "images")
        assert fleet(running, "disable", "writer", "--reason", "end")[0] == 0
        until(lambda: not any(psutil.pid_exists(int(pid)) for pid in kept), "the end of all instances")


def _stop_a_talk(running: Running) -> None:
    """Ctrl-C, while the camera hangs."""
    assert fleet(running, "talk", "abort")[0] == 0  # of the exposure before, so that another one can hang
    words = ("fleet", "talk", "--deadline", "60", "expose 0")
    with warm_python.start(words, stdout=subprocess.PIPE, environment={"COUNTINGROOM_URL": running.url}) as talking:
        until(lambda: not running.get("/fleet/talks")["talks"][0]["is_over"], "it runs")
        talking.send_signal(signal.SIGINT)
        said = talking.stdout.read() if talking.stdout else ""
    assert (talking.returncode, "n1 stopped" in said, "0 of 1 actors did it." in said) == (1, True, True), said


def _talk(running: Running, images: Path) -> None:
    """A camera is added, exposes, and hangs when it is told to."""
    status, said = fleet(running, "apply", "--yes")
    assert (status, "Done." in said) == (0, True), said
    status, said = fleet(running, "talk", "expose", "0", "--bias")
    image = str(images / "n1-000001.fits")
    assert status == 0 and f"n1 i filename.camera=n1; filename.filename={image}" in said, said
    assert f"files: {image}" in said and Path(image).stat().st_size > 1000
    assert fleet(running, "talk", "--node", "n*", "fault hang")[0] == 0
    status, said = fleet(running, "talk", "--deadline", "0.5", "expose 0")
    assert status == 1 and "n1 late: 'expose 0' has not ended within 0.5 s" in said and "talk_failed" in said, said
    _stop_a_talk(running)
    talks = running.get("/fleet/talks")["talks"][2:]
    assert [(one["command"], one["cause"] is None) for one in talks] == [
        ("expose 0", False),
        ("fault hang", True),
        ("expose 0 --bias", True),
    ]
    status, said = fleet(running, "talks", talks[2]["id"])
    assert (status, "exposure_state=reading" in said, "1 of 1 actors did it." in said) == (0, True, True), said
    assert "expose 0 --bias" in fleet(running, "talks")[1]
    assert fleet(running, "disable", "camera", "--reason", "end")[0] == 0
