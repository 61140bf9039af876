"""Checks that only the alarm process that took over last writes the data of the alarm department."""

from __future__ import annotations

from sqlalchemy import Connection, select

from countingroom.core.errors import Conflict
from countingroom.storage.alarm_tables import alarm_writer


def present_writer(connection: Connection) -> int | None:
    """The number of the process that took over last; None if no process ever did."""
    return connection.scalar(select(alarm_writer.c.number))


def check_writer(connection: Connection, writer: int) -> None:
    """Conflict (`superseded`) if another process has taken over since `Alarms.take_over` gave this number."""
    # In the same transaction as the write. A lease alone is not enough: a process that was suspended may write after
    # its lease expired, before it notices.
    present = present_writer(connection)
    if present != writer:
        raise Conflict(
            f"another alarm process has taken over (writer {present}, this is {writer})",
            source="alarms",
            code="superseded",
            suggestion="send the command again: the present process answers it",
        )
