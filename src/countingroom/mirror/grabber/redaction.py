"""Documents as they leave: redacted in a thread, so that the event loop and the other sources go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from msgspec import Struct

from countingroom.core.mirror.dqm_documents import RawDocument
from countingroom.core.mirror.redactor import Redactor, as_text, parted
from countingroom.mirror.store.values import HostState, PublicDocument, SetName

_LOGS = ("log_start", "log_end")
AT_ONCE = 2
"""Chunks of documents that are redacted at the same time."""


class RedactedDocuments(Struct, frozen=True, kw_only=True):
    """What leaves of some documents, and how much did not."""

    documents: tuple[PublicDocument, ...]
    withheld: int = 0
    lines: int = 0
    lines_withheld: int = 0
    hits: int = 0


class DocumentRedaction:
    """Redacts the documents of one set of upstreams."""

    def __init__(self, redactor: Callable[[], Redactor], threads: asyncio.Semaphore) -> None:
        """`redactor` gives the one in force. `threads`: AT_ONCE for all sources together."""
        self.redactor = redactor
        self._threads = threads

    async def take(self, documents: Sequence[RawDocument], set: SetName, upstream: str) -> RedactedDocuments:
        """The documents as they leave."""
        redactor = self.redactor()
        async with self._threads:
            return await asyncio.to_thread(_redacted, redactor, documents, set, upstream)


def _redacted(redactor: Redactor, documents: Sequence[RawDocument], set: SetName, upstream: str) -> RedactedDocuments:
    out: list[PublicDocument] = []
    lines = lines_withheld = hits = 0
    for one in documents:
        found = redactor.record(one.kind, one.record, one.own)
        lines += found.log.lines
        lines_withheld += found.log.withheld.total()
        hits += found.log.hits + (found.hit is not None)
        if not found.public or not found.public.value:
            continue
        log, body = parted(found.public, *_LOGS)
        out.append(
            PublicDocument(
                set=set,
                kind=one.kind,
                id=redactor.lasting("document", upstream, one.host, one.id),
                source=redactor.alias("host", one.host),
                revision=one.revision,
                body=body,
                log=log if log.value else None,
            )
        )
    return RedactedDocuments(
        documents=tuple(out),
        withheld=len(documents) - len(out),
        lines=lines,
        lines_withheld=lines_withheld,
        hits=hits,
    )


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
