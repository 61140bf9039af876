"""Saved states and history of alarms, and the process that may write them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables. The history may shrink: it is bounded."""
    op.create_table(
        "alarm",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.CheckConstraint("occurrence >= 0", name=op.f("ck_alarm_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_table(
        "alarm_history",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("occurrence", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=True),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("cause_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_alarm_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alarm_history_time_ns", "alarm_history", ["time_ns"])
    op.create_index("ix_alarm_history_alarm_sequence", "alarm_history", ["alarm", "sequence"])
    row = ["alarm", "time_ns", "kind", "occurrence", "person"]
    op.create_index("uq_alarm_history_row", "alarm_history", row, unique=True)
    op.create_table(
        "alarm_writer",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_alarm_writer_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_writer")),
    )
