"""The image of the product: built by the classic builder without a network, and run as its own user, root read-only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countingroom.app.deploy.plan import UID
from countingroom.cli.deploy import app
from tests.container_engines import EngineServer, free_port
from tests.patience import PATIENCE_S
from tests.product_image import LIBRARIES, write_base

pytestmark = pytest.mark.server
FACTS = """
import os, pathlib
def writes(path):
    try: pathlib.Path(path, "x").touch()
    except OSError: return False
    return True
print(os.getuid(), os.getgid(), *(path for path in ("/", "/opt/countingroom", "/experiment", "/data") if writes(path)),
    *pathlib.Path("/opt/countingroom").rglob("pip*"))
"""


def test_the_product_runs_in_its_image(docker: EngineServer, needs: Callable[[str], str], tmp_path: Path) -> None:
    build, lab, base = tmp_path / "build", tmp_path / "lab", tmp_path / "base.tar"
    assert CliRunner().invoke(app, ["image", str(build)]).exit_code == 0
    write_base(base, needs("busybox"))
    docker.client("import", "--change", f"ENV PYTHONPATH={LIBRARIES}", str(base), "base:1")
    base.unlink()
    offline = ["--network", "none", "--build-arg", "BASE=base:1", "--build-arg", "PIP_NO_INDEX=1"]
    command = [*docker.command, "build", "-q", "-f", str(build / "Containerfile"), *offline, "-t", "product:1"]
    done = subprocess.run(
        [*command, str(build)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        timeout=5 * PATIENCE_S,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lab.mkdir()
    (lab / "experiment.yaml").write_text(
        "experiment: { name: lab }\ndevices: { bath: { driver: julabo, port: COM1 } }\n"
    )
    for path in (lab, *tmp_path.parents):
        path.chmod(path.stat().st_mode | 0o055)
    limits = ["--network", "host", "--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    limits += ["--security-opt", "no-new-privileges", "--volume", f"{lab}:/experiment:ro"]
    try:
        facts = docker.client("run", "--rm", *limits, "--entrypoint", "python", "product:1", "-c", FACTS)
        assert facts.split() == [str(UID), str(UID), "/data"]
        assert "bath" in docker.client("run", "--rm", *limits, "product:1", "check", "experiment.yaml")
        port, words = free_port(), ["up", "experiment.yaml", "--data", "/data/experiment", "--simulate", "--port"]
        docker.client("run", "--detach", "--name", "lab", *limits, "product:1", *words, str(port))
        assert "answers" in _until_it_answers(docker, f"http://127.0.0.1:{port}/healthz")
        docker.client("stop", "--time", "45", "lab")
        assert "Everything has stopped." in docker.client("logs", "lab")
        assert docker.client("inspect", "lab", "--format", "{{.State.ExitCode}}").strip() == "0"
    finally:
        docker.client("rm", "--force", "--volumes", "lab")
        docker.client("rmi", "product:1")


def _until_it_answers(docker: EngineServer, url: str) -> str:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return docker.client("exec", "lab", "countingroom", "deploy", "probe", url)
        except RuntimeError:
            if time.monotonic() > end:
                raise RuntimeError(docker.client("logs", "lab")) from None
            time.sleep(0.2)
