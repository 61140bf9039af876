"""Saved states and history of interlocks. A change is one transaction, synced before the call returns where a person
asked for it. A trip does not wait for the disk: it is committed, which outlives a kill, and synced right after.

Only the alarm process that took over last may write; see `alarm_writer.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, func, select

from countingroom.core.interlocks.history import InterlockEntry, InterlockHistoryQuery
from countingroom.core.interlocks.states import InterlockState
from countingroom.storage import rows
from countingroom.storage.alarm_writer import check_writer
from countingroom.storage.inserting import meeting_insert
from countingroom.storage.interlock_tables import interlock, interlock_history
from countingroom.storage.repository import Repository, reading

MOST_ROWS = 100_000
"""Rows of the history that are kept; about 20 MB. Trips are rare."""

_states = msgspec.json.Decoder(InterlockState)


class Interlocks(Repository):
    """Repository of interlocks."""

    @reading
    def load(self, connection: Connection) -> tuple[InterlockState, ...]:
        """Every saved state, by name."""
        query = select(interlock.c.state).order_by(interlock.c.name)
        return tuple(_states.decode(state) for state in connection.scalars(query))

    async def save(
        self,
        writer: int,
        states: Sequence[InterlockState] = (),
        entries: Sequence[InterlockEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        """Store states and add rows to the history in one transaction; a repeated call has no further effect. `writer`
        is the number from `Alarms.take_over`; Conflict (`superseded`) if another process has taken over since."""
        await self.store.write(lambda connection: self._save(connection, writer, states, entries), synced=synced)

    def _save(
        self,
        connection: Connection,
        writer: int,
        states: Sequence[InterlockState],
        entries: Sequence[InterlockEntry],
    ) -> None:
        check_writer(connection, writer)
        if states:
            last = {one.name: msgspec.json.encode(one).decode() for one in states}
            statement = meeting_insert(connection, interlock)
            statement = statement.on_conflict_do_update(
                index_elements=[interlock.c.name], set_={"state": statement.excluded["state"]}
            )
            connection.execute(statement, [{"name": name, "state": state} for name, state in last.items()])
        if entries:
            added = [rows.columns(one, "sequence") | {"kind": one.kind.value} for one in entries]
            connection.execute(meeting_insert(connection, interlock_history).on_conflict_do_nothing(), added)
            sequence = interlock_history.c.sequence
            # The numbers are about consecutive. To count the rows would take each trip milliseconds.
            newest = select(func.max(sequence)).scalar_subquery()
            connection.execute(delete(interlock_history).where(sequence <= newest - MOST_ROWS))

    @reading
    def history(self, connection: Connection, wanted: InterlockHistoryQuery) -> tuple[InterlockEntry, ...]:
        """The rows that match, those stored last first."""
        table = interlock_history.c
        query = select(interlock_history)
        if wanted.interlock:
            query = query.where(table.interlock == wanted.interlock)
        if wanted.from_ns is not None:
            query = query.where(table.time_ns >= wanted.from_ns)
        if wanted.before_ns is not None:
            query = query.where(table.time_ns < wanted.before_ns)
        return rows.every(connection, query.order_by(table.sequence.desc()).limit(max(0, wanted.limit)), InterlockEntry)
