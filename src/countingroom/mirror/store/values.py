"""What is written to the public store, and what is read from it. Written are redacted values only (`Public`), numbers,
and words of the lists here. Times are µs since 1970, UTC."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Raw, Struct

from countingroom.core.mirror.redactor import Public, PublicFields

SetName = Literal["production", "playback"]
DocumentKind = Literal["run_client", "graph"]
RecordKind = Literal["partition", "run", "device", "alarm", "node", "service", "point", "event", "role", "note"]
SourceKind = Literal["host", "cluster", "feed"]
Trouble = Literal["", "not_reached", "no_answer", "refused", "bad_answer", "store"]
"""Why a source is not read: never a message, as that names computers."""


class PublicDocument(Struct, frozen=True, kw_only=True):
    """The present state of a document of an upstream."""

    set: SetName
    kind: DocumentKind
    id: Public[str]
    source: Public[str]
    """The computer that wrote it."""
    revision: int
    body: PublicFields
    log: Public[Raw] | None = None
    """Field -> lines that leave, as JSON."""


class Cursor(Struct, frozen=True, kw_only=True):
    """How far a source has been read."""

    upstream: Public[str]
    host: Public[str]
    revision: int


class HostState(Struct, frozen=True, kw_only=True):
    """Whether a computer is up, as its upstream says."""

    set: SetName
    host: Public[str]
    is_up: bool
    message: Public[str]


class RecordEntry(Struct, frozen=True, kw_only=True):
    """A state of a thing of the inside. Of a key, a sequence that is not above the last one is not written again."""

    kind: RecordKind
    key: Public[str]
    sequence: int
    at: int
    body: PublicFields | None
    """None: it was removed."""
    keep: bool = True
    """Whether it goes into the history too."""
    is_state: bool = True
    """Whether it is a present state; an event goes into the history alone."""


class SourceState(Struct, frozen=True, kw_only=True):
    """How a source is. The counts are added to those in the store."""

    source: Public[str]
    kind: SourceKind
    set: SetName | Literal[""] = ""
    is_connected: bool
    trouble: Trouble = ""
    contact_at: int = 0
    """Last answer; 0 keeps the one in the store."""
    behind: int = 0
    """Revisions or messages that are known and not read yet."""
    taken: int = 0
    withheld: int = 0
    """Records that did not leave at all."""
    lines: int = 0
    lines_withheld: int = 0
    hits: int = 0
    """Lines and records that only the last check withheld."""


class WithheldEntry(Struct, frozen=True, kw_only=True):
    """How much of a kind of record a feed kept inside since it began. Counts in the store never become less."""

    feed: Public[str]
    kind: RecordKind
    records: int
    lines: int
    lines_withheld: int


class PublicRetention(Struct, frozen=True, kw_only=True):
    """What is kept. Present states are always kept."""

    age_us: int
    documents: int = 500_000
    """Of each set and kind."""
    records: int = 1_000_000
    """Of each kind."""


class DocumentRow(Struct, frozen=True, kw_only=True):
    """A document, as a page shows it."""

    set: str
    kind: str
    document_id: str
    source: str
    revision: int
    run: int | None
    client: str
    at: int
    version: int
    body: dict[str, Any]


class DocumentText(Struct, frozen=True, kw_only=True):
    """A document with its body as the text of JSON that is stored. Fields as in `DocumentRow`."""

    document_id: str
    source: str
    revision: int
    at: int
    text: str


class HostRow(Struct, frozen=True, kw_only=True):
    """A change of a computer."""

    set: str
    host: str
    is_up: bool
    message: str
    at: int
    """When it became so."""
    seen_at: int = 0
    """When it was last told to be so; of earlier states when they were last told."""


class RecordRow(Struct, frozen=True, kw_only=True):
    """A state of a thing of the inside."""

    kind: str
    key: str
    sequence: int
    at: int
    body: dict[str, Any] | None


class SourceRow(Struct, frozen=True, kw_only=True):
    """How a source is, with all its counts so far. Fields as in `SourceState`."""

    source: str
    kind: str
    set: str
    is_connected: bool
    trouble: str
    at: int
    contact_at: int
    behind: int
    taken: int
    withheld: int
    lines: int
    lines_withheld: int
    hits: int


class FreshDay(Struct, frozen=True, kw_only=True):
    """How long in a day a kind of source was fresh."""

    kind: str
    day: int
    """Days since 1970, UTC."""
    begun: int
    """When it was fresh in this day for the first time."""
    until: int
    fresh: int
    """µs."""


class WithheldRow(Struct, frozen=True, kw_only=True):
    """How much of a kind of record all feeds kept inside."""

    kind: str
    records: int
    lines: int
    """Of logs, in records that left."""
    lines_withheld: int


class Version(Struct, frozen=True, kw_only=True):
    """Counts the changes of the store."""

    number: int
    at: int
