"""The outbox of messages in memory, for tests with a virtual clock. It outlives an engine, as a database does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import structs

from countingroom.core.alarms.history import AlarmEntry
from countingroom.core.clock import Clock
from countingroom.core.errors import Conflict, LinkError
from countingroom.core.notify.messages import (
    Notification,
    NotificationState,
    NotifyCursor,
    OutboxEntry,
    begun,
    is_due,
)

DUE, TRYING, SENT = NotificationState.DUE, NotificationState.TRYING, NotificationState.SENT


class MemoryOutbox:
    """What `storage/notifications.py` does; the present writer is set by the test."""

    def __init__(self, clock: Clock, rows: Sequence[AlarmEntry] = ()) -> None:
        """`rows`: the history of alarms, which the test may extend."""
        self._clock = clock
        self._rows = rows
        self.writer = 1
        self.is_away = False
        self.is_full = False
        """It can be read and not written."""
        self.entries: dict[str, OutboxEntry] = {}
        self.saved_cursor: NotifyCursor | None = None

    async def recover(self, writer: int) -> NotifyCursor:
        self._check(writer)
        for id, entry in self.entries.items():
            if entry.state is TRYING:
                again = structs.replace(entry.notification, is_repeat=True, due_ns=self._clock.now_ns())
                self.entries[id] = structs.replace(entry, notification=again, state=DUE)
        if self.saved_cursor is None:
            self.saved_cursor = NotifyCursor(sequence=max((row.sequence for row in self._rows), default=0))
        return self.saved_cursor

    async def cursor(self) -> NotifyCursor | None:
        self._answer()
        return self.saved_cursor

    async def news(self, after: int, most: int = 1000) -> tuple[AlarmEntry, ...]:
        self._answer()
        return tuple(row for row in self._rows if row.sequence > after)[:most]

    async def put(
        self,
        writer: int,
        messages: Sequence[Notification] = (),
        *,
        sequence: int | None = None,
        changed: Mapping[str, str | None] | None = None,
        held: Sequence[OutboxEntry] = (),
    ) -> None:
        self._check(writer)
        for one in messages:
            self.entries.setdefault(one.id, OutboxEntry(notification=one, state=DUE))
        for one in held:
            known = self.entries.get(one.notification.id)
            if known is None or known.state.is_pending:
                state = TRYING if one.state.is_pending else one.state
                self.entries[one.notification.id] = structs.replace(one, state=state)
        before = self.saved_cursor or NotifyCursor(sequence=0)
        plan = {key: value for key, value in {**before.plan, **(changed or {})}.items() if value is not None}
        self.saved_cursor = NotifyCursor(sequence=before.sequence if sequence is None else sequence, plan=plan)

    async def issue_link(self, writer: int, message: Notification, user: str) -> str | None:
        """None: there are no accounts here."""
        self._check(writer)

    async def claim(self, writer: int, channel: str, now_ns: int) -> Notification | None:
        self._check(writer)
        due = self._due(channel)
        if not due or not is_due(due[0].due_ns, now_ns):
            return None
        claimed = begun(due[0], now_ns)
        self._change(claimed.id, notification=claimed, state=TRYING)
        return claimed

    async def release(self, writer: int, channel: str, held: Collection[str]) -> None:
        self._check(writer)
        for id, entry in self.entries.items():
            if entry.state is TRYING and entry.notification.channel == channel and id not in held:
                self._change(id, state=DUE)

    async def next_due_ns(self, channel: str) -> int | None:
        self._answer()
        return next((one.due_ns for one in self._due(channel)), None)

    async def sent(self, writer: int, id: str, note: str = "") -> None:
        self._end(writer, id, SENT, note)

    async def failed(self, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool) -> None:
        self._check(writer)
        message = self.entries[id].notification
        again = structs.replace(message, due_ns=next_ns, is_repeat=message.is_repeat or may_repeat)
        self._change(id, notification=again, state=DUE, error=error)

    async def dead(self, writer: int, id: str, error: str) -> None:
        self._end(writer, id, NotificationState.DEAD, error)

    async def cancel(self, writer: int, id: str, reason: str = "") -> None:
        self._end(writer, id, NotificationState.CANCELLED, reason)

    async def pending(self) -> tuple[OutboxEntry, ...]:
        self._answer()
        return tuple(one for one in self.entries.values() if one.state.is_pending)

    async def ended(
        self,
        states: Collection[NotificationState] = (),
        *,
        since_ns: int = 0,
        channel: str = "",
        limit: int = 1_000,
    ) -> tuple[OutboxEntry, ...]:
        self._answer()
        found = [
            one
            for one in self.entries.values()
            if one.ended_ns is not None
            and one.ended_ns >= since_ns
            and (not states or one.state in states)
            and (not channel or one.notification.channel == channel)
        ]
        return tuple(found[::-1][:limit])

    async def counts(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for one in await self.pending():
            found[one.notification.channel] = found.get(one.notification.channel, 0) + 1
        return found

    async def discard(self, before_ns: int, most: int = 20_000) -> int:
        self._answer()
        return 0

    def states(self) -> dict[str, str]:
        """Identity of each message -> where it stands."""
        return {id: entry.state.value for id, entry in self.entries.items()}

    def _due(self, channel: str) -> list[Notification]:
        waiting = [one.notification for one in self.entries.values() if one.state is DUE]
        return sorted((one for one in waiting if one.channel == channel), key=lambda one: one.due_ns)

    def _end(self, writer: int, id: str, state: NotificationState, error: str) -> None:
        self._check(writer)
        if self.entries[id].state.is_pending:
            self._change(id, state=state, error=error, ended_ns=self._clock.now_ns())

    def _change(self, id: str, **changes: object) -> None:
        self.entries[id] = structs.replace(self.entries[id], **changes)

    def _check(self, writer: int) -> None:
        self._answer()
        if self.is_full:
            raise LinkError("the disk is full", source="storage", code="disk_full")
        if writer != self.writer:
            raise Conflict("another has taken over", source="alarms", code="superseded")

    def _answer(self) -> None:
        if self.is_away:
            raise LinkError("the disk is full", source="storage", code="disk_full")
