"""Events, newest first: the last ones from memory, older ones from the stream.

The stream cannot be read backwards. An older page is found by reading forward from ever earlier positions, within a
bound.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from itertools import islice

import msgspec
from msgspec import Struct

from countingroom.bus.port import Bus, Stored
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import RequestError
from countingroom.core.messages import Event, MessageDecoder
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)
_MOST_READ = 100_000
"""Most events read for one page."""
_SKEW_NS = 3_600_000_000_000
"""Events of several machines are in order of their arrival; their clocks may differ by less than this."""
_AT_ONCE = 50
"""Events read before other work gets a turn."""

Numbered = tuple[int, Event]
"""Sequence in the stream, and the event."""


_decoder = MessageDecoder(Event)


def read(bus: Bus, stored: Stored) -> Numbered | None:
    """Decode an event; None if it cannot be decoded (a newer version may have written it)."""
    event = bus.dead_letters.read(stored.subject, stored.data, _decoder)
    return None if event is None else (stored.sequence, event)


class EventFilter(Struct, frozen=True, kw_only=True):
    """Selects events. All given conditions must be met."""

    source: str = ""
    kind: str = ""
    text: str = ""
    """In source, channel, message, user, action or cause; case does not matter."""
    from_ns: int | None = None
    to_ns: int | None = None
    """Before this time."""

    def matches(self, event: Event) -> bool:
        """Whether the event is selected."""
        if (self.source and event.source != self.source) or (self.kind and event.kind.value != self.kind):
            return False
        if self.from_ns is not None and event.time_ns < self.from_ns:
            return False
        if self.to_ns is not None and event.time_ns >= self.to_ns:
            return False
        if not self.text:
            return True
        cause = event.cause.message if event.cause else ""
        words = (event.source, event.channel, event.message, event.principal, event.action, cause)
        return self.text.casefold() in " ".join(words).casefold()


def shown(numbered: Numbered) -> dict[str, object]:
    """An event as API and pages give it: with its sequence in the stream."""
    sequence, event = numbered
    return {"sequence": sequence, **msgspec.to_builtins(event)}


class RecentEvents:
    """The events stream, newest first."""

    def __init__(self, bus: Bus, clock: Clock, *, keep: int = 2000) -> None:
        self._bus = bus
        report = edge_log(_log, "console: events are not followed", "console: events are followed again")
        self._retry = Retry(clock, report, pause_s=1.0)
        self._recent: deque[Numbered] = deque(maxlen=keep)
        self._keep = keep
        self._new: deque[Numbered] = deque(maxlen=keep)
        self._ready = asyncio.Event()
        self._is_followed = False

    def troubles(self) -> list[str]:
        """Why the newest events may be missing; empty: they are here."""
        return [] if self._is_followed else ["the events on the bus are not followed"]

    async def run(self) -> None:
        """Follow the stream until cancelled; begins again where it stood when the link fails."""
        await self._retry.forever(self._follow)

    async def _follow(self) -> None:
        last = self._recent[-1][0] if self._recent else await self._last_sequence() - self._keep
        try:
            async with self._bus.replay(subjects.EVENTS_STREAM, from_sequence=max(1, last + 1)) as stream:
                self._ready.set()
                self._is_followed = True
                self._retry.report.worked()
                async for stored in stream:
                    if numbered := read(self._bus, stored):
                        self._recent.append(numbered)
                        self._new.append(numbered)
        finally:
            self._is_followed = False

    async def _last_sequence(self) -> int:
        """The highest sequence in the stream."""
        last = 0
        async with self._bus.replay(subjects.EVENTS_STREAM, last_per_subject=True, follow=False) as stream:
            async for stored in stream:
                last = max(last, stored.sequence)
        return last

    async def ready(self) -> None:
        """Returns once the stream is followed."""
        await self._ready.wait()

    def take_new(self) -> list[Numbered]:
        """The events that came since the last call, in order. For the live feed alone."""
        new = list(self._new)
        self._new.clear()
        return new

    def recent(self, limit: int, *, source: str = "") -> list[Numbered]:
        """The newest in memory, newest first."""
        return list(islice(_matching(reversed(self._recent), EventFilter(source=source)), limit))

    async def page(self, wanted: EventFilter, *, limit: int, before: int | None) -> tuple[list[Numbered], int | None]:
        """Up to `limit` events older than the sequence `before`, newest first; and where to go on, None at the
        beginning. What is rare may give fewer than there are: go on from there."""
        oldest = self._recent[0][0] if self._recent else 1
        end = before if before is not None else (self._recent[-1][0] + 1 if self._recent else 1)
        found: list[Numbered] = []
        if end > oldest:
            inside = (one for one in reversed(self._recent) if one[0] < end)
            found = list(islice(_matching(inside, wanted), limit))
            end = oldest
        span, bound = 2 * self._keep, max(1, end - _MOST_READ)
        while len(found) < limit and end > bound:
            begin = max(bound, end - span)
            older = await self._between(begin, end, wanted.source)
            found += islice(_matching(reversed(older), wanted), limit - len(found))
            end, span = begin, 4 * span
            if wanted.from_ns is not None and older and older[0][1].time_ns < wanted.from_ns - _SKEW_NS:
                return found, None if len(found) < limit else found[-1][0]
        if len(found) >= limit:
            end = found[-1][0]
        return found, end if end > 1 else None

    async def _between(self, begin: int, end: int, source: str) -> list[Numbered]:
        wanted = f"events.*.{subjects.token(source)}" if source else "events.>"
        older: list[Numbered] = []
        try:
            async with (
                asyncio.timeout(5.0),
                self._bus.replay(subjects.EVENTS_STREAM, subjects=wanted, from_sequence=begin, follow=False) as stream,
            ):
                async for stored in stream:
                    if stored.sequence >= end:
                        break
                    if numbered := read(self._bus, stored):
                        older.append(numbered)
                    if stored.sequence % _AT_ONCE == 0:  # a full queue never suspends: other requests would wait
                        await asyncio.sleep(0)
        except TimeoutError:
            raise RequestError(
                "the events that far back could not be read in 5 s",
                source="console",
                code="too_slow",
                suggestion="ask for fewer, or for one source",
            ) from None
        return older


def _matching(events: Iterator[Numbered], wanted: EventFilter) -> Iterator[Numbered]:
    return (numbered for numbered in events if wanted.matches(numbered[1]))
