"""When a computer was last named by its upstream; logs compressed with less effort."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, and let PostgreSQL compress logs by lz4 where it was built with it."""
    op.add_column("host_status", sa.Column("seen_at", sa.BigInteger(), nullable=False, server_default="0"))
    if op.get_bind().dialect.name == "postgresql":
        query = "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"
        if "lz4" in (op.get_bind().execute(sa.text(query)).scalar() or ()):
            op.execute("ALTER TABLE document_log ALTER COLUMN lines SET COMPRESSION lz4")
