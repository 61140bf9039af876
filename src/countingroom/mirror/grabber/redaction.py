"""Documents as they leave: redacted in a thread, so that the event loop and the other sources go on, and large batches
in processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from countingroom.core.mirror.dqm_documents import GivenDocument
from countingroom.core.mirror.redactor import Redactor, as_text
from countingroom.mirror.grabber.redacted_documents import RedactedDocuments, redacted
from countingroom.mirror.grabber.redaction_pool import RedactionPool
from countingroom.mirror.store.values import HostState, SetName

AT_ONCE = 2
"""Chunks of documents that are redacted at the same time."""


class DocumentRedaction:
    """Redacts the documents of one set of upstreams."""

    def __init__(
        self, redactor: Callable[[], Redactor], threads: asyncio.Semaphore, pool: RedactionPool | None = None
    ) -> None:
        """`redactor` gives the one in force. `threads`: AT_ONCE for all sources together. `pool`: for large batches."""
        self.redactor = redactor
        self._threads = threads
        self._pool = pool

    async def take(
        self, documents: Sequence[GivenDocument], set: SetName, upstream: str, *, waiting: int = 0
    ) -> RedactedDocuments:
        """The documents as they leave. `waiting`: documents of the same source that come after them."""
        redactor = self.redactor()
        if self._pool and self._pool.pays(len(documents), waiting):
            taken = await self._pool.take(redactor, documents, set, upstream)
            if taken is not None:
                return taken
        async with self._threads:
            return await asyncio.to_thread(redacted, redactor, documents, set, upstream)


def host_states(redactor: Redactor, rows: Sequence[tuple[str, bool, str]], set: SetName) -> list[HostState]:
    """The status of computers as it leaves: without its message where that is no known line."""
    out: list[HostState] = []
    for host, up, message in rows:
        found = redactor.record("host_status", {"host": host, "up": up, "message": message}, ())
        if found.public is not None and {"host", "up"} <= found.public.value.keys():
            is_up = cast("bool", found.public.value["up"])
            alias, text = as_text(found.public, "host"), as_text(found.public, "message")
            out.append(HostState(set=set, host=alias, is_up=is_up, message=text))
    return out
