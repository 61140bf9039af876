"""One-time links that acknowledge alarms."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table. It may shrink: expired links are deleted."""
    op.create_table(
        "acknowledge_link",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("alarms", sa.Text(), nullable=False),
        sa.Column("expires_ns", sa.BigInteger(), nullable=False),
        sa.Column("used_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_acknowledge_link")),
    )
    op.create_index("ix_acknowledge_link_message", "acknowledge_link", ["message"])
    op.create_index("ix_acknowledge_link_expires_ns", "acknowledge_link", ["expires_ns"])
