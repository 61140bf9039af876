"""The outbox of messages to people. A change is one transaction, synced before the call returns.

A message is marked as being tried before it is sent, and as sent after the receiver accepted it. A process that is
killed in between leaves it marked as being tried: the next one sends it again, as a possible repeat with the same
identity. So no message is lost, and one that comes twice can be recognised.

Only the process that took over last may write, as in `storage/alarms.py`: one that was stopped for longer than its
lease lasts must not send what its successor sends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, insert, or_, select, update

from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.notify.messages import (
    AHEAD_NS,
    Notification,
    NotificationState,
    NotifyCursor,
    OutboxEntry,
    begun,
)
from countingroom.storage import rows
from countingroom.storage.acknowledge_links import issue
from countingroom.storage.alarm_tables import alarm_history
from countingroom.storage.alarm_writer import check_writer
from countingroom.storage.inserting import meeting_insert
from countingroom.storage.notification_tables import notification, notification_cursor, notification_plan
from countingroom.storage.repository import Repository, reading, writing

MOST_ENDED = 20_000
"""Messages that are kept after they were sent, cancelled or dead; about 1 kB each."""
CHUNK = 1_000
"""Messages deleted in one transaction."""
MOST_NEWS = 1_000
"""Rows of the history that one call gives."""
MOST_ERROR = 500
"""Characters of an error that are kept."""

_PENDING = tuple(one.value for one in NotificationState if one.is_pending)
_notifications = msgspec.json.Decoder(Notification)


class Notifications(Repository):
    """Repository of the outbox."""

    @writing
    def recover(self, connection: Connection, writer: int) -> NotifyCursor:
        """Begin as the process with this number, after `Alarms.take_over`: messages that were being tried are due
        again and may be repeats. Returns the cursor; at the first call of all it is at the end of the history."""
        check_writer(connection, writer)
        trying = notification.c.state == NotificationState.TRYING.value
        again = {"state": NotificationState.DUE.value, "is_repeat": True, "due_ns": self.clock.now_ns()}
        connection.execute(update(notification).where(trying).values(again))
        found = _cursor(connection)
        if found is not None:
            return found
        newest = connection.scalar(select(func.max(alarm_history.c.sequence))) or 0
        connection.execute(insert(notification_cursor).values(id=1, sequence=newest))
        return NotifyCursor(sequence=newest)

    @reading
    def cursor(self, connection: Connection) -> NotifyCursor | None:
        """How far the planner has come; None before the first `recover`."""
        return _cursor(connection)

    @reading
    def news(self, connection: Connection, after: int, most: int = MOST_NEWS) -> tuple[AlarmEntry, ...]:
        """The rows of the history of alarms with a higher sequence number, in their order."""
        query = select(alarm_history).where(alarm_history.c.sequence > after)
        return rows.every(connection, query.order_by(alarm_history.c.sequence).limit(most), AlarmEntry)

    @writing
    def put(
        self,
        connection: Connection,
        writer: int,
        messages: Sequence[Notification] = (),
        *,
        sequence: int | None = None,
        changed: Mapping[str, str | None] | None = None,
        held: Sequence[OutboxEntry] = (),
    ) -> None:
        """Store messages, how far the history was read, and what the planner remembers, all or none. `changed`: the
        keys of the plan with another value; None: deleted. A message whose identity is in the outbox already changes
        nothing, so the same call may be repeated. `held`: messages that the calling process sends without the outbox;
        those that have not ended are marked as being tried. Conflict (`superseded`) where another process has taken
        over."""
        check_writer(connection, writer)
        new = [*messages, *(entry.notification for entry in held)]
        if new:
            statement = meeting_insert(connection, notification).on_conflict_do_nothing()
            connection.execute(statement, [_columns(one) for one in new])
        for entry in held:
            connection.execute(update(notification).where(_is_pending(entry.notification.id)).values(_held(entry)))
        if sequence is not None:
            connection.execute(update(notification_cursor).values(sequence=sequence))
        _put_plan(connection, changed or {})

    @writing
    def claim(self, connection: Connection, writer: int, channel: str, now_ns: int) -> Notification | None:
        """The message of this channel that is due first, marked as being tried; None where none is due. Its `attempt`
        counts this try."""
        check_writer(connection, writer)
        due_ns = notification.c.due_ns
        row = connection.execute(_due(channel).where(or_(due_ns <= now_ns, due_ns > now_ns + AHEAD_NS))).first()
        if row is None:
            return None
        message = begun(_notification(row), now_ns)
        values = {
            "state": NotificationState.TRYING.value,
            "attempt": message.attempt,
            "expires_ns": message.expires_ns,
        }
        connection.execute(update(notification).where(notification.c.sequence == row.sequence).values(values))
        return message

    @writing
    def release(self, connection: Connection, writer: int, channel: str, held: Collection[str]) -> None:
        """Call it after a `claim` with a lost answer, while the caller tries no message: messages of this channel that
        are marked as being tried become due again, except those of `held`, which are sent without the outbox."""
        check_writer(connection, writer)
        table = notification.c
        query = select(table.sequence, table.id)
        query = query.where(table.channel == channel, table.state == NotificationState.TRYING.value)
        for row in [row for row in connection.execute(query) if row.id not in held]:
            again = update(notification).where(table.sequence == row.sequence)
            connection.execute(again.values(state=NotificationState.DUE.value))

    @reading
    def next_due_ns(self, connection: Connection, channel: str) -> int | None:
        """When the next message of this channel is due; None: none waits."""
        row = connection.execute(_due(channel)).first()
        return None if row is None else row.due_ns

    @writing
    def issue_link(self, connection: Connection, writer: int, message: Notification, user: str) -> str | None:
        """The secret of a new one-time link that acknowledges the alarms of this message as this account; None where
        it can have none (see `acknowledge_links.issue`)."""
        check_writer(connection, writer)
        return issue(connection, message, user, self.clock.now_ns())

    @writing
    def sent(self, connection: Connection, writer: int, id: str, note: str = "") -> None:
        """The receiver accepted it. `note`: what it said beside that."""
        self._end(connection, writer, id, NotificationState.SENT, note)

    @writing
    def failed(
        self, connection: Connection, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool
    ) -> None:
        """The try failed; the next one is not before `next_ns`. `may_repeat`: it may have been delivered all the same,
        so the next try is marked."""
        check_writer(connection, writer)
        values: dict[str, Any] = {"state": NotificationState.DUE.value, "due_ns": next_ns, "error": error[:MOST_ERROR]}
        if may_repeat:
            values["is_repeat"] = True
        connection.execute(update(notification).where(_is_pending(id)).values(values))

    @writing
    def dead(self, connection: Connection, writer: int, id: str, error: str) -> None:
        """It is not tried any more."""
        self._end(connection, writer, id, NotificationState.DEAD, error)

    @writing
    def cancel(self, connection: Connection, writer: int, id: str, reason: str = "") -> None:
        """It is not sent, because it has no use any more."""
        self._end(connection, writer, id, NotificationState.CANCELLED, reason)

    @reading
    def pending(self, connection: Connection) -> tuple[OutboxEntry, ...]:
        """The messages that may still be sent, in the order in which they are due."""
        query = select(notification).where(notification.c.state.in_(_PENDING)).order_by(notification.c.due_ns)
        return tuple(map(_entry, connection.execute(query)))

    @reading
    def ended(
        self,
        connection: Connection,
        states: Collection[NotificationState] = (),
        *,
        since_ns: int = 0,
        channel: str = "",
        limit: int = 1_000,
    ) -> tuple[OutboxEntry, ...]:
        """The messages that were sent, cancelled or dead, those that ended last first. `states`: only these."""
        query = select(notification).where(notification.c.ended_ns >= since_ns)
        if states:
            query = query.where(notification.c.state.in_([one.value for one in states]))
        if channel:
            query = query.where(notification.c.channel == channel)
        query = query.order_by(notification.c.ended_ns.desc(), notification.c.sequence.desc()).limit(max(0, limit))
        return tuple(map(_entry, connection.execute(query)))

    @reading
    def counts(self, connection: Connection) -> Mapping[str, int]:
        """Channel -> its messages that may still be sent."""
        query = select(notification.c.channel, func.count()).where(notification.c.state.in_(_PENDING))
        return {row[0]: row[1] for row in connection.execute(query.group_by(notification.c.channel))}

    @writing
    def discard(self, connection: Connection, before_ns: int, most: int = MOST_ENDED) -> int:
        """Delete messages that ended before this time, and the oldest ended ones beyond `most`. Those that may still be
        sent stay. Returns the number of messages, at most CHUNK."""
        table = notification.c
        ended = select(table.sequence).where(table.ended_ns.is_not(None))
        beyond = ended.order_by(table.ended_ns.desc(), table.sequence.desc()).offset(max(0, most)).limit(CHUNK)
        old = ended.where(table.ended_ns < before_ns).limit(CHUNK)
        found = [*connection.scalars(beyond), *connection.scalars(old)][:CHUNK]
        return connection.execute(delete(notification).where(table.sequence.in_(found))).rowcount

    def _end(self, connection: Connection, writer: int, id: str, state: NotificationState, error: str) -> None:
        check_writer(connection, writer)
        values = {"state": state.value, "ended_ns": self.clock.now_ns(), "error": error[:MOST_ERROR]}
        connection.execute(update(notification).where(_is_pending(id)).values(values))


def _is_pending(id: str) -> ColumnElement[bool]:
    """The condition for a message that has not ended. So a repeated call does not change a message that has ended; a
    call is repeated when its answer was lost."""
    return (notification.c.id == id) & notification.c.state.in_(_PENDING)


def _due(channel: str) -> Select[Any]:
    table = notification.c
    query = select(notification).where(table.state == NotificationState.DUE.value, table.channel == channel)
    return query.order_by(table.due_ns, table.sequence).limit(1)


def _cursor(connection: Connection) -> NotifyCursor | None:
    sequence = connection.scalar(select(notification_cursor.c.sequence))
    if sequence is None:
        return None
    plan = connection.execute(select(notification_plan.c.key, notification_plan.c.value))
    return NotifyCursor(sequence=sequence, plan={row.key: row.value for row in plan})


def _put_plan(connection: Connection, changed: Mapping[str, str | None]) -> None:
    written = [{"key": key, "value": value} for key, value in changed.items() if value is not None]
    if written:
        statement = meeting_insert(connection, notification_plan)
        new = {"value": statement.excluded.value}
        connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=new), written)
    deleted = [{"gone": key} for key, value in changed.items() if value is None]
    if deleted:
        connection.execute(delete(notification_plan).where(notification_plan.c.key == bindparam("gone")), deleted)


def _columns(message: Notification) -> dict[str, Any]:
    return {
        "id": message.id,
        "channel": message.channel,
        "state": NotificationState.DUE.value,
        "due_ns": message.due_ns,
        "expires_ns": message.expires_ns,
        "attempt": 0,
        "is_repeat": message.is_repeat,
        "error": "",
        "message": msgspec.json.encode(message).decode(),
    }


def _held(entry: OutboxEntry) -> dict[str, Any]:
    message = entry.notification
    state = NotificationState.TRYING if entry.state.is_pending else entry.state
    return {
        "state": state.value,
        "due_ns": message.due_ns,
        "expires_ns": message.expires_ns,
        "attempt": message.attempt,
        "is_repeat": message.is_repeat,
        "error": entry.error[:MOST_ERROR],
        "ended_ns": entry.ended_ns,
    }


def _notification(row: Row[Any]) -> Notification:
    message = _notifications.decode(row.message)
    return structs.replace(
        message, due_ns=row.due_ns, expires_ns=row.expires_ns, attempt=row.attempt, is_repeat=row.is_repeat
    )


def _entry(row: Row[Any]) -> OutboxEntry:
    return OutboxEntry(
        notification=_notification(row),
        state=NotificationState(row.state),
        error=row.error,
        ended_ns=row.ended_ns,
    )
