"""Roll-outs on two real engines that are disturbed: the keeper is killed with SIGKILL at a step, a node is lost midway.

At each moment at least one of two cameras works, never do two run on one node, and in the end each node has one
container, of one image. `FLEET_KILLS=all` kills at every step; without it at some that leave the most behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiodocker import Docker
from msgspec import structs

from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.specs import WantedNode
from countingroom.fleet.keeper import Keeper
from countingroom.fleet.reconciler.actions import Delay
from countingroom.storage.database import Database
from tests.container_engines import EngineServer, docker_server, registry_server
from tests.cut_link import cut_link
from tests.fleet_containers import (
    BAD,
    GOOD,
    NAME,
    SERVICE,
    is_over,
    keeper_of,
    keeping,
    recording,
    revision,
    store_of,
    until,
)
from tests.fleet_roll_outs import ContainerSite
from tests.system.test_fleet_containers_up import publish

pytestmark = pytest.mark.server
CHOSEN = (("save", 1, True), ("stop", 1, True), ("remove", 1, True))
EVERY = os.environ.get("FLEET_KILLS") == "all"


@pytest.fixture(scope="module")
def servers(needs: Callable[[str], str]) -> Iterator[tuple[dict[str, EngineServer], tuple[str, ...]]]:
    with registry_server(needs) as registry, docker_server(needs) as first, docker_server(needs) as second:
        images = tuple(f"{registry}/apogee/camera:{tag}" for tag in (1, 2, "bad"))
        for image in images:
            publish(first, image, BAD if image.endswith("bad") else GOOD)
        yield {"n1": first, "n2": second}, images


@pytest.fixture
async def site(
    servers: tuple[dict[str, EngineServer], tuple[str, ...]], tmp_path: Path
) -> AsyncGenerator[ContainerSite]:
    url = f"sqlite:///{tmp_path / 'storage.sqlite'}"
    database = Database(url)
    await database.open()
    made = ContainerSite(*servers, database, url, tmp_path)
    await made.start()
    try:
        yield made
    finally:
        for server in made.servers.values():
            server.client("rm", "--force", NAME)
        await database.close()


@pytest.mark.skipif(EVERY, reason="all of them are checked")
async def test_a_keeper_killed_at_a_step_of_a_roll_out_is_followed_by_one_that_ends_it(site: ContainerSite) -> None:
    for of, at, is_under_way in CHOSEN:
        assert await site.check(of, at, is_under_way=is_under_way), of


@pytest.mark.skipif(not EVERY, reason="FLEET_KILLS=all checks it")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("is_under_way", "is_bad"),
    [(False, False), (True, False), (True, True)],
    ids=["before", "under way", "of a bad image, under way"],
)
async def test_a_keeper_killed_at_any_step_of_a_roll_out_is_followed_by_one_that_ends_it(
    is_under_way: bool, is_bad: bool, site: ContainerSite
) -> None:
    at = 1
    while await site.check("", at, is_under_way=is_under_way, is_bad=is_bad):
        at += 1
    assert at > 12


def told(keeper: Keeper) -> tuple[Delay, ...]:
    """Why the keeper does nothing at present."""
    return keeper._waiting  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("name", ["n1", "n2"], ids=["the first node", "the last node"])
async def test_a_node_lost_in_its_replacement_is_changed_when_it_is_back(
    name: str, site: ContainerSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = site.servers[name].tls
    assert tls
    async with cut_link(int(tls.url.rpartition(":")[2])) as link:
        far = WantedNode(name=name, engine="docker", reach=structs.replace(tls, url=f"tcp://127.0.0.1:{link.port}"))
        nodes = tuple(far if one.name == name else one for one in site.nodes)
        ask = Docker._do_query  # pyright: ignore[reportPrivateUsage]

        async def asked(self: Docker, path: str, *words: Any, **more: Any) -> Any:
            if str(path).endswith("/start") and "exec" not in str(path) and str(link.port) in str(self.docker_host):
                monkeypatch.undo()
                link.cut()  # the old container is stopped, and the new one not started
            return await ask(self, path, *words, **more)

        with recording(site.servers, site.folder / "events") as recorder:
            since_ns, before = time.time_ns(), site.shown()
            async with keeping(keeper_of(store_of(site.database), nodes, site.folder)) as keeper:
                # The one that is not known to work would be changed first.
                await until(lambda: keeper.observed().nodes[name].is_reachable and is_over(keeper), "two that work")
                monkeypatch.setattr(Docker, "_do_query", asked)
                await keeper.apply(revision(nodes, site.versions[1]))
                await until(lambda: not keeper.observed().nodes[name].is_reachable, "the loss of the node")
                if name == "n1":  # it may be without its camera: that of the other node must work on
                    await until(lambda: "n1 may be without it" in str(told(keeper)), "the reason why it waits")
                    assert keeper.record.changes[SERVICE].phase is Phase.ROLLING
                    assert site.shown()["n2"] == before["n2"]
                else:  # nothing else is to be changed
                    await until(lambda: keeper.record.changes[SERVICE].phase is Phase.DONE, "the end of the change")
                link.join()
                new = [f"{NAME} {site.versions[1]} running"]
                await until(lambda: keeper.observed().nodes[name].is_reachable, "the node again")
                await until(lambda: is_over(keeper) and site.shown() == {"n1": new, "n2": new}, "both nodes changed")
            await until(recorder.is_told, "the events of the engines", state=recorder.state)
        assert recorder.doubles() == [] and recorder.fewest(since_ns) >= 1
