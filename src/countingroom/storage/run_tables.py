"""Tables of the run book. Constraints: one open run per partition, unique numbers, an end with time and reason."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Index, Integer, Table, Text
from sqlalchemy import text as sql

from countingroom.storage.columns import Json, Serial, metadata, ns, text

run_counter = Table(
    "run_counter",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("last", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

run = Table(
    "run",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    text("partition"),
    text("template"),
    text("requested_by"),
    ns("asked_ns"),
    ns("started_ns", nullable=True),
    ns("ended_ns", nullable=True),
    Column("duration_s", Float),
    Column("end", Text),
    text("ended_by"),
    Column("cause", Json),
    text("tag"),
    Column("configurations", Json, nullable=False),
    Column("members", Json, nullable=False),
    Column("versions", Json, nullable=False),
    Column("limit", Json),
    text("quality"),
    Column("counters", Json, nullable=False),
    text("sequence"),
    Column("flags", Json, nullable=False, server_default="[]"),
    Column("conditions_begin", Json, nullable=False, server_default="{}"),
    Column("conditions_end", Json, nullable=False, server_default="{}"),
    CheckConstraint('("end" IS NULL) = (ended_ns IS NULL)', name="closed_whole"),
)
Index("ix_run_partition_number", run.c.partition, run.c.number)
Index("ix_run_asked_ns", run.c.asked_ns)
Index(
    "uq_run_open",
    run.c.partition,
    unique=True,
    sqlite_where=sql('"end" IS NULL'),
    postgresql_where=sql('"end" IS NULL'),
)

run_note = Table(
    "run_note",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    Column("run", BigInteger, ForeignKey("run.number"), nullable=False, index=True),
    ns("time_ns"),
    text("kind"),
    text("text"),
    text("author"),
    text("system"),
)

run_sequence = Table(
    "run_sequence",
    metadata,
    text("name", primary_key=True),
    text("partition"),
    text("requested_by"),
    ns("created_ns"),
    text("system"),
    text("parameter"),
    Column("values", Json, nullable=False),
    Column("limit", Json, nullable=False),
    text("tag"),
    Column("runs", Json, nullable=False),
    text("end"),
    ns("ended_ns", nullable=True),
    Column("cause", Json),
)
Index(
    "uq_run_sequence_open",
    run_sequence.c.partition,
    unique=True,
    sqlite_where=sql("\"end\" = ''"),
    postgresql_where=sql("\"end\" = ''"),
)
