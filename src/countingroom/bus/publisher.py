"""Publishes the states and events of one owner, in order, and repeats each publication until the bus has stored it.

Of each state key only the latest value is published; of events every one, up to a limit. What the bus can never carry
is not repeated: a state is dropped, an event is shortened.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from functools import partial

import msgspec
from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError, RequestError
from countingroom.core.messages import Event, encode
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

RETRY_S = 0.25
"""Pause before a publication is repeated."""

EVENTS = 8192
"""Maximum number of waiting events. When it is exceeded, the oldest are dropped, and that is logged."""


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
        self._states: dict[str, Struct] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._dropped = False
        self._news = asyncio.Event()
        self._source = source
        self._delivery = delivery(clock, source)
        self._turn = asyncio.Lock()
        self.revision = 0
        """Revision of the state bucket after the last published state."""

    def state(self, key: str, state: Struct) -> None:
        """Publish a state under a key of the state bucket."""
        self._states[key] = state
        self._news.set()

    def event(self, event: Event) -> None:
        """Publish an event."""
        full = len(self._events) == EVENTS
        if full and not self._dropped:
            _log.error("%s: more than %d events wait for the bus; the oldest are lost", self._source, EVENTS)
        self._dropped = full
        self._events.append(event)
        self._news.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Publish what waits, states before events."""
        async with self._turn:
            while self._states or self._events:
                if self._states:
                    await self._delivery.run(partial(self._put, next(iter(self._states))))
                else:
                    # Removed only after it is stored. A repetition after a lost answer makes no duplicate, because the
                    # server drops a second message with the same id.
                    event = self._events[0]
                    await self._delivery.run(partial(append_event, self._bus, event))
                    self._taken(event)

    async def drain(self) -> None:
        """Publish the events that wait, at the end of their owner: each is tried once, up to the first failure."""
        with suppress(CountingRoomError, TimeoutError):
            async with within(self._clock, DRAIN_S):
                while self._events:
                    event = self._events[0]
                    await append_event(self._bus, event)
                    self._taken(event)

    def _taken(self, event: Event) -> None:
        if self._events and self._events[0] is event:
            self._events.popleft()

    async def _put(self, key: str) -> None:
        state = self._states[key]
        try:
            self.revision = await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        except RequestError as error:
            if not is_never_carried(error):
                raise
            _log.error("%s: the state %s is not published: %s", self._source, key, error)
        if self._states[key] is state:
            del self._states[key]


async def append_event(bus: Bus, event: Event) -> None:
    """Store an event in the stream of events; repeated within two minutes, it is stored once. An event that the bus
    can never carry is stored without data and cause, and with a shortened message."""
    subject = subjects.event(event.department, event.source)
    try:
        await bus.append(subject, encode(event), message_id=event.id)
    except RequestError as error:
        if not is_never_carried(error):
            raise
        _log.error("an event of %s.%s is stored shortened: %s", event.department, event.source, error)
        message = event.message[:_SHORT].encode(errors="replace").decode()
        short = msgspec.structs.replace(event, message=f"{message} (shortened: {error})", cause=None, data={})
        await bus.append(subject, encode(short), message_id=event.id)
