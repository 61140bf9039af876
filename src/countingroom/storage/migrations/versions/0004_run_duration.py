"""The duration of a run by the monotonic clock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Earlier runs have none, and their duration follows from the two times."""
    op.add_column("run", sa.Column("duration_s", sa.Float(), nullable=True))
