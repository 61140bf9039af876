"""The outbox in memory, for urgent messages while the database is away: they are sent at once and stored later.

A message is sent either from here or from the outbox of the database, never from both. The workers of the database
announce here which messages they have, and leave out the messages that are here. If the database does not take the
result of a try, the result is kept here too. A message that has not ended is stored as being tried: if this process is
killed, the next one sends it again with the mark of a repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from countingroom.core.clock import Clock
from countingroom.core.notify.messages import Notification, NotificationState, OutboxEntry, begun, failed_try, is_due

REMEMBERED = 20_000
"""The number of ids that are remembered after their messages left this outbox."""

_DUE, _TRYING = NotificationState.DUE, NotificationState.TRYING


class HeldCopy(Protocol):
    """A copy that outlives this process; implemented by `bus_copy.py`."""

    def message(self, entry: OutboxEntry) -> None:
        """Copy a message that has not ended, or whose end is not in the database yet."""
        ...

    def ended(self, id: str) -> None:
        """Delete the copy of a message, because its end is in the database."""
        ...

    async def confirmed(self) -> None:
        """Return when the earlier copies are kept, or after a short time."""
        ...


class HeldOutbox:
    """Implements the outbox port of a worker (`worker.py`), and the part that the notifier uses."""

    def __init__(
        self,
        clock: Clock,
        *,
        offered: Callable[[], None],
        ended: Callable[[], None],
        copy: HeldCopy | None = None,
    ) -> None:
        """`offered`: called when there are messages to send. `ended`: called when a message has ended. `copy`: None if
        no copy is needed."""
        self._clock = clock
        self._offered = offered
        self._ended = ended
        self._copy = copy or _NoCopy()
        self._kept: dict[str, Notification] = {}
        """Urgent messages that have not ended and are in the database, or are being stored there."""
        self._entries: dict[str, OutboxEntry] = {}
        self._stored: dict[str, OutboxEntry] = {}
        """Id -> the entry as the database has it."""
        self._left: dict[str, None] = {}
        self._claimed: set[str] = set()
        """Ids of messages that a worker of the database has."""

    def keep(self, messages: Iterable[Notification]) -> None:
        """Remember urgent messages until they have ended, because the database may fail before that."""
        for one in messages:
            if one.is_urgent and one.id not in self._kept and one.id not in self._entries and one.id not in self._left:
                self._kept[one.id] = one
                self._copy.message(OutboxEntry(notification=one, state=_DUE))

    def send_kept(self) -> None:
        """Send the remembered messages from here, except those that a worker of the database has."""
        self.offer([one for one in self._kept.values() if one.id not in self._claimed])

    def offer(self, messages: Iterable[Notification]) -> None:
        """Send these messages from here, except those that are here already or that a worker of the database has."""
        new = [
            one
            for one in messages
            if one.id not in self._claimed and one.id not in self._entries and one.id not in self._left
        ]
        for one in new:
            self._kept.pop(one.id, None)
            self._put(OutboxEntry(notification=one, state=_DUE))
        if new:
            self._offered()

    def may_send(self, id: str) -> bool:
        """Whether a worker that got this message from the database may send it. If so, it is not sent from here until
        the worker gives it back."""
        if id in self._entries or id in self._left:
            return False
        self._claimed.add(id)
        return True

    def give_back(self, message: Notification) -> None:
        """The worker of the database will try the message again later, and the database has recorded that."""
        self._claimed.discard(message.id)
        if message.id in self._kept:
            self._kept[message.id] = message

    def finished(self, id: str) -> None:
        """The database has recorded the end of the message."""
        self._claimed.discard(id)
        if self._kept.pop(id, None) is not None:
            self._copy.ended(id)
            self._remember(id)

    def adopt(self, entry: OutboxEntry) -> None:
        """Take over the result of a try from a worker of the database, because the database does not take it."""
        id = entry.notification.id
        self._claimed.discard(id)
        self._kept.pop(id, None)
        self._put(entry)
        (self._offered if entry.state.is_pending else self._ended)()

    def ids(self) -> frozenset[str]:
        """Ids of the messages that are here."""
        return frozenset(self._entries)

    def has(self, id: str) -> bool:
        """Whether a message is here."""
        return id in self._entries

    def unstored(self) -> tuple[OutboxEntry, ...]:
        """The entries that the database does not have yet."""
        return tuple(entry for id, entry in self._entries.items() if self._stored.get(id) is not entry)

    def stored(self, entries: Iterable[OutboxEntry]) -> None:
        """The database has stored these entries. Messages that ended leave this outbox."""
        for entry in entries:
            id = entry.notification.id
            if self._entries.get(id) is not entry:
                continue  # it changed while it was being stored, and must be stored again
            if entry.state.is_pending:
                self._stored[id] = entry
            else:
                del self._entries[id]
                self._stored.pop(id, None)
                self._copy.ended(id)
                self._remember(id)

    async def claim(self, writer: int, channel: str, now_ns: int) -> Notification | None:
        """The message of this channel that is due first, marked as being tried; None if no message is due."""
        due = [one for one in self._due(channel) if is_due(one.due_ns, now_ns)]
        if not due:
            return None
        claimed = begun(due[0], now_ns)
        self._put(OutboxEntry(notification=claimed, state=_TRYING))
        # Before the message is sent, so that a successor knows that it may have been sent.
        await self._copy.confirmed()
        return claimed

    async def release(self, writer: int, channel: str, held: Iterable[str]) -> None:
        """Does no work: in memory the result of each `claim` is always known."""

    async def next_due_ns(self, channel: str) -> int | None:
        """When the next message of this channel is due; None if no message waits."""
        return min((one.due_ns for one in self._due(channel)), default=None)

    async def sent(self, writer: int, id: str, note: str = "") -> None:
        """Record that the receiver accepted the message."""
        self._end(id, NotificationState.SENT, note)

    async def failed(self, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool) -> None:
        """Record that a try failed; the next one is not before `next_ns`. `may_repeat`: it may have been delivered."""
        again = failed_try(self._entries[id].notification, next_ns=next_ns, may_repeat=may_repeat)
        self._put(OutboxEntry(notification=again, state=_DUE, error=error))

    async def dead(self, writer: int, id: str, error: str) -> None:
        """Record that the message is given up."""
        self._end(id, NotificationState.DEAD, error)

    async def cancel(self, writer: int, id: str, reason: str = "") -> None:
        """Record that the message is not sent because it is no longer wanted."""
        self._end(id, NotificationState.CANCELLED, reason)

    async def pending(self) -> tuple[OutboxEntry, ...]:
        """The messages that may still be sent."""
        return tuple(one for one in self._entries.values() if one.state.is_pending)

    def _due(self, channel: str) -> list[Notification]:
        waiting = [one.notification for one in self._entries.values() if one.state is _DUE]
        return sorted((one for one in waiting if one.channel == channel), key=lambda one: one.due_ns)

    def _end(self, id: str, state: NotificationState, error: str) -> None:
        message = self._entries[id].notification
        self._put(OutboxEntry(notification=message, state=state, error=error, ended_ns=self._clock.now_ns()))
        self._ended()

    def _put(self, entry: OutboxEntry) -> None:
        self._entries[entry.notification.id] = entry
        self._copy.message(entry)

    def _remember(self, id: str) -> None:
        self._left[id] = None
        if len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]  # the oldest: a dict keeps the order of insertion


class _NoCopy:
    """Makes no copy."""

    def message(self, entry: OutboxEntry) -> None: ...

    def ended(self, id: str) -> None: ...

    async def confirmed(self) -> None: ...
