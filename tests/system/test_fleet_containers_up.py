"""Containers of a whole experiment on two Docker engines, one by TLS, with images of a registry: an update, a pull that
fails, an image that is not healthy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.container_engines import IMAGE, EngineServer, docker_server, registry_server
from tests.system.running import Running, until, up
from tests.system.test_fleet_up import fleet

pytestmark = pytest.mark.server

DESCRIPTION = """
experiment: {{name: guider}}
fleet:
  nodes:
    n1: {{engine: docker, url: "{tls.url}", tls: {{ca: {tls.ca}, certificate: {tls.certificate}, key: {tls.key}}}}}
    n2: {{engine: docker, url: "{unix.url}"}}
  services:
    camera:
      image: {image}
      nodes: ["*"]
      network: none
      environment: {{ACTOR: "camera-{{node}}", MODE: "{mode}"}}
      health: {{exec: [test, -e, /tmp/exposing], interval: 0.2 s, failures: 1}}
      start_period: 0.5 s
      grace: 0 s
      update: {{healthy_for: 0.2 s}}
"""
GOOD = ("sh", "-c", "touch /tmp/exposing; echo exposing as $ACTOR $MODE; exec sleep 600")
BAD = ("sh", "-c", "echo no camera with serial 0A12-77; exec sleep 600")


def publish(server: EngineServer, image: str, command: tuple[str, ...]) -> None:
    """Put an image with this command into the registry, and leave none on the node."""
    made = server.client("create", "--network=none", IMAGE, "sh").strip()
    server.client("commit", f"--change=CMD {json.dumps(command)}", made, image)
    server.client("push", image)
    server.client("rm", made)
    server.client("rmi", image)


def test_containers_are_updated_kept_and_rolled_back(needs: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    with registry_server(needs) as registry, docker_server(needs) as first, docker_server(needs) as second:

        def describe(tag: str, mode: str) -> None:
            image = f"{registry}/apogee/camera:{tag}"
            file.write_text(DESCRIPTION.format(tls=first.tls, unix=second.unix, image=image, mode=mode))

        def containers() -> list[str]:
            return [
                server.client("ps", "--no-trunc", "--format", "{{.Names}} {{.Image}} {{.ID}}").strip()
                for server in (first, second)
            ]

        def state(running: Running) -> dict[str, Any]:
            return running.get("/services/camera")

        publish(first, f"{registry}/apogee/camera:1", GOOD)
        publish(first, f"{registry}/apogee/camera:2", BAD)
        describe("1", "slow")
        with up(file, tmp_path / "data") as running:
            status, said = fleet(running, "apply", "--yes")
            assert (status, "Done." in said) == (0, True), said
            assert "exposing as camera-n2 slow" in fleet(running, "logs", "camera@n2")[1]
            made = containers()
            assert all(one.startswith(f"guider-camera {registry}/apogee/camera:1 ") for one in made)

            describe("3", "slow")
            status, said = fleet(running, "apply", "--yes")
            assert status == 1 and "could not be pulled" in said and "not found" in said, said
            assert containers() == made

            describe("2", "slow")
            status, said = fleet(running, "apply", "--yes")
            assert status == 1 and "camera@n1 failed its health check" in said, said
            assert (state(running)["phase"], state(running)["healthy"]) == ("rolled_back", 2)
            assert containers()[1] == made[1] and "camera:1" in containers()[0]

            describe("1", "fast")
            status, said = fleet(running, "apply", "--yes")
            assert (status, "Done." in said) == (0, True), said
            assert not {*containers()} & {*made}
            assert fleet(running, "disable", "camera", "--reason", "end")[0] == 0
            until(lambda: containers() == ["", ""], "the end of all containers")
