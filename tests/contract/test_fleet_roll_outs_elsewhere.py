"""Roll-outs on Podman, by ssh and on Slurm while the keeper is killed with SIGKILL at a step, as on Docker: at each
moment at least one of two cameras works, never do two run in one place, and in the end both are of one version.

`FLEET_KILLS=all` kills at every step; without it at one of each engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from countingroom.core.clock import SystemClock
from countingroom.core.fleet.batch_jobs import ClusterAccess
from countingroom.core.fleet.specs import WantedNode
from countingroom.storage.database import Database
from tests.container_engines import IMAGE, EngineServer, podman_server
from tests.fleet_containers import BAD, GOOD, engine_of
from tests.fleet_programs import ProgramRecorder
from tests.fleet_roll_outs import ContainerSite, ProgramSite, Site
from tests.slurm_server import SlurmServer
from tests.ssh_node import SshServer

pytestmark = pytest.mark.server
EVERY = os.environ.get("FLEET_KILLS") == "all"


class Kills(Struct, frozen=True):
    """How the keeper of an engine is killed."""

    chosen: tuple[str, int, bool]
    """The step by default: which, its number, whether under way."""
    after_s: float
    """Under way: so long after the step began."""
    least: int
    """So many steps a roll-out has at least."""


KILLS = {
    "podman": Kills(("stop", 1, True), 0.01, 8),
    "ssh": Kills(("make", 1, True), 0.06, 4),
    "slurm": Kills(("scancel", 1, False), 0.03, 6),
}


@pytest.fixture(scope="module")
def podmans(needs: Callable[[str], str], podman: EngineServer) -> Iterator[tuple[dict[str, EngineServer], list[str]]]:
    """Two of them, each with two good images and a bad one."""
    images = [f"localhost/guider:{tag}" for tag in (1, 2, "bad")]
    with podman_server(needs) as second:
        for server in (podman, second):
            made = server.client("create", "--network=none", IMAGE, "sh").strip()
            for image in images:
                command = json.dumps(BAD if image.endswith("bad") else GOOD)
                server.client("commit", "--quiet", "--format=docker", f"--change=CMD {command}", made, image)
            server.client("rm", made)
        yield {"n1": podman, "n2": second}, images


@asynccontextmanager
async def cleaned(site: Site) -> AsyncGenerator[Site]:
    """Begun before, and with nothing left after it."""
    await site.database.open()
    try:
        await site.start()
        yield site
    finally:
        for node in site.nodes:
            engine = engine_of(SystemClock(), node, site.folder)
            await engine.connect()
            for one in await engine.instances():
                await engine.remove(one.id, 0.0)
            await engine.close()
        await site.database.close()


@pytest.fixture(params=list(KILLS))
async def kills(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[tuple[Site, Kills]]:
    """Two cameras on an engine, and how their keeper is killed."""
    url = f"sqlite:///{tmp_path / 'storage.sqlite'}"
    database, engine = Database(url), KILLS[request.param]
    if request.param == "podman":
        servers, images = request.getfixturevalue("podmans")
        async with cleaned(ContainerSite(servers, tuple(images), database, url, tmp_path)) as site:
            yield site, engine
        return
    if request.param == "ssh":
        sshd: SshServer = request.getfixturevalue("sshd")
        reach = sshd.reach(tmp_path)
        nodes = [WantedNode(name=name, address="127.0.0.1", engine="ssh", ssh=reach) for name in ("n1", "n2")]
    else:
        cluster: SlurmServer = request.getfixturevalue("slurm")
        nodes = [WantedNode(name=tmp_path.name, engine="slurm", slurm=ClusterAccess(conf=str(cluster.conf)))]
    recorder = ProgramRecorder(tmp_path)
    try:
        async with cleaned(ProgramSite(tuple(nodes), recorder, database, url, tmp_path)) as site:
            yield site, engine
    finally:
        recorder.close()


@pytest.mark.skipif(EVERY, reason="all of them are checked")
async def test_a_keeper_killed_at_a_step_of_a_roll_out_is_followed_by_one_that_ends_it(
    kills: tuple[Site, Kills],
) -> None:
    site, engine = kills
    of, at, is_under_way = engine.chosen
    assert await site.check(of, at, is_under_way=is_under_way, after_s=engine.after_s)


@pytest.mark.skipif(not EVERY, reason="FLEET_KILLS=all checks it")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("is_under_way", "is_bad"),
    [(False, False), (True, False), (True, True)],
    ids=["before", "under way", "of a bad version, under way"],
)
async def test_a_keeper_killed_at_any_step_of_a_roll_out_is_followed_by_one_that_ends_it(
    is_under_way: bool, is_bad: bool, kills: tuple[Site, Kills]
) -> None:
    site, engine = kills
    at = 1
    while await site.check("", at, is_under_way=is_under_way, is_bad=is_bad, after_s=engine.after_s):
        at += 1
    assert at > engine.least
