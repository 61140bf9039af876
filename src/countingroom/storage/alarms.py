"""Saved states and history of alarms. A change is one transaction, synced before the call returns.

Only the process that took over last may write. A process that is suspended for longer than its lease, and then
continues, must not overwrite the acknowledgements of its successor. The number of the writer is a counter of the
database, not the revision of the lease, because that begins again with a new bus.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from countingroom.core.alarms.history import AlarmEntry, AlarmHistoryFilter, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState
from countingroom.core.alarms.statistics import COUNTED_KINDS, CountedRow
from countingroom.storage import rows
from countingroom.storage.alarm_tables import alarm, alarm_history, alarm_writer
from countingroom.storage.alarm_writer import check_writer, present_writer
from countingroom.storage.repository import Repository, reading, writing

MOST_ENTRIES = 1_000_000
"""The most rows of the history that are kept; about 300 MB."""
CHUNK = 1_000
"""Rows that one transaction deletes. It takes 100 ms on a busy machine, and an acknowledgement waits for it."""
COUNTED = 1_000
"""Rows that are read for statistics in one transaction."""

# A flood of alarms is tens of thousands of rows. Through SQLAlchemy each one costs twice as much (64 instead of 32 us
# with its state), so these two statements go to the driver as they are.
_SAVE = """INSERT INTO alarm (id, occurrence, state, extra) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET occurrence = excluded.occurrence, state = excluded.state, extra = excluded.extra"""
_ADDED = tuple(column.name for column in alarm_history.columns if column.name != "sequence")
_ADD = f"""INSERT INTO alarm_history ({", ".join(_ADDED)}) VALUES ({", ".join("?" for _ in _ADDED)})
ON CONFLICT DO NOTHING"""  # noqa: S608 (names of columns)
_ESCAPE = "\\"
_BECAME_TRUE = (HistoryKind.ANNOUNCED.value, HistoryKind.ACTIVATED.value)
_states = msgspec.json.Decoder(AlarmState)


class Alarms(Repository):
    """Repository of alarms."""

    @writing
    def take_over(self, connection: Connection, name: str) -> int:
        """Become the process that writes, and return its number for `save`. Saves with earlier numbers are refused from
        now on. `name`: the instance of the process, for people."""
        number = (present_writer(connection) or 0) + 1
        values = {"number": number, "name": name, "since_ns": self.clock.now_ns()}
        statement = insert(alarm_writer).values(id=1, **values) if number == 1 else update(alarm_writer).values(values)
        connection.execute(statement)
        return number

    @reading
    def load(self, connection: Connection) -> tuple[SavedAlarm, ...]:
        """Every saved alarm, also those at rest that occurred before, by id."""
        query = select(alarm.c.id, alarm.c.occurrence, alarm.c.state, alarm.c.extra).order_by(alarm.c.id)
        return tuple(
            SavedAlarm(
                id=one,
                occurrence=occurrence,
                state=None if state is None else _states.decode(state),
                extra=msgspec.json.decode(extra),
            )
            for one, occurrence, state, extra in connection.execute(query)
        )

    async def save(
        self,
        writer: int,
        changed: Sequence[SavedAlarm] = (),
        entries: Sequence[AlarmEntry] = (),
        *,
        synced: bool = True,
    ) -> None:
        """Store states and add rows to the history, all or none. `writer` is the number from `take_over`; Conflict
        (`superseded`) where another process has taken over since. Not `synced`: it outlives this process, and is synced
        right after.

        The same call again has no effect, so a call with an unknown outcome may be repeated.
        """
        await self.store.write(lambda connection: self._save(connection, writer, changed, entries), synced=synced)

    def _save(
        self, connection: Connection, writer: int, changed: Sequence[SavedAlarm], entries: Sequence[AlarmEntry]
    ) -> None:
        check_writer(connection, writer)
        if changed:
            connection.exec_driver_sql(_marked(connection, _SAVE), _saved(changed))
        if entries:
            connection.exec_driver_sql(_marked(connection, _ADD), [_row(one) for one in entries])

    @reading
    def history(self, connection: Connection, wanted: AlarmHistoryFilter) -> tuple[AlarmEntry, ...]:
        """The rows of the history that match the filter, those stored last first."""
        query = select(alarm_history).where(*_conditions(wanted))
        query = query.order_by(alarm_history.c.sequence.desc()).limit(max(0, wanted.limit))
        return rows.every(connection, query, AlarmEntry)

    @reading
    def occurrences(self, connection: Connection, of: str, since_ns: int) -> int:
        """How often the condition of an alarm became true since this time."""
        table = alarm_history.c
        query = select(func.count()).where(table.alarm == of, table.time_ns >= since_ns, table.kind.in_(_BECAME_TRUE))
        return connection.scalar(query) or 0

    @reading
    def oldest_ns(self, connection: Connection) -> int | None:
        """The lowest time of the history; None: there is none."""
        return connection.scalar(select(func.min(alarm_history.c.time_ns)))

    @reading
    def counted_rows(
        self, connection: Connection, from_ns: int, to_ns: int, area: str = "", after: CountedRow | None = None
    ) -> tuple[CountedRow, ...]:
        """The next COUNTED rows for statistics, in the order of their times, from `from_ns` until before `to_ns`.
        `after`: the last one that was read."""
        table = alarm_history.c
        query = select(*(table[name] for name in CountedRow._fields))
        query = query.where(*_conditions(AlarmHistoryFilter(area=area, kinds=COUNTED_KINDS, to_ns=to_ns)))
        if after is None:
            query = query.where(table.time_ns >= from_ns)
        else:
            same = and_(table.time_ns == after.time_ns, table.sequence > after.sequence)
            query = query.where(table.time_ns >= after.time_ns, or_(table.time_ns > after.time_ns, same))
        query = query.order_by(table.time_ns, table.sequence).limit(COUNTED)
        rows = cast("Iterable[tuple[Any, ...]]", connection.execute(query))
        return tuple(map(CountedRow._make, rows))

    async def discard(self, before_ns: int, most: int = MOST_ENTRIES) -> int:
        """Delete rows of the history from before this time, and the oldest ones beyond `most`. Returns the number of
        rows. Other transactions get their turn between the chunks."""
        total = 0
        while deleted := await self._discard_chunk(before_ns, most):
            total += deleted
            if deleted < CHUNK:
                break
        return total

    @writing
    def _discard_chunk(self, connection: Connection, before_ns: int, most: int) -> int:
        # Rows are added by one process in the order of time: the oldest ones have the lowest numbers. `before_ns`
        # takes only rows among these, so that a clock that was once wrong never keeps the table from shrinking.
        sequence = alarm_history.c.sequence
        newest = select(sequence).order_by(sequence.desc()).offset(max(0, most)).limit(1)
        last = connection.scalar(newest)
        old = alarm_history.c.time_ns < before_ns
        condition = old if last is None else or_(old, sequence <= last)
        oldest = select(sequence).where(condition).order_by(sequence).limit(CHUNK)
        return connection.execute(delete(alarm_history).where(sequence.in_(oldest))).rowcount


def _marked(connection: Connection, statement: str) -> str:
    """The statement with the marks for values of the driver: `?` or `%s`."""
    return statement if connection.dialect.name == "sqlite" else statement.replace("?", "%s")


def _saved(changed: Sequence[SavedAlarm]) -> list[tuple[Any, ...]]:
    """The rows; the last one where an alarm occurs twice."""
    last = {one.id: one for one in changed}
    return [
        (
            _text(one.id),
            one.occurrence,
            None if one.state is None else msgspec.json.encode(one.state).decode(),
            msgspec.json.encode(one.extra).decode(),
        )
        for one in last.values()
    ]


def _row(one: AlarmEntry) -> tuple[Any, ...]:
    """The values of `_ADDED`."""
    return (
        one.time_ns,
        _text(one.alarm),
        _text(one.area),
        _text(one.title),
        one.kind.value,
        one.occurrence,
        one.base.value,
        one.priority,
        _text(one.person),
        _text(one.text),
        one.until_ns,
        None if one.value is None else msgspec.json.encode(one.value).decode(),
        _text(one.cause_id),
    )


def _text(value: str) -> str:
    """As `PlainText` stores it."""
    return value.replace("\0", "\ufffd")


def _conditions(wanted: AlarmHistoryFilter) -> list[ColumnElement[bool]]:
    table = alarm_history.c
    found: list[ColumnElement[bool]] = []
    if wanted.alarm:
        found.append(table.alarm == wanted.alarm)
    if wanted.area:
        below = table.area.startswith(f"{wanted.area}/", autoescape=True, escape=_ESCAPE)
        found.append(or_(table.area == wanted.area, below))
    if wanted.kinds:
        found.append(table.kind.in_([one.value for one in wanted.kinds]))
    if wanted.person:
        found.append(table.person == wanted.person)
    if wanted.priority is not None:
        found.append(table.priority <= wanted.priority)
    if wanted.from_ns is not None:
        found.append(table.time_ns >= wanted.from_ns)
    if wanted.to_ns is not None:
        found.append(table.time_ns < wanted.to_ns)
    if wanted.before is not None:
        found.append(table.sequence < wanted.before)
    return found
