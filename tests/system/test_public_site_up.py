"""The public site under `up`: a process that has the public store and nothing of the inside."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.system.running import Running, until, up

pytestmark = pytest.mark.server
KEY = "a-key-that-stays-inside-0001"
DESCRIPTION = """
experiment: {{ name: bench }}
mirror:
  key: {{ env: SITE_TEST_KEY }}
  publish: {{ partition: default, role: default }}
  site: {{ port: {port}, title: "Bench of the site", url: "https://status.example.org/dqm" }}
"""


def site_of(running: Running) -> psutil.Process:
    return next(one for one in running.children() if "countingroom.app.site_process" in one.cmdline())


def ready(running: Running) -> set[str]:
    """The roles that are ready, where all are."""
    answer = httpx.get(f"{running.url}/readyz", timeout=60)
    return {one["role"] for one in answer.json()["roles"]} if answer.status_code == 200 else set()


def causes(running: Running) -> dict[str, str]:
    """Role -> why it is not ready."""
    answer = httpx.get(f"{running.url}/readyz", timeout=60)
    return {one["source"]: one["message"] for one in answer.json()["cause"]["causes"]}


def test_the_site_runs_beside_the_experiment_and_has_nothing_of_it(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION.format(port=port))
    with up(file, tmp_path / "data", environment={"SITE_TEST_KEY": KEY}, by_exec=True) as running:
        address = f"http://127.0.0.1:{port}/"
        page = until(lambda: httpx.get(address, timeout=5).raise_for_status().text, "the site answers")
        assert "Bench of the site" in page and 'href="/dqm/' in page
        site = site_of(running)
        told = "\n".join([*site.cmdline(), *(f"{name}={value}" for name, value in site.environ().items())])
        assert KEY not in told and "experiment.yaml" not in told and "nats" not in told
        files = [Path(one.path) for one in site.open_files()]
        data = tmp_path / "data"
        assert {one.relative_to(data).parts[0] for one in files if one.is_relative_to(data)} <= {"mirror", "logs"}
        assert {one.laddr.port for one in site.net_connections() if one.laddr} == {port}  # none to the bus
        until(lambda: "site" in ready(running), "the console counts it as ready")
        site.kill()
        until(lambda: site_of(running).pid != site.pid, "it is started again")
        again = site_of(running)
        until(lambda: httpx.get(address, timeout=5).raise_for_status().text, "the site answers again")
    assert not again.is_running()


def test_a_site_that_hangs_is_told_and_started_again(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    file = tmp_path / "experiment.yaml"
    file.write_text(DESCRIPTION.format(port=port))
    with up(file, tmp_path / "data", environment={"SITE_TEST_KEY": KEY}, by_exec=True) as running:
        until(lambda: "site" in ready(running), "the site is ready")
        site = site_of(running)
        site.suspend()
        until(lambda: "site has not run for" in causes(running).get("site", ""), "the console tells that it hangs")
        until(lambda: site_of(running).pid != site.pid, "it is started again")
        until(lambda: "site" in ready(running), "the site is ready again")
        assert "Bench of the site" in httpx.get(f"http://127.0.0.1:{port}/", timeout=60).text


def test_a_site_that_cannot_begin_leaves_the_experiment_alone(tmp_path: Path) -> None:
    file, log = tmp_path / "experiment.yaml", tmp_path / "data" / "logs" / "site.log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        file.write_text(DESCRIPTION.format(port=taken.getsockname()[1]))
        with up(file, tmp_path / "data", environment={"SITE_TEST_KEY": KEY}, by_exec=True) as running:
            until(lambda: log.exists() and "in use" in log.read_text(), "the site tells why")
            assert httpx.get(f"{running.url}/healthz", timeout=60).status_code == 200
            until(lambda: "does not run" in causes(running).get("site", ""), "the console tells it")
            assert not [one for one in running.children() if "countingroom.app.site_process" in one.cmdline()]
