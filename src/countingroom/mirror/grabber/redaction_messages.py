"""What the grabber and a process that redacts for it send each other: MessagePack, with the length before it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from countingroom.core.mirror.dqm_documents import GivenDocument
from countingroom.core.mirror.redactor_rules import RedactorRules
from countingroom.mirror.store.values import DocumentKind, SetName

LENGTH_BYTES = 4


class RedactionOrder(Struct, frozen=True, kw_only=True):
    """To the process: documents to redact."""

    documents: tuple[GivenDocument, ...]
    set: SetName
    upstream: str
    rules: RedactorRules | None = None
    """From now on; None: those that it has."""


class PlainDocument(Struct, frozen=True, kw_only=True):
    """A document as it leaves. Fields as in `PublicDocument`."""

    kind: DocumentKind
    id: str
    source: str
    revision: int
    body: dict[str, Any]
    log: bytes | None
    """JSON."""


class RedactionAnswer(Struct, frozen=True, kw_only=True):
    """From the process. Counts as in `RedactedDocuments`."""

    documents: tuple[PlainDocument, ...]
    withheld: int
    lines: int
    lines_withheld: int
    hits: int
    undecided: tuple[tuple[str, tuple[str, ...]], ...]
    """What tells a log from others, and its lines of which nothing was decided."""


def framed(body: bytes) -> bytes:
    """The message with its length."""
    return len(body).to_bytes(LENGTH_BYTES, "big") + body
