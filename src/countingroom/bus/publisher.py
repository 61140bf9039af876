"""Publishes the states and events of one owner, and repeats each publication until the bus has stored it.

Of each state key only the latest value is published; of events every one, up to a limit. What the bus can never carry
is not repeated: a state is dropped, an event is shortened. Events go into a stream on disk, so they are published by a
task of their own: a full disk delays events, and never a state or a command.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.bus.unstored_queue import UnstoredQueue
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, CountingRoomError, RequestError
from countingroom.core.messages import Event, EventKind, encode
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

RETRY_S = 0.25
"""Pause before a publication is repeated."""

EVENTS = 8192
"""Maximum number of waiting events. When it is exceeded, the oldest are dropped, and that is logged."""
_EVENT_BYTES = 16 << 20
_AT_ONCE = 256
"""States, or events, on their way at the same time."""

DRAIN_S = 1.0
"""Maximum time that the end of an owner waits for its last events."""


_NEVER = ("too_big", "invalid")
_SHORT = 1000
"""Letters of the message of a shortened event."""


def is_never_carried(error: RequestError) -> bool:
    """Whether the bus refuses this message each time: it is too large, or cannot be encoded."""
    return error.cause.code in _NEVER


def delivery(clock: Clock, source: str) -> Retry:
    """Repeats each publication until the bus takes it."""
    report = edge_log(_log, f"{source}: the bus does not take what is published", f"{source}: the bus takes it again")
    return Retry(clock, report, pause_s=RETRY_S, on=CountingRoomError)


class Publisher:
    """Publishes states and events."""

    def __init__(self, bus: Bus, clock: Clock, source: str) -> None:
        self._bus = bus
        self._clock = clock
        self._states: dict[str, Struct | None] = {}
        """Key -> the state that waits; None: the key is to be deleted."""
        self._events: UnstoredQueue[Event] = UnstoredQueue(most=EVENTS, most_bytes=_EVENT_BYTES)
        self._new: deque[Event] = deque(maxlen=_AT_ONCE)
        """Events that were not tried yet."""
        self._behind = False
        """Whether the last attempt to store events failed."""
        self._news = asyncio.Event()
        self._event_news = asyncio.Event()
        self._stored_some = asyncio.Event()
        self._source = source
        self._delivery = delivery(clock, source)
        self._stored = edge_log(
            _log, f"{source}: events are not stored now, and wait", f"{source}: events are stored again"
        )
        self._turn = asyncio.Lock()
        self.revision = 0
        """Revision of the state bucket after the last published state."""

    def state(self, key: str, state: Struct) -> None:
        """Publish a state under a key of the state bucket."""
        self._states[key] = state
        self._news.set()

    def delete(self, key: str) -> None:
        """Delete a key of the state bucket, also where it has never been written."""
        self._states[key] = None
        self._news.set()

    def event(self, event: Event) -> None:
        """Publish an event."""
        lost_before = self._events.lost
        self._events.add(event, time_ns=event.time_ns, size=_size(event))
        if self._events.lost and not lost_before:
            _log.error("%s: too many events wait for the bus; the oldest are lost", self._source)
        self._new.append(event)
        self._event_news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_events())
            while True:
                await self._news.wait()
                self._news.clear()
                await self.flush()

    async def flush(self) -> None:
        """Publish the states that wait now. It does not wait for events, nor for states that come meanwhile: in a
        flood of them a command would wait for its end."""
        waiting = list(self._states)
        for first in range(0, len(waiting), _AT_ONCE):
            async with self._turn:
                await self._put_all([key for key in waiting[first : first + _AT_ONCE] if key in self._states])
            self._stored_some.set()

    async def room(self, most: int) -> None:
        """Return when at most `most` states and events wait, or at once while the bus takes none. For an owner that
        makes more of them at once than the queue of events holds."""
        while len(self._states) + len(self._events) > most and not (self._behind or self._delivery.report.is_failing):
            self._stored_some.clear()
            await self._stored_some.wait()

    async def drain(self) -> None:
        """Publish the events that wait, at the end of their owner: each is tried once, up to the first failure."""
        with suppress(CountingRoomError, TimeoutError):
            async with within(self._clock, DRAIN_S):
                while self._events:
                    await self._append(self._events.first)

    async def _publish_events(self) -> None:
        while True:
            await self._event_news.wait()
            self._event_news.clear()
            while self._events:
                await self.flush()  # a state is published before the events that were recorded after it
                await self._try_events()
                if self._behind:
                    with suppress(TimeoutError):
                        async with within(self._clock, RETRY_S):
                            await self._event_news.wait()
                            self._event_news.clear()

    async def _try_events(self) -> None:
        """Send events to the stream once. After a failure only the oldest is repeated, and each new one is sent once:
        subscribers hear it, such as the console that waits for the outcome of a command, although it is not stored."""
        waiting = [self._events.first, *self._new] if self._behind else self._events
        batch = list({event.id: event for event in islice(waiting, _AT_ONCE)}.values())
        self._new.clear()
        failures = await self._append_all(batch)
        self._behind = bool(failures)
        self._stored_some.set()
        if failures:
            self._stored.failed(failures[0])
            return
        self._stored.worked()
        if not self._events and (lost := self._events.take_lost()):
            last = batch[-1]
            self.event(
                Event(
                    id=uuid4().hex,
                    kind=EventKind.NOTE,
                    time_ns=self._clock.now_ns(),
                    department=last.department,
                    source=last.source,
                    message=f"events of {self._source} were lost, because the bus could not store them: {lost}",
                    severity=3,
                    data={"events": lost.messages, "from_ns": lost.from_ns, "to_ns": lost.to_ns},
                )
            )

    async def _append_all(self, batch: Sequence[Event]) -> list[Cause]:
        """Store events. Returns the causes of failures."""
        sent: list[Event] = []
        messages: list[tuple[str, bytes, str]] = []
        failures: list[Cause] = []
        for event in batch:
            try:
                messages.append((subjects.event(event.department, event.source), encode(event), event.id))
                sent.append(event)
            except RequestError as error:
                failures += await self._append_shortened(event, error)
        for event, outcome in zip(sent, await self._bus.append_many(messages), strict=True):
            if not isinstance(outcome, CountingRoomError):
                self._events.remove(event)
            elif isinstance(outcome, RequestError) and is_never_carried(outcome):
                failures += await self._append_shortened(event, outcome)
            else:
                failures.append(outcome.cause)
        return failures

    async def _append_shortened(self, event: Event, error: RequestError) -> list[Cause]:
        """Store an event that the bus can never carry in a shortened form. Returns the causes of failures."""
        try:
            await append_shortened(self._bus, event, error)
        except CountingRoomError as failure:
            return [failure.cause]
        self._events.remove(event)
        return []

    async def _append(self, event: Event) -> None:
        # Removed only after it is stored. A repetition after a lost answer makes no duplicate, because the server drops
        # a second message with the same id.
        await append_event(self._bus, event)
        self._events.remove(event)

    async def _put_all(self, keys: Sequence[str]) -> None:
        """Publish these keys in their order. All are sent before the first answer comes; those that the bus did not
        take are repeated one after the other."""
        if len(keys) > 1 and await self._put_at_once(keys):
            self._delivery.report.worked()
        for key in keys:
            if key in self._states:
                await self._delivery.run(partial(self._put, key))

    async def _put_at_once(self, keys: Sequence[str]) -> bool:
        """Whether the bus took all of them."""
        states = {key: self._states[key] for key in keys}
        entries: list[tuple[str, bytes | None]] = []
        for key, state in states.items():
            with suppress(RequestError):  # one that cannot be encoded: `_put` drops it and says so
                entries.append((key, None if state is None else encode(state)))
        outcomes = await self._bus.put_many(subjects.STATE_BUCKET, entries)
        taken = 0
        for (key, _), outcome in zip(entries, outcomes, strict=True):
            if isinstance(outcome, CountingRoomError):
                continue
            taken += 1
            if states[key] is not None:
                self.revision = outcome
            if self._states[key] is states[key]:  # a newer state may have been set while this one was sent
                del self._states[key]
        return taken == len(keys)

    async def _put(self, key: str) -> None:
        state = self._states[key]
        try:
            if state is None:
                await self._bus.delete(subjects.STATE_BUCKET, key)
            else:
                self.revision = await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        except RequestError as error:
            if not is_never_carried(error):
                raise
            _log.error("%s: the state %s is not published: %s", self._source, key, error)
        if self._states[key] is state:
            del self._states[key]


def _size(event: Event) -> int:
    """About as many bytes as the encoded event has."""
    return 300 + len(event.message) + sum(len(name) + len(str(value)) for name, value in event.data.items())


async def append_event(bus: Bus, event: Event) -> None:
    """Store an event in the stream of events; repeated within two minutes, it is stored once. An event that the bus
    can never carry is stored without data and cause, and with a shortened message."""
    subject = subjects.event(event.department, event.source)
    try:
        await bus.append(subject, encode(event), message_id=event.id)
    except RequestError as error:
        if not is_never_carried(error):
            raise
        await append_shortened(bus, event, error)


async def append_shortened(bus: Bus, event: Event, error: RequestError) -> None:
    """Store an event, which the bus refused, with a shortened message and without cause and data."""
    _log.error("an event of %s.%s is stored shortened: %s", event.department, event.source, error)
    message = event.message[:_SHORT].encode(errors="replace").decode()
    short = msgspec.structs.replace(event, message=f"{message} (shortened: {error})", cause=None, data={})
    await bus.append(subjects.event(event.department, event.source), encode(short), message_id=event.id)
