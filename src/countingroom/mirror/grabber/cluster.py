"""Asks an upstream for the status of the computers of a cluster, and keeps each change."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from countingroom.core.clock import Clock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.dqm_documents import read_status
from countingroom.core.mirror.redactor import Public, Redactor, joined
from countingroom.core.retry import edge_log
from countingroom.mirror.grabber.host import trouble_of
from countingroom.mirror.grabber.link import SOURCE, UpstreamLink
from countingroom.mirror.grabber.redaction import host_states
from countingroom.mirror.store.store import PublicStore
from countingroom.mirror.store.values import SetName, SourceState, Trouble

_log = logging.getLogger(__name__)


class ClusterWatch:
    """Runs until cancelled."""

    def __init__(
        self,
        upstream: str,
        cluster: str,
        set: SetName,
        every_s: float,
        link: UpstreamLink,
        redactor: Callable[[], Redactor],
        store: PublicStore,
        clock: Clock,
    ) -> None:
        self._upstream = upstream
        self._cluster = cluster
        self._set: SetName = set
        self._every_s = every_s
        self._link = link
        self._redactor = redactor
        self._store = store
        self._clock = clock
        self._contact_at = 0
        self.trouble: Trouble = ""
        name = f"the cluster {cluster} of {upstream}"
        self._report = edge_log(_log, f"{name} is not watched", f"{name} is watched again", each_reason=True)

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.cycle()
            await self._clock.sleep(self._every_s * (0.9 + random.random() / 5))  # noqa: S311

    async def cycle(self) -> None:
        """Ask once, and write what has changed."""
        try:
            rows = read_status(await self._link.status(self._cluster))
            self._contact_at = self._clock.now_ns() // 1000
            self.trouble = ""
            await self._store.take(hosts=host_states(self._redactor(), rows, self._set), states=[self.state()])
        except LinkError as error:
            self.trouble = trouble_of(error)
            self._report.failed(error.cause)
        except Malformed as error:
            self.trouble = "bad_answer"
            answered = LinkError(f"its answer is not understood: {error}", source=f"{SOURCE}.{self._upstream}")
            self._report.failed(answered.cause)
        else:
            self._report.worked()

    def state(self) -> SourceState:
        """How it is."""
        return SourceState(
            source=self._source,
            kind="cluster",
            set=self._set,
            is_connected=not self.trouble and bool(self._contact_at),
            trouble=self.trouble,
            contact_at=self._contact_at,
        )

    @property
    def _source(self) -> Public[str]:
        redactor = self._redactor()
        return joined(redactor.word(self._upstream), redactor.word("cluster"), redactor.word(self._cluster))
