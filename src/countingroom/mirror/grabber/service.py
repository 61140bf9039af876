"""The grabber as a whole: all computers of all upstreams, their clusters, and the ages in the public store."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.mirror.redactor import Redactor
from countingroom.core.retry import edge_log
from countingroom.mirror.grabber.cluster import ClusterWatch
from countingroom.mirror.grabber.host import HostGrabber, HostPlace
from countingroom.mirror.grabber.link import UpstreamLink
from countingroom.mirror.grabber.redaction import AT_ONCE, DocumentRedaction
from countingroom.mirror.grabber.redaction_pool import RedactionPool
from countingroom.mirror.store.pruning import keep_pruned
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import PublicRetention, SetName

_log = logging.getLogger(__name__)
_FRESH_S = 5.0


class UpstreamPlan(Struct, frozen=True, kw_only=True):
    """An upstream of the description."""

    name: str
    set: SetName
    link: UpstreamLink
    hosts: tuple[str, ...]
    """Empty: the one at its address."""
    every_s: float
    clusters: tuple[str, ...] = ()
    clusters_every_s: float = 30.0
    longest_pause_s: float = 60.0
    """After failures."""


class GrabberService:
    """Runs until cancelled."""

    def __init__(
        self,
        store: PublicStore,
        clock: Clock,
        upstreams: Sequence[UpstreamPlan],
        redactor: Callable[[], Redactor],
        retention: PublicRetention,
    ) -> None:
        """`redactor` gives the one in force."""
        self._store = store
        self._clock = clock
        self._upstreams = upstreams
        self._retention = retention
        self._pool = RedactionPool(clock)
        redaction = DocumentRedaction(redactor, asyncio.Semaphore(AT_ONCE), self._pool)
        self._hosts = {
            (one.name, host): HostGrabber(
                HostPlace(
                    upstream=one.name,
                    host=host,
                    set=one.set,
                    every_s=one.every_s,
                    longest_pause_s=one.longest_pause_s,
                ),
                one.link,
                redaction,
                store,
                clock,
            )
            for one in upstreams
            for host in one.hosts or ("",)
        }
        self._clusters = [
            ClusterWatch(one.name, cluster, one.set, one.clusters_every_s, one.link, redactor, store, clock)
            for one in upstreams
            for cluster in one.clusters
        ]
        self._trouble = ""
        self._report = edge_log(_log, "the public store is not written", "the public store is written again")

    async def run(self, ready: Callable[[], None]) -> None:
        """Open the store, as soon as it answers, and read until cancelled. ConfigurationError for a store that cannot
        be used. `ready` is called at once: a store that is away is a trouble."""
        try:
            await self._open(ready)
            async with asyncio.TaskGroup() as group:
                for one in (*self._hosts.values(), *self._clusters):
                    group.create_task(one.run())
                group.create_task(self._tell())
                group.create_task(keep_pruned(self._store, self._clock, self._retention))
        finally:
            await self._pool.close()
            for one in self._upstreams:
                await one.link.close()

    def troubles(self) -> Iterator[str]:
        """Why nothing is mirrored, one sentence each."""
        if self._trouble:
            yield f"the public store is not written: {self._trouble}"

    def warnings(self) -> Iterator[str]:
        """Which computers are not read."""
        away = Counter(upstream for (upstream, _), one in self._hosts.items() if one.trouble not in ("", "store"))
        for one in self._upstreams:
            if number := away[one.name]:
                yield f"{number} of {len(one.hosts or ('',))} computers of the upstream {one.name} are not read"

    async def _open(self, ready: Callable[[], None]) -> None:
        is_told = False
        while True:
            try:
                await self._store.open()
            except LinkError as error:
                self._trouble = error.cause.message
                self._report.failed(error.cause)
            else:
                self._trouble = ""
                self._report.worked()
            if not is_told:
                ready()
                is_told = True
            if not self._trouble:
                return
            await self._clock.sleep(_FRESH_S)

    async def _tell(self) -> None:
        """Keep the freshness of the sources in the store."""
        while True:
            try:
                await self._store.take(states=[one.state() for one in (*self._hosts.values(), *self._clusters)])
            except LinkError as error:
                self._trouble = error.cause.message
                self._report.failed(error.cause)
            else:
                self._trouble = ""
                self._report.worked()
            await self._clock.sleep(_FRESH_S)
