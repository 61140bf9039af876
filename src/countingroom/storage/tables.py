"""Tables of configurations, tags, partitions and places. Migrations create them; a test compares both.

The present state is in tables with foreign keys, so that the database refuses inconsistent rows. The history is in
append-only tables.
"""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Integer, Table, Text

from countingroom.storage.columns import Json, Serial, metadata, ns, text

configuration = Table(
    "configuration",
    metadata,
    text("system", primary_key=True),
    text("tag", primary_key=True),
    Column("revision", Integer, nullable=False),
)

configuration_revision = Table(
    "configuration_revision",
    metadata,
    text("system", primary_key=True),
    text("tag", primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("parameters", Json, nullable=False),
    text("saved_by"),
    ns("saved_ns"),
    text("comment"),
    Column("deleted", Boolean, nullable=False),
)

schema_revision = Table(
    "schema_revision",
    metadata,
    text("system", primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("schema", Json),
    text("saved_by"),
    ns("saved_ns"),
    text("comment"),
)

tag = Table("tag", metadata, text("name", primary_key=True), Column("revision", Integer, nullable=False))

tag_member = Table(
    "tag_member",
    metadata,
    Column("name", Text, ForeignKey("tag.name", ondelete="CASCADE"), primary_key=True),
    text("system", primary_key=True),
    text("configuration"),
    ForeignKeyConstraint(["system", "configuration"], ["configuration.system", "configuration.tag"]),
)

tag_revision = Table(
    "tag_revision",
    metadata,
    text("name", primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("systems", Json, nullable=False),
    text("saved_by"),
    ns("saved_ns"),
    text("comment"),
    Column("deleted", Boolean, nullable=False),
)

partition = Table(
    "partition",
    metadata,
    text("name", primary_key=True),
    text("title"),
    text("template"),
    text("created_by"),
    ns("created_ns"),
    Column("locked", Boolean, nullable=False),
    text("tag"),
)

partition_wanted = Table(
    "partition_wanted",
    metadata,
    Column("partition", Text, ForeignKey("partition.name", ondelete="CASCADE"), primary_key=True),
    text("system", primary_key=True),
    text("configuration"),
    ForeignKeyConstraint(["system", "configuration"], ["configuration.system", "configuration.tag"]),
)

partition_excluded = Table(
    "partition_excluded",
    metadata,
    Column("partition", Text, ForeignKey("partition.name", ondelete="CASCADE"), primary_key=True),
    text("system", primary_key=True),
)

detector = Table(
    "detector",
    metadata,
    text("name", primary_key=True),
    Column("partition", Text, ForeignKey("partition.name")),
    text("type"),
    text("created_by"),
    ns("created_ns"),
    CheckConstraint("name <> ''", name="named"),
)
"""One row per detector with one column for its place, so that it cannot be in two partitions. NULL: unmapped."""

layout_change = Table(
    "layout_change",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    ns("time_ns"),
    text("who"),
    text("what"),
    text("partition"),
    text("system"),
    Column("detail", Json, nullable=False),
    sqlite_autoincrement=True,
)

description_applied = Table(
    "description_applied",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("contents", Json, nullable=False),
    text("applied_by"),
    ns("applied_ns"),
)
"""What the description said when it was applied. The newest revision counts."""
