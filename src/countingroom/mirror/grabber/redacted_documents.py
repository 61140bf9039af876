"""Documents of an upstream as they leave, and how much of them did not."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from countingroom.core.messages import Malformed
from countingroom.core.mirror.dqm_documents import GivenDocument
from countingroom.core.mirror.redactor import Redactor, as_json, parted
from countingroom.mirror.store.values import PublicDocument, SetName

_LOGS = ("log_start", "log_end")


class RedactedDocuments(Struct, frozen=True, kw_only=True):
    """What leaves of some documents, and how much did not."""

    documents: tuple[PublicDocument, ...]
    withheld: int = 0
    lines: int = 0
    lines_withheld: int = 0
    hits: int = 0


def redacted(redactor: Redactor, documents: Sequence[GivenDocument], set: SetName, upstream: str) -> RedactedDocuments:
    """The documents as they leave."""
    out: list[PublicDocument] = []
    lines = lines_withheld = hits = 0
    for given in documents:
        try:
            one = given.read()
        except Malformed:
            continue
        if one is None:
            continue
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
                log=as_json(log) if log.value else None,
            )
        )
    return RedactedDocuments(
        documents=tuple(out),
        withheld=len(documents) - len(out),
        lines=lines,
        lines_withheld=lines_withheld,
        hits=hits,
    )
