"""A simulated farm, a public store, and what reads the one into the other, with a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from countingroom.core.mirror.last_check import LastCheck
from countingroom.core.mirror.proposals import learn, masked
from countingroom.core.mirror.pseudonyms import Pseudonyms
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.mirror.templates import Approval
from countingroom.mirror.description import MirrorSection
from countingroom.mirror.grabber.cluster import ClusterWatch
from countingroom.mirror.grabber.host import HostGrabber, HostPlace
from countingroom.mirror.grabber.link import HttpLink, UpstreamAccess, UpstreamLink, WebSocketLink
from countingroom.mirror.grabber.redaction import AT_ONCE, DocumentRedaction
from countingroom.mirror.store.reader import PublicReader
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import DocumentRow
from countingroom.simulators.dqm import DqmSimulator
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

HOSTS = ("fu-c2f11-11-01", "fu-c2f12-12-02", "fu-c2f13-13-03")
BU = "dqmrubu-c2a06-01-01"
UP = "no answer from fu-c2f11-11-01 within 5 s"


def approved(lines: Sequence[str]) -> list[Approval]:
    """All templates of these lines, with their slots masked."""
    seen, _ = learn([("log", list(lines))], ())
    return [masked(one) for one in seen]


def redactor(approvals: Sequence[Approval] = ()) -> Redactor:
    """With the default rules, and the names of the farm in its last check."""
    names = [("host", one) for one in (*HOSTS, BU)]
    return Redactor(Pseudonyms(b"k" * 32), LastCheck(names), MirrorSection.default().records(), approvals)


class GrabberStand:
    """All of it."""

    def __init__(self, url: str, simulator: DqmSimulator, address: str) -> None:
        self.clock = FakeClock()
        self.simulator = simulator
        self.farm = simulator.farm
        self.address = address
        self.store = PublicStore(url, self.clock)
        self.reader = PublicReader(url)
        self.redactor = redactor(approved([UP]))
        self.links: list[UpstreamLink] = []

    def link(self, *, timeout_s: float = PATIENCE_S, websocket: bool = False) -> UpstreamLink:
        access = UpstreamAccess(name="farm", url=self.address, port=9215, timeout_s=timeout_s, secret="s3cr3t")
        self.links.append(WebSocketLink(access) if websocket else HttpLink(access))
        return self.links[-1]

    def grabber(self, host: str = HOSTS[0], **link: Any) -> HostGrabber:
        """A new one, which knows nothing but what is in the store."""
        redaction = DocumentRedaction(lambda: self.redactor, asyncio.Semaphore(AT_ONCE))
        place = HostPlace(upstream="farm", host=host, set="production", every_s=5)
        return HostGrabber(place, self.link(**link), redaction, self.store, self.clock)

    def cluster(self) -> ClusterWatch:
        return ClusterWatch(
            "farm", "production", "production", 30, self.link(), lambda: self.redactor, self.store, self.clock
        )

    async def stored(self, kind: str = "run_client") -> dict[str, DocumentRow]:
        """Document id -> row."""
        return {one.document_id: one for one in await self.reader.documents("production", kind)}

    def expected(self, *hosts: str) -> dict[str, int]:
        """Document id -> revision, as the farm has them."""
        return {
            self.redactor.lasting("document", "farm", host, one).value: msgspec.convert(document["_rev"], int)
            for host in hosts
            for one in self.farm.computers[host].ids
            for document in self.farm.computers[host].documents([one])
        }

    async def is_complete(self, *hosts: str) -> bool:
        """Whether the store has each document once, in its last revision."""
        rows = {**await self.stored(), **await self.stored("graph")}
        return {id: one.revision for id, one in rows.items()} == self.expected(*hosts)


@asynccontextmanager
async def grabber_stand(url: str, **farm: Any) -> AsyncGenerator[GrabberStand]:
    """A farm that goes on by hand only, and an open store."""
    simulator = DqmSimulator({"log_bytes": 1000, "lumi_s": 3600, **farm})
    stand = GrabberStand(url, simulator, str((await simulator.start())["url"]))
    await stand.store.open()
    try:
        yield stand
    finally:
        for one in stand.links:
            await one.close()
        await stand.reader.close()
        await stand.store.close()
        await simulator.stop()
