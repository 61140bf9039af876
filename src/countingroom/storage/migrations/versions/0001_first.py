"""First schema: configurations, tags, partitions, places, the run book and accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "account",
        _text("name"),
        _text("full_name"),
        sa.Column("password", sa.Text(), nullable=True),
        _text("created_by"),
        _ns("created_ns"),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        _ns("locked_until_ns"),
        sa.PrimaryKeyConstraint("name", name="pk_account"),
    )
    op.create_table(
        "audit",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        _ns("time_ns"),
        _text("who"),
        _text("what"),
        _text("target"),
        _text("arguments"),
        _text("origin"),
        _text("outcome"),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_target_sequence", "audit", ["target", "sequence"], unique=False)
    op.create_index("ix_audit_who_sequence", "audit", ["who", "sequence"], unique=False)
    op.create_table(
        "configuration",
        _text("system"),
        _text("tag"),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("system", "tag", name="pk_configuration"),
    )
    op.create_table(
        "configuration_revision",
        _text("system"),
        _text("tag"),
        sa.Column("revision", sa.Integer(), nullable=False),
        _text("parameters"),
        _text("saved_by"),
        _ns("saved_ns"),
        _text("comment"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("system", "tag", "revision", name="pk_configuration_revision"),
    )
    op.create_table(
        "layout_change",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        _ns("time_ns"),
        _text("who"),
        _text("what"),
        _text("partition"),
        _text("system"),
        _text("detail"),
        sa.PrimaryKeyConstraint("sequence", name="pk_layout_change"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "partition",
        _text("name"),
        _text("title"),
        _text("template"),
        _text("created_by"),
        _ns("created_ns"),
        sa.Column("locked", sa.Boolean(), nullable=False),
        _text("tag"),
        sa.PrimaryKeyConstraint("name", name="pk_partition"),
    )
    op.create_table(
        "run",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        _text("partition"),
        _text("template"),
        _text("requested_by"),
        _ns("asked_ns"),
        sa.Column("started_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.Text(), nullable=True),
        _text("ended_by"),
        sa.Column("cause", sa.Text(), nullable=True),
        _text("tag"),
        _text("configurations"),
        _text("members"),
        _text("versions"),
        sa.Column("limit", sa.Text(), nullable=True),
        _text("quality"),
        _text("counters"),
        _text("sequence"),
        sa.CheckConstraint('("end" IS NULL) = (ended_ns IS NULL)', name="ck_run_closed_whole"),
        sa.PrimaryKeyConstraint("number", name="pk_run"),
    )
    op.create_index("ix_run_asked_ns", "run", ["asked_ns"], unique=False)
    op.create_index("ix_run_partition_number", "run", ["partition", "number"], unique=False)
    op.create_index(
        "uq_run_open",
        "run",
        ["partition"],
        unique=True,
        sqlite_where=sa.text('"end" IS NULL'),
        postgresql_where=sa.text('"end" IS NULL'),
    )
    op.create_table(
        "run_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _ns("last"),
        sa.CheckConstraint("id = 1", name="ck_run_counter_single"),
        sa.PrimaryKeyConstraint("id", name="pk_run_counter"),
    )
    op.create_table(
        "run_sequence",
        _text("name"),
        _text("partition"),
        _text("requested_by"),
        _ns("created_ns"),
        _text("system"),
        _text("parameter"),
        _text("values"),
        _text("limit"),
        _text("tag"),
        _text("runs"),
        _text("end"),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_run_sequence"),
    )
    op.create_index(
        "uq_run_sequence_open",
        "run_sequence",
        ["partition"],
        unique=True,
        sqlite_where=sa.text("\"end\" = ''"),
        postgresql_where=sa.text("\"end\" = ''"),
    )
    op.create_table(
        "schema_revision",
        _text("system"),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("schema", sa.Text(), nullable=True),
        _text("saved_by"),
        _ns("saved_ns"),
        _text("comment"),
        sa.PrimaryKeyConstraint("system", "revision", name="pk_schema_revision"),
    )
    op.create_table(
        "tag",
        _text("name"),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_tag"),
    )
    op.create_table(
        "tag_revision",
        _text("name"),
        sa.Column("revision", sa.Integer(), nullable=False),
        _text("systems"),
        _text("saved_by"),
        _ns("saved_ns"),
        _text("comment"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", "revision", name="pk_tag_revision"),
    )
    op.create_table(
        "account_link",
        _text("digest"),
        _text("name"),
        _text("created_by"),
        _ns("created_ns"),
        _ns("expires_ns"),
        sa.Column("used_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["name"], ["account.name"], name="fk_account_link_name"),
        sa.PrimaryKeyConstraint("digest", name="pk_account_link"),
    )
    op.create_table(
        "account_role",
        _text("name"),
        _text("target"),
        sa.Column("role", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["name"], ["account.name"], name="fk_account_role_name"),
        sa.PrimaryKeyConstraint("name", "target", name="pk_account_role"),
    )
    op.create_table(
        "detector",
        _text("name"),
        sa.Column("partition", sa.Text(), nullable=True),
        _text("type"),
        _text("created_by"),
        _ns("created_ns"),
        sa.CheckConstraint("name <> ''", name="ck_detector_named"),
        sa.ForeignKeyConstraint(["partition"], ["partition.name"], name="fk_detector_partition"),
        sa.PrimaryKeyConstraint("name", name="pk_detector"),
    )
    op.create_table(
        "partition_excluded",
        _text("partition"),
        _text("system"),
        sa.ForeignKeyConstraint(
            ["partition"], ["partition.name"], name="fk_partition_excluded_partition", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("partition", "system", name="pk_partition_excluded"),
    )
    op.create_table(
        "partition_wanted",
        _text("partition"),
        _text("system"),
        _text("configuration"),
        sa.ForeignKeyConstraint(
            ["partition"], ["partition.name"], name="fk_partition_wanted_partition", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["system", "configuration"],
            ["configuration.system", "configuration.tag"],
            name="fk_partition_wanted_system_configuration",
        ),
        sa.PrimaryKeyConstraint("partition", "system", name="pk_partition_wanted"),
    )
    op.create_table(
        "run_note",
        sa.Column("sequence", _serial, autoincrement=True, nullable=False),
        _ns("run"),
        _ns("time_ns"),
        _text("kind"),
        _text("text"),
        _text("author"),
        _text("system"),
        sa.ForeignKeyConstraint(["run"], ["run.number"], name="fk_run_note_run"),
        sa.PrimaryKeyConstraint("sequence", name="pk_run_note"),
    )
    op.create_index("ix_run_note_run", "run_note", ["run"], unique=False)
    op.create_table(
        "session",
        _text("digest"),
        _text("user"),
        _ns("created_ns"),
        _ns("last_seen_ns"),
        _ns("expires_ns"),
        sa.Column("revoked_ns", sa.BigInteger(), nullable=True),
        _text("revoked_by"),
        _text("origin"),
        _text("agent"),
        sa.ForeignKeyConstraint(["user"], ["account.name"], name="fk_session_user"),
        sa.PrimaryKeyConstraint("digest", name="pk_session"),
    )
    op.create_index("ix_session_user", "session", ["user"], unique=False)
    op.create_table(
        "tag_member",
        _text("name"),
        _text("system"),
        _text("configuration"),
        sa.ForeignKeyConstraint(["name"], ["tag.name"], name="fk_tag_member_name", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["system", "configuration"],
            ["configuration.system", "configuration.tag"],
            name="fk_tag_member_system_configuration",
        ),
        sa.PrimaryKeyConstraint("name", "system", name="pk_tag_member"),
    )
    op.execute("INSERT INTO run_counter (id, last) VALUES (1, 0)")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _ns(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
