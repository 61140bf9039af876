"""Tables of alarms: their saved states, their history, and the process that may write them."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from countingroom.storage.columns import Json, Serial, metadata, ns, text

alarm = Table(
    "alarm",
    metadata,
    text("id", primary_key=True),
    Column("occurrence", BigInteger, nullable=False),
    Column("state", Text),
    Column("extra", Text, nullable=False),
    CheckConstraint("occurrence >= 0", name="counted"),
)
"""`state` and `extra` are JSON texts, so that a field which a later version adds needs no migration."""

alarm_history = Table(
    "alarm_history",
    metadata,
    Column("sequence", Serial, primary_key=True, autoincrement=True),
    ns("time_ns"),
    text("alarm"),
    text("area"),
    text("title"),
    text("kind"),
    Column("occurrence", BigInteger, nullable=False),
    text("base"),
    Column("priority", Integer, nullable=False),
    text("person"),
    text("text"),
    ns("until_ns", nullable=True),
    Column("value", Json),
    text("cause_id"),
    sqlite_autoincrement=True,
)
Index("ix_alarm_history_time_ns", alarm_history.c.time_ns)
Index("ix_alarm_history_alarm_sequence", alarm_history.c.alarm, alarm_history.c.sequence)
Index(
    "uq_alarm_history_row",
    *(alarm_history.c[key] for key in ("alarm", "time_ns", "kind", "occurrence", "person")),
    unique=True,
)
"""A row whose outcome was not known is stored again without harm."""

alarm_writer = Table(
    "alarm_writer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    text("name"),
    ns("since_ns"),
    CheckConstraint("id = 1", name="single"),
)
"""The process that took over last. Only its number may change states."""
