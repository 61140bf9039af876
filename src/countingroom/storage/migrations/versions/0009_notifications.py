"""The outbox of messages to people, and how far the planner has come in the history of alarms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables. The outbox may shrink: it is bounded."""
    op.create_table(
        "notification",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("is_repeat", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_notification")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_notification_id", "notification", ["id"], unique=True)
    op.create_index("ix_notification_state_channel_due_ns", "notification", ["state", "channel", "due_ns"])
    op.create_index("ix_notification_ended_ns", "notification", ["ended_ns"])
    op.create_table(
        "notification_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_notification_cursor_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_cursor")),
    )
