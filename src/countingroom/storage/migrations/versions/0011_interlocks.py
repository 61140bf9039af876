"""Saved states and history of interlocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables. The history may shrink: it is bounded."""
    op.create_table(
        "interlock",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_interlock")),
    )
    op.create_table(
        "interlock_history",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        sa.Column("time_ns", sa.BigInteger(), nullable=False),
        sa.Column("interlock", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("trip", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_interlock_history")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_interlock_history_interlock_sequence", "interlock_history", ["interlock", "sequence"])
    row = ["interlock", "time_ns", "kind", "name", "trip", "person"]
    op.create_index("uq_interlock_history_row", "interlock_history", row, unique=True)
