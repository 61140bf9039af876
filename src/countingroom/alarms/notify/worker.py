"""The worker of one channel: takes its messages from the outbox when they are due, and records the result of each try.

Before a message is sent it is marked as being tried, and the worker checks once more whether it is still wanted, so no
message is sent after an acknowledgement. When a message was accepted, the worker repeats the save until the database
has recorded that, and does not send it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from msgspec import structs

from countingroom.alarms.notify.line import Line
from countingroom.alarms.notify.sender import Delivery, TryOutcome
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, LinkError
from countingroom.core.notify.messages import ChannelState, Notification, NotificationState, OutboxEntry, failed_try
from countingroom.core.retry import Retry, edge_log

T = TypeVar("T")

_log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 5.0
LONGEST_BACKOFF_S = 300.0
PAUSE_S = 2.0
"""The pause of a channel after a failed try."""
LONGEST_WAIT_S = 60.0
"""The longest wait before the outbox is read again. Due times are wall times, and the wall clock may be set."""
RETRY_S = 1.0
"""The pause between two attempts to reach the database."""
LINK_S = 5.0
"""The longest time that an urgent message waits for its link."""
RECORD_S = 5.0
"""The longest wait for the database to record the result of an urgent message."""


class OutboxStore(Protocol):
    """What a worker needs from the database; implemented by `storage/notifications.py`."""

    def claim(self, writer: int, channel: str, now_ns: int) -> Awaitable[Notification | None]: ...
    def release(self, writer: int, channel: str, held: Collection[str]) -> Awaitable[None]: ...
    def next_due_ns(self, channel: str) -> Awaitable[int | None]: ...
    def sent(self, writer: int, id: str, note: str = "") -> Awaitable[None]: ...
    def failed(self, writer: int, id: str, error: str, *, next_ns: int, may_repeat: bool) -> Awaitable[None]: ...
    def dead(self, writer: int, id: str, error: str) -> Awaitable[None]: ...
    def cancel(self, writer: int, id: str, reason: str = "") -> Awaitable[None]: ...
    def pending(self) -> Awaitable[tuple[OutboxEntry, ...]]: ...


class Beside(Protocol):
    """What the worker of the database needs from the outbox in memory; implemented by `held_outbox.py`."""

    def may_send(self, id: str) -> bool: ...
    def give_back(self, message: Notification) -> None: ...
    def finished(self, id: str) -> None: ...
    def adopt(self, entry: OutboxEntry) -> None: ...
    def ids(self) -> Collection[str]: ...


StillWanted = Callable[[Notification], bool]
"""Whether a message must still be sent; called right before. It only reads, and may be called in any thread."""
Linked = Callable[[Notification], Awaitable[Notification]]
"""Returns the message, with the link for the acknowledgement if it gets one."""
Dead = Callable[[Notification, str], None]
"""Called with a message that is given up and the reason, after the outbox has recorded it."""


def backoff_s(attempt: int) -> float:
    """The pause, in s, after the failure of a try, counted from 1: 5 s, 10 s, 20 s … 5 min."""
    return min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempt - 1, 10))


class ChannelRecord:
    """The counts and the state of a channel. Its two workers share it."""

    def __init__(self, channel: str, line: Line, changed: Callable[[ChannelState], None]) -> None:
        """`changed`: called with each new state."""
        self._channel = channel
        self._line = line
        self._changed = changed
        self.state = ChannelState(channel=channel, kind=line.kind)
        self._sending = edge_log(
            _log,
            f"alarms: messages through the channel {channel} are not sent",
            f"alarms: messages through the channel {channel} are sent again",
        )

    def count(self, delivery: Delivery, now_ns: int) -> None:
        """Count a try. A log line is written only when the channel begins to fail or works again."""
        if delivery.outcome is TryOutcome.ACCEPTED:
            self._sending.worked()
            self.tell(structs.replace(self.state, sent=self.state.sent + 1, last_sent_ns=now_ns, problem=""))
            return
        self._sending.failed(failure(self._channel, delivery))
        self.tell(structs.replace(self.state, failed=self.state.failed + 1, problem=delivery.text))

    def cancelled(self) -> None:
        """Count a cancelled message."""
        self.tell(structs.replace(self.state, cancelled=self.state.cancelled + 1))

    def dead(self) -> None:
        """Count a message that is given up."""
        self.tell(structs.replace(self.state, dead=self.state.dead + 1))

    def tell(self, state: ChannelState) -> None:
        """Set and report the state."""
        self.state = structs.replace(state, kind=self._line.kind)
        self._changed(self.state)


class ChannelWorker:
    """Sends the messages of one channel, one after the other. `run` until cancelled."""

    def __init__(
        self,
        channel: str,
        line: Line,
        store: OutboxStore,
        writer: int,
        clock: Clock,
        *,
        still_wanted: StillWanted,
        dead: Dead,
        record: ChannelRecord,
        linked: Linked | None = None,
        beside: Beside | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        """`writer`: the number from `Alarms.take_over`. `linked`: adds the link for the acknowledgement. `beside`: the
        outbox in memory, if `store` is that of the database. `leads`: whether this engine still holds the lease; it
        only reads, and may be called in any thread."""
        self._channel = channel
        self._line = line
        self._store = store
        self._writer = writer
        self._clock = clock
        self._still_wanted = still_wanted
        self._dead = dead
        self._record = record
        self._linked = linked
        self._beside = beside
        self._leads = leads
        self._is_claim_unknown = False
        """Whether the database may have marked a message as being tried whose answer was lost."""
        self._news = asyncio.Event()
        self._database = edge_log(
            _log,
            f"alarms: the outbox of the channel {channel} is not reached",
            f"alarms: the outbox of the channel {channel} is reached again",
        )

    @property
    def state(self) -> ChannelState:
        """The state of the channel."""
        return self._record.state

    @property
    def is_hanging(self) -> bool:
        """Whether a try has not ended although its deadline is over."""
        return self._line.is_hanging

    def wake(self) -> None:
        """Tell the worker that the outbox may have new messages."""
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled, or until another process has taken over (Conflict)."""
        self._record.tell(self.state)
        while True:
            self._news.clear()
            if self._line.is_hanging:
                await self._wait_for_line()
            now_ns = self._clock.now_ns()
            message = await self._saved(self._claim)
            if message is not None:
                if self._beside is None or self._beside.may_send(message.id):
                    await self._handle(message)
                continue
            next_ns = await self._saved(partial(self._store.next_due_ns, self._channel))
            wait_s = LONGEST_WAIT_S if next_ns is None else min(LONGEST_WAIT_S, (next_ns - now_ns) / 1e9)
            await self._wait(wait_s)

    async def _claim(self) -> Notification | None:
        if self._is_claim_unknown:
            # The lost answer may have marked a message as being tried; without the release it would wait for a restart.
            await self._store.release(self._writer, self._channel, self._beside.ids() if self._beside else ())
            self._is_claim_unknown = False
        try:
            return await self._store.claim(self._writer, self._channel, self._clock.now_ns())
        except LinkError:
            self._is_claim_unknown = True
            raise

    async def test(self, message: Notification) -> Delivery:
        """Send a message at once, without the outbox, and return the result."""
        delivery = await self._line.send(message, lambda: True)
        self._count(delivery)
        return delivery

    async def _handle(self, message: Notification) -> None:
        if message.expires_ns <= self._clock.now_ns():
            return await self._end(message, f"it could not be sent in time, after {message.attempt - 1} tries")
        if not self._still_wanted(message):
            return await self._cancel(message)
        shown = await self._with_link(message)
        delivery = await self._line.send(shown, lambda: self._leads() and self._still_wanted(message))
        match delivery.outcome:
            case TryOutcome.ACCEPTED:
                call = partial(self._store.sent, self._writer, message.id, delivery.text)
                await self._ended(call, message, NotificationState.SENT, delivery.text)
                self._count(delivery)
            case TryOutcome.UNWANTED:
                if not self._leads():  # the process that leads now decides about the message
                    await asyncio.Event().wait()  # the election cancels this task soon
                await self._cancel(message)
            case TryOutcome.REFUSED:
                self._count(delivery)
                await self._end(message, delivery.text)
            case _:
                self._count(delivery)
                await self._again(message, delivery)
        return None

    async def _with_link(self, message: Notification) -> Notification:
        """The message with its link. An urgent message is sent without a link if the database is away."""
        linked = self._linked
        if linked is None:
            return message
        if not message.is_urgent:
            return await self._saved(lambda: linked(message))
        try:
            async with within(self._clock, LINK_S):
                return await linked(message)
        except (LinkError, TimeoutError):
            return message

    async def _again(self, message: Notification, delivery: Delivery) -> None:
        now_ns = self._clock.now_ns()
        next_ns = min(now_ns + round(backoff_s(message.attempt) * 1e9), message.expires_ns)
        may_repeat = delivery.outcome is TryOutcome.UNKNOWN
        fail = partial(self._store.failed, self._writer, message.id, delivery.text)
        call = partial(fail, next_ns=next_ns, may_repeat=may_repeat)
        again = failed_try(message, next_ns=next_ns, may_repeat=may_repeat)
        is_stored = await self._recorded(
            call, OutboxEntry(notification=again, state=NotificationState.DUE, error=delivery.text)
        )
        if is_stored and self._beside:
            self._beside.give_back(again)
        await self._clock.sleep(PAUSE_S)

    async def _cancel(self, message: Notification) -> None:
        reason = "it was not wanted any more"
        call = partial(self._store.cancel, self._writer, message.id, reason)
        await self._ended(call, message, NotificationState.CANCELLED, reason)
        self._record.cancelled()

    async def _end(self, message: Notification, reason: str) -> None:
        call = partial(self._store.dead, self._writer, message.id, reason)
        await self._ended(call, message, NotificationState.DEAD, reason)
        self._record.dead()
        self._dead(message, reason)

    async def _ended(
        self, call: Callable[[], Awaitable[None]], message: Notification, state: NotificationState, why: str
    ) -> None:
        """Record the end of a message."""
        entry = OutboxEntry(notification=message, state=state, error=why, ended_ns=self._clock.now_ns())
        if await self._recorded(call, entry) and self._beside:
            self._beside.finished(message.id)

    async def _recorded(self, call: Callable[[], Awaitable[None]], entry: OutboxEntry) -> bool:
        """Record the result of a try; returns whether the database has it. If the database is away, the result of an
        urgent message is given to the outbox in memory, which continues with the message."""
        if self._beside is None or not entry.notification.is_urgent:
            await self._saved(call)
            return True
        try:
            async with within(self._clock, RECORD_S):
                await call()
        except (LinkError, TimeoutError):
            self._beside.adopt(entry)
            return False
        return True

    def _count(self, delivery: Delivery) -> None:
        self._record.count(delivery, self._clock.now_ns())

    async def _wait_for_line(self) -> None:
        """Wait while a try hangs, and let messages expire in the meantime, so that they are sent another way."""
        waiting = asyncio.ensure_future(self._line.freed())
        try:
            while not waiting.done():
                for entry in await self._saved(self._store.pending):
                    one = entry.notification
                    if one.channel == self._channel and one.expires_ns <= self._clock.now_ns():
                        await self._end(one, "it could not be sent in time: the channel hangs")
                with suppress(TimeoutError):
                    async with within(self._clock, LONGEST_WAIT_S):
                        await asyncio.shield(waiting)
        finally:
            waiting.cancel()

    async def _saved(self, action: Callable[[], Awaitable[T]]) -> T:
        """The result of a call, repeated until the database answers."""
        return await Retry(self._clock, self._database, pause_s=RETRY_S).run(action)

    async def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with suppress(TimeoutError):
            async with within(self._clock, seconds):
                await self._news.wait()


def failure(channel: str, delivery: Delivery) -> Cause:
    """Why a try failed, for logs and answers."""
    return Cause(
        code=f"notification_{delivery.outcome.value}",
        message=f"{channel}: {delivery.text}",
        source="alarms.notify",
        suggestion="look at the channel and at its server, then test it: countingroom alarm notify test",
    )
