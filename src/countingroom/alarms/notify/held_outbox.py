"""The outbox in memory, for urgent messages while the database is away: they are sent at once, and stored later.

A message is sent either from here or from the outbox of the database, never from both: the workers of the database tell
which ones they have, and leave those that are here. What came of a try that the database cannot take is kept here too.
What is not ended is stored as being tried: should this process be killed, the next one sends it again with the mark of
a repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from countingroom.core.clock import Clock
from countingroom.core.notify.messages import Notification, NotificationState, OutboxEntry, begun, failed_try, is_due

REMEMBERED = 20_000
"""Identities of messages that are remembered after they left."""

_DUE, _TRYING = NotificationState.DUE, NotificationState.TRYING


class HeldCopy(Protocol):
    """Where a copy outlives this process; `bus_copy.py` is it."""

    def message(self, entry: OutboxEntry) -> None:
        """This is not ended, or the database does not know its end."""
        ...

    def ended(self, id: str) -> None:
        """The database has its end."""
        ...

    async def confirmed(self) -> None:
        """Return when what was told before is kept, and soon at the latest."""
        ...


class HeldOutbox:
    """What a worker needs of an outbox (`worker.py`), and what the notifier does with it."""

    def __init__(
        self,
        clock: Clock,
        *,
        offered: Callable[[], None],
        ended: Callable[[], None],
        copy: HeldCopy | None = None,
    ) -> None:
        """`offered` is called when there are messages to be sent, `ended` when one of them has ended. `copy`: None
        where nothing shall outlive this process."""
        self._clock = clock
        self._offered = offered
        self._ended = ended
        self._copy = copy or _NoCopy()
        self._kept: dict[str, Notification] = {}
        """Urgent messages that the database has, or is to get, and that have not ended."""
        self._entries: dict[str, OutboxEntry] = {}
        self._stored: dict[str, OutboxEntry] = {}
        """What the database has of them."""
        self._left: dict[str, None] = {}
        self._claimed: set[str] = set()
        """Those that a worker of the database has."""

    def keep(self, messages: Iterable[Notification]) -> None:
        """Remember those that are urgent until they have ended: the database may be away before."""
        for one in messages:
            if one.is_urgent and one.id not in self._kept and one.id not in self._entries and one.id not in self._left:
                self._kept[one.id] = one
                self._copy.message(OutboxEntry(notification=one, state=_DUE))

    def send_kept(self) -> None:
        """Send from here what is kept, but for what a worker of the database has."""
        self.offer([one for one in self._kept.values() if one.id not in self._claimed])

    def offer(self, messages: Iterable[Notification]) -> None:
        """Send these from here, but for those that are here already or that the database has given to a worker."""
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
        """Whether a worker that got this message from the database may send it: it is not taken here until the worker
        gives it back."""
        if id in self._entries or id in self._left:
            return False
        self._claimed.add(id)
        return True

    def give_back(self, message: Notification) -> None:
        """The worker of the database tries it later, and the database knows it."""
        self._claimed.discard(message.id)
        if message.id in self._kept:
            self._kept[message.id] = message

    def finished(self, id: str) -> None:
        """The database knows how it has ended."""
        self._claimed.discard(id)
        if self._kept.pop(id, None) is not None:
            self._copy.ended(id)
            self._remember(id)

    def adopt(self, entry: OutboxEntry) -> None:
        """What came of the try of a worker of the database, which does not take it."""
        id = entry.notification.id
        self._claimed.discard(id)
        self._kept.pop(id, None)
        self._put(entry)
        (self._offered if entry.state.is_pending else self._ended)()

    def ids(self) -> frozenset[str]:
        """Those that are here."""
        return frozenset(self._entries)

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
                self._copy.ended(id)
                self._remember(id)

    async def claim(self, writer: int, channel: str, now_ns: int) -> Notification | None:
        """The message of this channel that is due first, marked as being tried; None where none is due."""
        due = [one for one in self._due(channel) if is_due(one.due_ns, now_ns)]
        if not due:
            return None
        claimed = begun(due[0], now_ns)
        self._put(OutboxEntry(notification=claimed, state=_TRYING))
        await self._copy.confirmed()
        return claimed

    async def release(self, writer: int, channel: str, held: Iterable[str]) -> None:
        """The outcome of each `claim` is known here."""

    async def next_due_ns(self, channel: str) -> int | None:
        """When the next message of this channel is due; None: none waits."""
        return min((one.due_ns for one in self._due(channel)), default=None)

    async def sent(self, writer: int, id: str, note: str = "") -> None:
        """The receiver accepted it."""
        self._end(id, NotificationState.SENT, note)

    async def failed(self, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool) -> None:
        """The try failed; the next one is not before `next_ns`."""
        again = failed_try(self._entries[id].notification, next_ns=next_ns, may_repeat=may_repeat)
        self._put(OutboxEntry(notification=again, state=_DUE, error=error))

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
        self._put(OutboxEntry(notification=message, state=state, error=error, ended_ns=self._clock.now_ns()))
        self._ended()

    def _put(self, entry: OutboxEntry) -> None:
        self._entries[entry.notification.id] = entry
        self._copy.message(entry)

    def _remember(self, id: str) -> None:
        self._left[id] = None
        if len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]


class _NoCopy:
    """Nothing outlives this process."""

    def message(self, entry: OutboxEntry) -> None: ...

    def ended(self, id: str) -> None: ...

    async def confirmed(self) -> None: ...
