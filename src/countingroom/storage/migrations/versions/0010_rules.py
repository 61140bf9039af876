"""Saved states of rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "rule",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("saved", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rule")),
    )
