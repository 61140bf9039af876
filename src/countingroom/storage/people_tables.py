"""Tables of accounts, roles, sessions, links and the audit."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from countingroom.storage.columns import Json, Serial, metadata, ns, text

user = Table(
    "account",
    metadata,
    text("name", primary_key=True),
    text("full_name"),
    Column("password", Text),
    text("created_by"),
    ns("created_ns"),
    Column("disabled", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    ns("locked_until_ns"),
)

user_role = Table(
    "account_role",
    metadata,
    Column("name", Text, ForeignKey("account.name"), primary_key=True),
    text("target", primary_key=True),
    Column("role", Integer, nullable=False),
)

link = Table(
    "account_link",
    metadata,
    text("digest", primary_key=True),
    Column("name", Text, ForeignKey("account.name"), nullable=False),
    text("created_by"),
    ns("created_ns"),
    ns("expires_ns"),
    ns("used_ns", nullable=True),
)

session = Table(
    "session",
    metadata,
    text("digest", primary_key=True),
    Column("user", Text, ForeignKey("account.name"), nullable=False, index=True),
    ns("created_ns"),
    ns("last_seen_ns"),
    ns("expires_ns"),
    ns("revoked_ns", nullable=True),
    text("revoked_by"),
    text("origin"),
    text("agent"),
    Column("scope", Json),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    ns("time_ns"),
    text("who"),
    text("what"),
    text("target"),
    Column("arguments", Json, nullable=False),
    text("origin"),
    text("outcome"),
    Column("cause", Json),
    sqlite_autoincrement=True,
)
Index("ix_audit_who_sequence", audit.c.who, audit.c.sequence)
Index("ix_audit_target_sequence", audit.c.target, audit.c.sequence)
