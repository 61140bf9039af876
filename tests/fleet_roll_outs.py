"""Roll-outs on real engines for tests, in which the keeper is killed at a step: what holds meanwhile and at the end."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Protocol

from countingroom.core.fleet.record import Phase
from countingroom.core.fleet.specs import Revision, WantedNode
from countingroom.storage.database import Database
from tests.container_engines import EngineServer
from tests.fleet_containers import (
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
from tests.fleet_programs import ProgramRecorder, program_revision


class Recorder(Protocol):
    """What has run, as others than the keeper tell it."""

    def is_told(self) -> bool:
        """Whether all is told that has happened until now."""
        ...

    def state(self) -> str:
        """What it has seen, for the message of a failure."""
        ...

    def doubles(self) -> Sequence[object]:
        """Pairs that ran at the same time in one place."""
        ...

    def fewest(self, since_ns: int) -> int:
        """The fewest that were healthy at one time after a time at which all were."""
        ...


class Site(ABC):
    """Two cameras, and a database with what is wanted. `versions`: two that work, and one that is never healthy."""

    def __init__(
        self, nodes: tuple[WantedNode, ...], versions: tuple[str, ...], database: Database, url: str, folder: Path
    ) -> None:
        self.nodes = nodes
        self.versions = versions
        self.database = database
        self.folder = folder
        self.url = url

    @abstractmethod
    def wanted(self, version: str) -> Revision:
        """Two cameras of a version."""

    @abstractmethod
    def version(self, revision: Revision) -> str:
        """That of a revision."""

    @abstractmethod
    def running(self) -> list[str]:
        """The version of each camera that runs. Something else that is left fails."""

    def has_one_version(self) -> bool:
        """Whether all cameras that run are of one version, and nothing else is left."""
        try:
            return len(set(self.running())) == 1
        except AssertionError:
            return False

    @abstractmethod
    def recording(self) -> AbstractContextManager[Recorder]:
        """Follow what starts and ends."""

    @abstractmethod
    def forget(self, version: str) -> None:
        """Remove what the nodes have of a version that does not run."""

    async def go_on(self) -> tuple[Phase, str, str]:
        """A new keeper brings the change to its end: its phase, the version that is wanted, and the cause."""
        async with keeping(keeper_of(store_of(self.database), self.nodes, self.folder)) as keeper:
            # A node that did not answer for a moment is changed after the end of the change.
            await until(lambda: is_over(keeper) and self.has_one_version(), "the end of the change", keeper)
            change = keeper.record.changes[SERVICE]
            version = self.version(await keeper.revision(change.effective))
            return change.phase, version, change.cause.message if change.cause else ""

    async def start(self) -> None:
        """The first version."""
        async with keeping(keeper_of(store_of(self.database), self.nodes, self.folder)) as keeper:
            await keeper.apply(self.wanted(self.versions[0]))
            await until(lambda: is_over(keeper), "the first cameras", keeper)

    async def check(self, of: str, at: int, *, is_under_way: bool, is_bad: bool = False, after_s: float = 0.01) -> bool:
        """One kill and what follows; False: there was no such step. `is_bad`: of a roll-out that is rolled back."""
        present = self.running()[0]
        other = self.versions[2] if is_bad else next(one for one in self.versions if one != present)
        self.forget(other)
        order = KillOrder(
            database=self.url,
            folder=str(self.folder),
            nodes=self.nodes,
            revision=self.wanted(other),
            of=of,
            at=at,
            is_under_way=is_under_way,
            after_s=after_s,
        )
        step = f"{of or 'step'} {at}{' under way' if is_under_way else ''}"
        with self.recording() as recorder:
            since_ns = time.time_ns()
            status = await killed_keeper(order)
            assert status in (0, -9), step
            phase, version, cause = await self.go_on()
            # Where it was killed before the change was remembered, there was none.
            has_begun = version == other or phase is Phase.ROLLED_BACK
            assert has_begun or (of in ("", "save") and at == 1 and not is_under_way), step
            assert phase is (Phase.ROLLED_BACK if is_bad and has_begun else Phase.DONE), f"{step}: {phase}, {cause}"
            assert (cause != "") == (phase is Phase.ROLLED_BACK), step
            assert version == (present if is_bad or not has_begun else other), step
            assert self.running() == [version, version], step
            await until(recorder.is_told, "the events of the engines", state=recorder.state)
        assert recorder.doubles() == [], step
        assert recorder.fewest(since_ns) >= 1, step
        return status == -9


class ContainerSite(Site):
    """On two nodes with a container engine. A version is an image."""

    def __init__(
        self, servers: dict[str, EngineServer], images: tuple[str, ...], database: Database, url: str, folder: Path
    ) -> None:
        self.servers = servers
        nodes = tuple(WantedNode(name=name, engine="docker", reach=server.unix) for name, server in servers.items())
        super().__init__(nodes, images, database, url, folder)

    def wanted(self, version: str) -> Revision:
        return revision(self.nodes, version)

    def version(self, revision: Revision) -> str:
        return revision.services[0].spec.image

    def shown(self) -> dict[str, list[str]]:
        """Node -> name, image and state of each of its containers."""
        asked = ("ps", "--all", "--format", "{{.Names}} {{.Image}} {{.State}}")
        return {name: server.client(*asked).splitlines() for name, server in self.servers.items()}

    def running(self) -> list[str]:
        found: list[str] = []
        for lines in self.shown().values():
            name, image, state = lines[0].split(maxsplit=2) if len(lines) == 1 else ("", "", "")
            assert name == NAME and state.startswith(("running", "Up")), lines  # Up: of Podman
            found.append(image)
        return found

    def recording(self) -> AbstractContextManager[Recorder]:
        return recording(self.servers, self.folder / "events")

    def forget(self, version: str) -> None:
        if version.startswith("localhost/"):
            return  # it cannot be pulled
        for server in self.servers.values():
            with suppress(RuntimeError):
                server.client("rmi", version)


class ProgramSite(Site):
    """On nodes that run programs: one on each, or two on one that stands for a cluster."""

    def __init__(
        self, nodes: tuple[WantedNode, ...], recorder: ProgramRecorder, database: Database, url: str, folder: Path
    ) -> None:
        self.recorder = recorder
        super().__init__(nodes, ("1", "2", "bad"), database, url, folder)

    def wanted(self, version: str) -> Revision:
        return program_revision(self.nodes, version, self.recorder, is_bad=version == "bad")

    def version(self, revision: Revision) -> str:
        return revision.services[0].spec.environment["VERSION"]

    def running(self) -> list[str]:
        return self.recorder.running()

    def recording(self) -> AbstractContextManager[Recorder]:
        return self.recorder.again()

    def forget(self, version: str) -> None:
        """There is nothing of it."""
