"""Tables of messages to people: the outbox, how far the planner has come in the history of alarms, what it
remembers, and links that acknowledge."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Table, Text

from countingroom.storage.columns import Json, Serial, metadata, ns, text

notification = Table(
    "notification",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    text("id"),
    text("channel"),
    text("state"),
    ns("due_ns"),
    ns("expires_ns"),
    Column("attempt", Integer, nullable=False),
    Column("is_repeat", Boolean, nullable=False),
    text("error"),
    ns("ended_ns", nullable=True),
    Column("message", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""`message` is JSON text of what does not change from try to try."""
Index("uq_notification_id", notification.c.id, unique=True)
Index("ix_notification_state_channel_due_ns", notification.c.state, notification.c.channel, notification.c.due_ns)
Index("ix_notification_ended_ns", notification.c.ended_ns)

notification_cursor = Table(
    "notification_cursor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

notification_plan = Table(
    "notification_plan",
    metadata,
    text("key", primary_key=True),
    text("value"),
)
"""`value` is JSON text, which only the planner reads."""

acknowledge_link = Table(
    "acknowledge_link",
    metadata,
    text("digest", primary_key=True),
    text("message"),
    text("user"),
    Column("alarms", Json, nullable=False),
    ns("expires_ns"),
    ns("used_ns", nullable=True),
)
"""`alarms` is identity -> [occurrence, priority] as the message told them."""
Index("ix_acknowledge_link_message", acknowledge_link.c.message)
Index("ix_acknowledge_link_expires_ns", acknowledge_link.c.expires_ns)
