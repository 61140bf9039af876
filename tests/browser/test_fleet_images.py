"""Images on three real Docker engines, seen on the pages: an update, one that fails and goes back, and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page, expect

from countingroom.core.clock import SystemClock
from countingroom.core.fleet.specs import WantedNode
from countingroom.fleet.description import FleetSection
from countingroom.fleet.engines.docker import DockerEngine
from tests.browser.conftest import Requester, serious, settled, wider_than_seen
from tests.console.alarm_console import alarm_console
from tests.console.fleet_stage import PlayedFleet
from tests.container_engines import EngineServer, docker_server, image
from tests.ssh_node import SshServer, ssh_server
from tests.system.running import Running

pytestmark = pytest.mark.server
NODES = ("n1", "n2", "n3")
_REFUSES = ["sh", "-c", "echo 'the disk is being checked'; exit 3"]


@pytest.fixture
def docker(needs: Callable[[str], str]) -> Iterator[dict[str, EngineServer]]:
    """Three engines with the images 1, 2 and 3 of the camera. That of 3 on n2 lacks what its check runs."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(docker_server(needs)) for name in NODES}
        for name, server in servers.items():
            server.client("tag", "camera:1", "camera:2")
            if name == "n2":
                server.client("import", "-", "camera:3", given=image(needs("busybox"), without="true"))
            else:
                server.client("tag", "camera:1", "camera:3")
        yield servers
        with ThreadPoolExecutor() as pool:
            list(pool.map(_clear, servers.values()))


def _clear(server: EngineServer) -> None:
    server.client("rm", "--force", *server.client("ps", "-aq").split())


def described(servers: dict[str, EngineServer], sshd: SshServer) -> Callable[[str], FleetSection]:
    nodes: dict[str, Any] = {name: {"engine": "docker", "url": one.unix.url} for name, one in servers.items()}
    reach = {"port": sshd.port, "key": str(sshd.key), "agent": False, "host_key": sshd.fingerprint, "reboot": _REFUSES}
    nodes["n1"] |= {"address": "127.0.0.1", "ssh": reach}

    def section(image: str) -> FleetSection:
        camera = {
            "nodes": ["*"],
            "image": image,
            "network": "none",
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
            "health": {"exec": ["true"], "interval": 0.2, "failures": 2},
            "start_period": 0,
            "update": {"healthy_for": 0.2, "canary": True},
        }
        return FleetSection.model_validate({"nodes": nodes, "services": {"camera": camera}})

    return section


def images(servers: dict[str, EngineServer]) -> dict[str, str]:
    """The image of the container that runs on each node."""
    return {name: server.client("ps", "--format", "{{.Image}}").strip() for name, server in servers.items()}


def containers(servers: dict[str, EngineServer]) -> set[str]:
    return {server.client("ps", "-q").strip() for server in servers.values()}


def applies(page: Page, text: str) -> None:
    page.locator("#show-plan").click()
    dialog = page.locator("#plan")
    expect(dialog).to_contain_text(text)
    dialog.locator(".btn.primary").click()


def restarts_a_service_and_a_node(here: Requester, servers: dict[str, EngineServer]) -> None:
    before = containers(servers)
    page = here.open("/services/camera")
    page.get_by_role("button", name="Restart…").click()
    page.locator("#confirm").get_by_role("button", name="Restart 3 instances").click()
    settled(page, lambda _: containers(servers), lambda now: len(now) == 3 and not now & before and "" not in now)
    expect(page.locator("#facts")).to_contain_text("3 of 3")

    here.open("/nodes/n1")
    page.get_by_role("button", name="Restart…").click()
    page.locator("#confirm").get_by_role("button", name="Restart n1").click()
    expect(page.locator("#banners")).to_contain_text("Restart by local, ")
    expect(page.locator("#banners")).to_contain_text("n1 refused to restart: the disk is being checked")
    page.set_viewport_size({"width": 420, "height": 900})
    assert wider_than_seen(page) == [] and serious(page) == []
    here.picture("node-420")


def test_an_image_that_fails_its_check_on_the_second_node_goes_back_on_all_and_the_page_says_why(
    browser: Browser, docker: dict[str, EngineServer], needs: Callable[[str], str], tmp_path: Path
) -> None:
    tasks: list[asyncio.Task[None]] = []

    def engine(one: WantedNode) -> DockerEngine:
        return DockerEngine(SystemClock(), "mCBM", one, tmp_path)

    with ssh_server(needs) as sshd, alarm_console() as console:
        fleet = PlayedFleet(
            console.alarms.here.bus.client(), SystemClock(), console.database, described(docker, sshd), engine
        )

        async def start() -> None:
            tasks.append(asyncio.create_task(fleet.run()))

        async def stop() -> None:
            tasks[0].cancel()
            await asyncio.wait(tasks)

        console.do(start())
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        here = Requester(context.new_page(), cast(Running, console))
        page = here.open("/fleet")
        row = page.locator('#services [data-service="camera"]')
        for number, says in ((1, "n1, n2, n3"), (2, "image 1 → 2")):
            fleet.edit(f"camera:{number}")
            applies(page, says)
            expect(row).to_contain_text("as wanted")
            expect(row).to_contain_text("3/3")
            settled(page, lambda _: images(docker), lambda now, so=f"camera:{number}": set(now.values()) == {so})
            expect(page.locator("#changes > *")).to_have_count(0)
        fleet.edit("camera:3")
        applies(page, "image 2 → 3")
        banner = page.locator("#banners .banner")
        expect(banner).to_contain_text("camera was rolled back from r3 to r2")
        expect(banner).to_contain_text("camera@n2")
        expect(banner).to_contain_text("true")  # the program that its check did not find
        expect(row).to_contain_text("3/3")
        here.until(lambda: set(images(docker).values()) == {"camera:2"}, "all have the image before it")
        here.picture("fleet-images-rolled-back")
        restarts_a_service_and_a_node(here, docker)
        console.do(stop())
        context.close()
        assert here.wrong == []
