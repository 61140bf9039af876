"""The flags that run control gives to a run, and the conditions at its beginning and its end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. Earlier runs have no flags and no conditions."""
    op.add_column("run", sa.Column("flags", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("run", sa.Column("conditions_begin", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("run", sa.Column("conditions_end", sa.Text(), nullable=False, server_default="{}"))
