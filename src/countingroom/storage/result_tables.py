"""Tables of the index of results, and of documents and arrays where PostgreSQL keeps them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table
from sqlalchemy.dialects.postgresql import JSONB

from countingroom.storage.columns import Json, Serial, metadata, ns, text

result = Table(
    "result",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    text("program"),
    text("title"),
    text("by"),
    text("comment"),
    text("state"),
    ns("started_ns"),
    ns("ended_ns", nullable=True),
    Column("is_added", Boolean, nullable=False),
    Column("versions", Json, nullable=False),
    Column("configuration", Json, nullable=False),
    Column("counters", Json, nullable=False),
    Column("documents", Json, nullable=False),
    Column("arrays", Json, nullable=False),
    Column("problems", Json, nullable=False),
    Column("cause", Json),
    Column("log_bytes", BigInteger, nullable=False),
    text("place"),
    CheckConstraint("(state = 'running') = (ended_ns IS NULL)", name="ended_whole"),
    sqlite_autoincrement=True,
)
Index("ix_result_program_number", result.c.program, result.c.number)
Index("ix_result_started_ns", result.c.started_ns)

result_document = Table(
    "result_document",
    metadata,
    Column("result", BigInteger, ForeignKey("result.number"), primary_key=True),
    text("name", primary_key=True),
    Column("content", JSON().with_variant(JSONB(), "postgresql"), nullable=False),
)
"""Documents in PostgreSQL, where SQL can ask for their keys. With SQLite they are files of the data folder."""

result_bytes = Table(
    "result_bytes",
    metadata,
    Column("result", BigInteger, ForeignKey("result.number"), primary_key=True),
    text("kind", primary_key=True),
    text("name", primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""Arrays (`kind` array, Parquet) and logs in PostgreSQL."""
