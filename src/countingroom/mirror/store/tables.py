"""Tables of the public store. Migrations create them; a test compares both. Times are µs since 1970, UTC."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table

from countingroom.storage.columns import Json, Serial, text
from countingroom.storage.columns import metadata as inside

metadata = MetaData(naming_convention=inside.naming_convention)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


document = Table(
    "document",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    text("set"),
    text("kind"),
    text("document_id"),
    text("source"),
    _number("revision"),
    _number("run", nullable=True),
    text("client"),
    _number("at"),
    _number("version"),
    Column("body", Json, nullable=False),
    Index("uq_document_set_document_id", "set", "document_id", unique=True),
    Index("ix_document_set_kind_run", "set", "kind", "run"),
    Index("ix_document_set_at", "set", "at"),
    Index("ix_document_version", "version"),
    sqlite_autoincrement=True,
)
"""The present state of each document of an upstream. `document_id`: its alias; `source`: that of its computer. `run`,
`client` and `at` are those of the body, so that they are redacted as it is."""

document_log = Table(
    "document_log",
    metadata,
    text("set", primary_key=True),
    text("document_id", primary_key=True),
    Column("lines", Json, nullable=False),
)
"""Its log apart, as a list of documents must not read all logs: field -> lines that leave."""

cursor = Table(
    "cursor",
    metadata,
    text("upstream", primary_key=True),
    text("host", primary_key=True),
    _number("revision"),
    _number("at"),
)
"""How far each source has been read. `host`: an alias of its own kind, which is shown nowhere else."""

host_status = Table(
    "host_status",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    text("set"),
    text("host"),
    Column("is_up", Boolean, nullable=False),
    text("message"),
    _number("at"),
    _number("version"),
    Column("seen_at", BigInteger, nullable=False, server_default="0"),
    Index("ix_host_status_set_host_id", "set", "host", "id"),
    Index("ix_host_status_at", "at"),
    sqlite_autoincrement=True,
)
"""One row for each change of a computer; the last one is its present status, and `seen_at` when it was last told."""

record_now = Table(
    "record_now",
    metadata,
    text("kind", primary_key=True),
    text("key", primary_key=True),
    _number("sequence"),
    _number("at"),
    _number("version"),
    Column("body", Json),
    Index("ix_record_now_version", "version"),
)
"""The newest state of each thing of the inside. Without a body: it was removed, and an older message of it that comes
again must not bring it back."""

record = Table(
    "record",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    text("kind"),
    text("key"),
    _number("sequence"),
    _number("at"),
    Column("body", Json),
    Index("uq_record_kind_key_sequence", "kind", "key", "sequence", unique=True),
    Index("ix_record_kind_at", "kind", "at"),
    Index("ix_record_at", "at"),
    sqlite_autoincrement=True,
)
"""Its history. Without a body: it was removed."""

mirror_state = Table(
    "mirror_state",
    metadata,
    text("source", primary_key=True),
    text("kind"),
    text("set"),
    Column("is_connected", Boolean, nullable=False),
    text("trouble"),
    _number("at"),
    _number("contact_at"),
    _number("behind"),
    _number("taken"),
    _number("withheld"),
    _number("lines"),
    _number("lines_withheld"),
    _number("hits"),
)
"""Freshness of each source, and how much was withheld so far."""

fresh_day = Table(
    "fresh_day",
    metadata,
    text("kind", primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    _number("begun"),
    _number("until"),
    _number("fresh"),
)
"""How long in a day (UTC, days since 1970) a kind of source was fresh, in µs; when that began in this day, and up to
when it is counted."""

withheld = Table(
    "withheld",
    metadata,
    text("feed", primary_key=True),
    text("kind", primary_key=True),
    _number("records"),
    _number("lines"),
    _number("lines_withheld"),
)
"""How much of each kind of record the inside kept back since its feed began."""

version = Table(
    "version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _number("number"),
    _number("at"),
)
"""One row: it counts the transactions that changed something, for ETag and live pages."""
