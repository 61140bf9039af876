"""The scope of a token; tokens that were made before end within a year."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_YEAR_NS = 365 * 86_400 * 1_000_000_000


def upgrade() -> None:
    """Add the column and shorten the tokens."""
    op.add_column("session", sa.Column("scope", sa.Text(), nullable=True))
    session = sa.table("session", sa.column("origin", sa.Text()), sa.column("expires_ns", sa.BigInteger()))
    latest_ns = time.time_ns() + _YEAR_NS
    too_long = (session.c.origin == "token") & (session.c.expires_ns > latest_ns)
    op.execute(sa.update(session).where(too_long).values(expires_ns=latest_ns))
