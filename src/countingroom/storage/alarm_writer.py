"""The check that the process which writes what the alarm department keeps is the one that took over last."""

from __future__ import annotations

from sqlalchemy import Connection, select

from countingroom.core.errors import Conflict
from countingroom.storage.alarm_tables import alarm_writer


def present_writer(connection: Connection) -> int | None:
    """The number of the process that took over last; None where none ever did."""
    return connection.scalar(select(alarm_writer.c.number))


def check_writer(connection: Connection, writer: int) -> None:
    """Conflict (`superseded`) where another process has taken over since `Alarms.take_over` gave this number."""
    present = present_writer(connection)
    if present != writer:
        raise Conflict(
            f"another alarm process has taken over (writer {present}, this is {writer})",
            source="alarms",
            code="superseded",
            suggestion="send the command again: the present process answers it",
        )
