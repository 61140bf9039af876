"""Tables of interlocks: their saved states and their history."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table, Text

from countingroom.storage.columns import Serial, metadata, ns, text

interlock = Table("interlock", metadata, text("name", primary_key=True), Column("state", Text, nullable=False))
"""`state` is a JSON text, so that a field which a later version adds needs no migration."""

interlock_history = Table(
    "interlock_history",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    ns("time_ns"),
    text("interlock"),
    text("kind"),
    text("name"),
    Column("trip", BigInteger, nullable=False),
    text("person"),
    text("text"),
    sqlite_autoincrement=True,
)
Index("ix_interlock_history_interlock_sequence", interlock_history.c.interlock, interlock_history.c.sequence)
Index(
    "uq_interlock_history_row",
    *(interlock_history.c[key] for key in ("interlock", "time_ns", "kind", "name", "trip", "person")),
    unique=True,
)
"""A row whose outcome was not known is stored again without harm."""
