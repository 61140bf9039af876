"""What the planner of messages remembers, one row for each of its keys. It was one document, which each change wrote
anew: 4.8 MB with 10,000 alarms."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the keys of the document into a table."""
    plan = op.create_table(
        "notification_plan",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notification_plan")),
    )
    for document in op.get_bind().scalars(sa.text("SELECT plan FROM notification_cursor")).all():
        rows = [
            {"key": key, "value": value} for key, value in msgspec.json.decode(document, type=dict[str, str]).items()
        ]
        if rows:
            op.bulk_insert(plan, rows)
    op.drop_column("notification_cursor", "plan")
