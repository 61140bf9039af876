"""The outbox in memory, for urgent messages while the database is away: they are sent at once, and stored later.

A message is sent either from here or from the outbox of the database, never from both: the workers of the database tell
which ones they have, and leave those that are here. What is not ended is stored as being tried: should this process be
killed, the next one sends it again with the mark of a repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import structs

from countingroom.core.clock import Clock
from countingroom.core.notify.messages import Notification, NotificationState, OutboxEntry

REMEMBERED = 20_000
"""Identities of messages that are remembered after they left."""

_DUE, _TRYING = NotificationState.DUE, NotificationState.TRYING


class HeldOutbox:
    """What a worker needs of an outbox (`worker.py`), and what the notifier does with it."""

    def __init__(self, clock: Clock, *, offered: Callable[[], None], ended: Callable[[], None]) -> None:
        """`offered` is called when there are messages to be sent, `ended` when one of them has ended."""
        self._clock = clock
        self._offered = offered
        self._ended = ended
        self._entries: dict[str, OutboxEntry] = {}
        self._stored: dict[str, OutboxEntry] = {}
        """What the database has of them."""
        self._left: dict[str, None] = {}
        self._claimed: dict[str, None] = {}
        """Those that a worker of the database has or had."""

    def offer(self, messages: Iterable[Notification]) -> None:
        """Send these from here, but for those that are here already or that the database has given to a worker."""
        new = [
            one
            for one in messages
            if one.id not in self._claimed and one.id not in self._entries and one.id not in self._left
        ]
        for one in new:
            self._entries[one.id] = OutboxEntry(notification=one, state=_DUE)
        if new:
            self._offered()

    def may_send(self, id: str) -> bool:
        """Whether a worker that got this message from the database may send it: from now on it is not taken here."""
        if id in self._entries or id in self._left:
            return False
        _remember(self._claimed, id)
        return True

    def is_done(self, id: str) -> bool:
        """Whether a worker got it from the database, or it has ended here."""
        return id in self._claimed or id in self._left

    def has(self, id: str) -> bool:
        """Whether it is here."""
        return id in self._entries

    def unstored(self) -> tuple[OutboxEntry, ...]:
        """What the database does not have yet."""
        return tuple(entry for id, entry in self._entries.items() if self._stored.get(id) is not entry)

    def stored(self, entries: Iterable[OutboxEntry]) -> None:
        """The database has these. Those that ended leave."""
        for entry in entries:
            id = entry.notification.id
            if self._entries.get(id) is not entry:
                continue
            if entry.state.is_pending:
                self._stored[id] = entry
            else:
                del self._entries[id]
                self._stored.pop(id, None)
                _remember(self._left, id)

    async def claim(self, writer: int, channel: str, now_ns: int) -> Notification | None:
        """The message of this channel that is due first, marked as being tried; None where none is due."""
        due = [one for one in self._due(channel) if one.due_ns <= now_ns]
        if not due:
            return None
        claimed = structs.replace(due[0], attempt=due[0].attempt + 1)
        self._entries[claimed.id] = OutboxEntry(notification=claimed, state=_TRYING)
        return claimed

    async def next_due_ns(self, channel: str) -> int | None:
        """When the next message of this channel is due; None: none waits."""
        return min((one.due_ns for one in self._due(channel)), default=None)

    async def sent(self, writer: int, id: str, note: str = "") -> None:
        """The receiver accepted it."""
        self._end(id, NotificationState.SENT, note)

    async def failed(self, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool) -> None:
        """The try failed; the next one is not before `next_ns`."""
        message = self._entries[id].notification
        again = structs.replace(message, due_ns=next_ns, is_repeat=message.is_repeat or may_repeat)
        self._entries[id] = OutboxEntry(notification=again, state=_DUE, error=error)

    async def dead(self, writer: int, id: str, error: str) -> None:
        """It is not tried any more."""
        self._end(id, NotificationState.DEAD, error)

    async def cancel(self, writer: int, id: str, reason: str = "") -> None:
        """It is not sent, because it has no use any more."""
        self._end(id, NotificationState.CANCELLED, reason)

    async def pending(self) -> tuple[OutboxEntry, ...]:
        """The messages that may still be sent."""
        return tuple(one for one in self._entries.values() if one.state.is_pending)

    def _due(self, channel: str) -> list[Notification]:
        waiting = [one.notification for one in self._entries.values() if one.state is _DUE]
        return sorted((one for one in waiting if one.channel == channel), key=lambda one: one.due_ns)

    def _end(self, id: str, state: NotificationState, error: str) -> None:
        message = self._entries[id].notification
        self._entries[id] = OutboxEntry(notification=message, state=state, error=error, ended_ns=self._clock.now_ns())
        self._ended()


def _remember(ids: dict[str, None], id: str) -> None:
    ids[id] = None
    if len(ids) > REMEMBERED:
        del ids[next(iter(ids))]
