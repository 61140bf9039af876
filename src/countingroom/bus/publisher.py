"""Law: what is told reaches the bus in order and at once; what the bus did not take is given again.

States: the latest of each key. Events: every one, up to a bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from msgspec import Struct

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Event, encode

_log = logging.getLogger(__name__)

RETRY_S = 0.25
"""Before giving again what the bus did not take."""

EVENTS = 8192
"""Events that wait while the bus is away; the oldest are then dropped, and that is logged."""


class Delivery:
    """Gives one thing after another to the bus until it is taken; logs when that begins to fail and when it is over."""

    def __init__(self, clock: Clock, source: str) -> None:
        self._clock = clock
        self._source = source
        self._failing = False

    async def give(self, send: Callable[[], Awaitable[object]]) -> bool:
        """Until taken. True when it went at the first attempt."""
        at_once = True
        while True:
            try:
                await send()
            except CountingRoomError as error:
                at_once = False
                if not self._failing:
                    self._failing = True
                    _log.warning("%s: the bus does not take what it is given: %s", self._source, error.cause)
                await self._clock.sleep(RETRY_S)
            else:
                if self._failing:
                    self._failing = False
                    _log.info("%s: the bus takes it again", self._source)
                return at_once


class Publisher:
    """Publishes states and events."""

    def __init__(self, bus: Bus, clock: Clock, source: str) -> None:
        self._bus = bus
        self._states: dict[str, Struct] = {}
        self._events: deque[Event] = deque(maxlen=EVENTS)
        self._dropped = False
        self._news = asyncio.Event()
        self._source = source
        self._delivery = Delivery(clock, source)

    def state(self, key: str, state: Struct) -> None:
        """The key of the state bucket is this now."""
        self._states[key] = state
        self._news.set()

    def event(self, event: Event) -> None:
        """This happened."""
        full = len(self._events) == EVENTS
        if full and not self._dropped:
            _log.error("%s: more than %d events wait for the bus; the oldest are lost", self._source, EVENTS)
        self._dropped = full
        self._events.append(event)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self.flush()

    async def flush(self) -> None:
        """Publish what waits, states before events."""
        while self._states or self._events:
            if self._states:
                await self._delivery.give(partial(self._put, next(iter(self._states))))
            else:
                event = self._events[0]
                await self._delivery.give(partial(self._append, event))
                if self._events and self._events[0] is event:
                    self._events.popleft()

    async def _put(self, key: str) -> None:
        state = self._states[key]
        await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        if self._states[key] is state:
            del self._states[key]

    async def _append(self, event: Event) -> None:
        subject = subjects.event(event.department, event.source)
        await self._bus.append(subject, encode(event), message_id=event.id)
