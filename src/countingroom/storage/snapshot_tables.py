"""Tables of snapshots, golden marks, restores, and the record of what was done with them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from countingroom.storage.columns import Json, Serial, metadata, ns, text

snapshot = Table(
    "snapshot",
    metadata,
    text("name", primary_key=True),
    Column("scope", Json, nullable=False),
    text("reason"),
    text("taken_by"),
    ns("taken_ns"),
    text("imported_by"),
    ns("imported_ns"),
    Column("summary", Json, nullable=False),
    Column("points", Json, nullable=False),
)
"""`summary` is made of the points when it is saved, so that a list reads no points."""

snapshot_golden = Table(
    "snapshot_golden",
    metadata,
    text("scope", primary_key=True),
    text("snapshot"),
    text("marked_by"),
    ns("marked_ns"),
    text("reason"),
)

snapshot_restore = Table(
    "snapshot_restore",
    metadata,
    text("id", primary_key=True),
    text("snapshot"),
    text("end"),
    ns("started_ns"),
    Column("content", Json, nullable=False),
)
"""`content` is the restore as JSON, without the results; the other columns are copies of its fields, to search by."""

snapshot_restore_point = Table(
    "snapshot_restore_point",
    metadata,
    Column("restore", Text, ForeignKey("snapshot_restore.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("result", Json, nullable=False),
)
"""What became of one planned write. One that was not tried has no row."""
Index("ix_snapshot_restore_started_ns", snapshot_restore.c.started_ns)
Index("ix_snapshot_restore_end", snapshot_restore.c.end)

snapshot_action = Table(
    "snapshot_action",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    ns("time_ns"),
    text("who"),
    text("what"),
    text("snapshot"),
    text("reason"),
    Column("detail", Json, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_snapshot_action_snapshot_sequence", snapshot_action.c.snapshot, snapshot_action.c.sequence)
