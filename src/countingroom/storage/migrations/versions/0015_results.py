"""The index of results, and tables for the documents and arrays that PostgreSQL keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "result",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("program", "title", "by", "comment", "state")),
        sa.Column("started_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("is_added", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("versions", "configuration", "counters", "documents", "arrays", "problems")
        ),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("log_bytes", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.CheckConstraint("(state = 'running') = (ended_ns IS NULL)", name=op.f("ck_result_ended_whole")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_result")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_result_program_number", "result", ["program", "number"])
    op.create_index("ix_result_started_ns", "result", ["started_ns"])
    op.create_table(
        "result_document",
        sa.Column("result", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["result.number"], name=op.f("fk_result_document_result")),
        sa.PrimaryKeyConstraint("result", "name", name=op.f("pk_result_document")),
    )
    op.create_table(
        "result_bytes",
        sa.Column("result", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["result.number"], name=op.f("fk_result_bytes_result")),
        sa.PrimaryKeyConstraint("result", "kind", "name", name=op.f("pk_result_bytes")),
    )
