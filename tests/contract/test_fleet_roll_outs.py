"""Roll-outs on two real engines that are disturbed: the keeper is killed with SIGKILL at a step, a node is lost midway.

At each moment at least one of two cameras works, never do two run on one node, and in the end each node has one
container, of one image. `FLEET_KILLS=all` kills at every step; without it at some that leave the most behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiodocker import Docker
from msgspec import structs

from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.storage.database import Database
from tests.container_engines import EngineServer, docker_server, registry_server
from tests.cut_link import cut_link
from tests.fleet_containers import (
    BAD,
    GOOD,
    NAME,
    SERVICE,
    KillOrder,
    is_over,
    keeper_of,
    keeping,
    killed_keeper,
    recording,
    revision,
    store_of,
    until,
)
from tests.system.test_fleet_containers_up import publish

pytestmark = pytest.mark.server
CHOSEN = (("save", 1, True), ("stop", 1, True), ("remove", 1, True))
EVERY = os.environ.get("FLEET_KILLS") == "all"


class Site:
    """Two nodes with one camera each, a database, and a registry with two images."""

    def __init__(
        self, servers: dict[str, EngineServer], images: tuple[str, ...], database: Database, url: str, folder: Path
    ) -> None:
        self.servers = servers
        self.images = images
        self.database = database
        self.folder = folder
        self.url = url
        self.nodes = tuple(
            WantedNode(name=name, engine="docker", reach=server.unix) for name, server in servers.items()
        )

    def wanted(self, image: str) -> Revision:
        return revision(self.nodes, image)

    def shown(self) -> dict[str, list[str]]:
        """Node -> name, image and state of each of its containers."""
        asked = ("ps", "--all", "--format", "{{.Names}} {{.Image}} {{.State}}")
        return {name: server.client(*asked).splitlines() for name, server in self.servers.items()}

    def forget(self, image: str) -> None:
        """Remove an image from the nodes, so that it is pulled again."""
        for server in self.servers.values():
            with suppress(RuntimeError):
                server.client("rmi", image)

    async def go_on(self) -> tuple[Phase, str]:
        """A new keeper brings the change to its end: its phase, and the image that is wanted."""
        async with keeping(keeper_of(store_of(self.database), self.nodes, self.folder)) as keeper:
            await until(lambda: is_over(keeper), "the end of the change")
            change = keeper.record.changes[SERVICE]
            wanted = await keeper.revision(change.effective)
            return change.phase, wanted.services[0].spec.image

    async def start(self) -> None:
        async with keeping(keeper_of(store_of(self.database), self.nodes, self.folder)) as keeper:
            await keeper.apply(self.wanted(self.images[0]))
            await until(lambda: is_over(keeper), "the first cameras")

    async def killed(self, image: str, of: str, at: int, *, is_under_way: bool) -> bool:
        """Begin a roll-out with a keeper that is killed; False: it came to its end before that."""
        order = KillOrder(
            database=self.url,
            folder=str(self.folder),
            nodes=self.nodes,
            revision=self.wanted(image),
            of=of,
            at=at,
            is_under_way=is_under_way,
        )
        status = await killed_keeper(order)
        assert status in (0, -9)
        return status == -9

    async def check(self, of: str, at: int, *, is_under_way: bool, is_bad: bool = False) -> bool:
        """One kill and what follows; False: there was no such step. `is_bad`: of a roll-out that is rolled back."""
        present = self.shown()["n1"][0].split()[1]
        other = self.images[2] if is_bad else next(image for image in self.images if image != present)
        self.forget(other)
        with recording(self.servers, self.folder / "events") as recorder:
            since_ns = time.time_ns()
            is_killed = await self.killed(other, of, at, is_under_way=is_under_way)
            phase, image = await self.go_on()
            step = f"{of or 'step'} {at}{' under way' if is_under_way else ''}"
            # Where it was killed before the change was remembered, there was none.
            has_begun = image == other or phase is Phase.ROLLED_BACK
            assert has_begun or (of in ("", "save") and at == 1 and not is_under_way), step
            assert phase is (Phase.ROLLED_BACK if is_bad and has_begun else Phase.DONE), step
            assert image == (present if is_bad or not has_begun else other), step
            assert self.shown() == {name: [f"{NAME} {image} running"] for name in self.servers}, step
            await until(recorder.is_told, "the events of the engines")
        assert recorder.doubles() == [], step
        assert recorder.fewest(since_ns) >= 1, step
        return is_killed


@pytest.fixture(scope="module")
def servers(needs: Callable[[str], str]) -> Iterator[tuple[dict[str, EngineServer], tuple[str, ...]]]:
    with registry_server(needs) as registry, docker_server(needs) as first, docker_server(needs) as second:
        images = tuple(f"{registry}/apogee/camera:{tag}" for tag in (1, 2, "bad"))
        for image in images:
            publish(first, image, BAD if image.endswith("bad") else GOOD)
        yield {"n1": first, "n2": second}, images


@pytest.fixture
async def site(servers: tuple[dict[str, EngineServer], tuple[str, ...]], tmp_path: Path) -> AsyncGenerator[Site]:
    url = f"sqlite:///{tmp_path / 'storage.sqlite'}"
    database = Database(url)
    await database.open()
    made = Site(*servers, database, url, tmp_path)
    await made.start()
    try:
        yield made
    finally:
        for server in made.servers.values():
            server.client("rm", "--force", NAME)
        await database.close()


@pytest.mark.skipif(EVERY, reason="all of them are checked")
async def test_a_keeper_killed_at_a_step_of_a_roll_out_is_followed_by_one_that_ends_it(site: Site) -> None:
    for of, at, is_under_way in CHOSEN:
        assert await site.check(of, at, is_under_way=is_under_way), of


@pytest.mark.skipif(not EVERY, reason="FLEET_KILLS=all checks it")
@pytest.mark.parametrize(
    ("is_under_way", "is_bad"),
    [(False, False), (True, False), (True, True)],
    ids=["before", "under way", "of a bad image, under way"],
)
async def test_a_keeper_killed_at_any_step_of_a_roll_out_is_followed_by_one_that_ends_it(
    is_under_way: bool, is_bad: bool, site: Site
) -> None:
    at = 1
    while await site.check("", at, is_under_way=is_under_way, is_bad=is_bad):
        at += 1
    assert at > 12


async def test_a_node_lost_in_its_replacement_is_changed_when_it_is_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "n2"
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
            since_ns = time.time_ns()
            async with keeping(keeper_of(store_of(site.database), nodes, site.folder)) as keeper:
                # The one that is not known to work would be changed first.
                await until(lambda: keeper.observed().nodes[name].is_reachable and is_over(keeper), "two that work")
                monkeypatch.setattr(Docker, "_do_query", asked)
                await keeper.apply(revision(nodes, site.images[1]))
                await until(lambda: not keeper.observed().nodes[name].is_reachable, "the loss of the node")
                # Nothing else is to be changed.
                await until(lambda: keeper.record.changes[SERVICE].phase is Phase.DONE, "the end of the change")
                link.join()
                new = [f"{NAME} {site.images[1]} running"]
                await until(lambda: keeper.observed().nodes[name].is_reachable, "the node again")
                await until(lambda: is_over(keeper) and site.shown() == {"n1": new, "n2": new}, "both nodes changed")
            await until(recorder.is_told, "the events of the engines")
        assert recorder.doubles() == [] and recorder.fewest(since_ns) >= 1
