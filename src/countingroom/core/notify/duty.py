"""The duty calendar: which person is on duty at a time, by a rota with overrides. Pure.

Handovers are at a local time: a rota that changes on Monday at 08:00 does so in summer and in winter. All differences
are therefore those of the clock on the wall, not of seconds that passed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from datetime import tzinfo as TimeZone

from msgspec import Struct

_SECOND_NS = 1_000_000_000
_MOST = 1_000
"""Handovers that are looked at."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Override(Struct, frozen=True, kw_only=True):
    """One person replaces the rota for a time, from its begin to before its end."""

    begin: datetime
    """By the clock on the wall, without a zone."""
    end: datetime
    person: str


class Calendar(Struct, frozen=True, kw_only=True):
    """One duty. The persons of the rota follow one another without end."""

    name: str
    rota: tuple[str, ...]
    begins: datetime
    """The first handover, by the clock on the wall, without a zone. Before it only overrides count."""
    every_s: float
    """Each person has the duty for so long."""
    zone: TimeZone
    overrides: tuple[Override, ...] = ()
    """Of several that hold at a time the last one counts."""


class Duty(Struct, frozen=True, kw_only=True):
    """A person has the duty from a time to a time."""

    person: str
    """Empty: no person has it."""
    from_ns: int
    until_ns: int | None
    """None: it never changes again."""


def on_duty(calendar: Calendar, now_ns: int) -> str:
    """The person who has the duty; empty: none has it."""
    return _at(calendar, shown_once(now_ns, calendar.zone))


def duties(calendar: Calendar, now_ns: int, most: int) -> Iterator[Duty]:
    """The present duty and those that follow, at most so many. The present one begins `now_ns`."""
    begin_ns, person = now_ns, on_duty(calendar, now_ns)
    found = 0
    for change_ns in _changes(calendar, now_ns):
        following = on_duty(calendar, change_ns)
        if following == person:
            continue
        yield Duty(person=person, from_ns=begin_ns, until_ns=change_ns)
        found += 1
        if found >= most:
            return
        begin_ns, person = change_ns, following
    yield Duty(person=person, from_ns=begin_ns, until_ns=None)


def wall(time_ns: int, zone: TimeZone) -> datetime:
    """What the clock on the wall shows then, without a zone."""
    return _aware(time_ns, zone).replace(tzinfo=None, fold=0)


def shown_once(time_ns: int, zone: TimeZone) -> datetime:
    """What the clock on the wall shows then. Where it is set back in autumn it stands still instead, so that what has
    begun or ended does so once."""
    if not _aware(time_ns, zone).fold:
        return wall(time_ns, zone)
    low, high = instant_ns(wall(time_ns, zone), zone), time_ns
    first = _aware(low, zone).utcoffset()
    while high - low > _SECOND_NS:
        middle = (low + high) // 2
        if _aware(middle, zone).utcoffset() == first:
            low = middle
        else:
            high = middle
    return wall(low, zone)


def instant_ns(shown: datetime, zone: TimeZone) -> int:
    """When the clock on the wall shows this for the first time; a time that it jumps over in spring is the jump."""
    # Of a time that does not exist zoneinfo gives an instant after the jump with fold 0, and one before it with fold 1.
    early = _ns(shown.replace(tzinfo=zone, fold=0))
    back = wall(early, zone)
    if back == shown:
        return early
    low, high = _ns(shown.replace(tzinfo=zone, fold=1)), early
    while high - low > _SECOND_NS:
        middle = (low + high) // 2
        if wall(middle, zone) >= shown:
            high = middle
        else:
            low = middle
    return high // _SECOND_NS * _SECOND_NS


def _at(calendar: Calendar, shown: datetime) -> str:
    for override in reversed(calendar.overrides):
        if override.begin <= shown < override.end:
            return override.person
    if not calendar.rota or shown < calendar.begins:
        return ""
    turn = int((shown - calendar.begins) / timedelta(seconds=calendar.every_s))
    return calendar.rota[turn % len(calendar.rota)]


def _changes(calendar: Calendar, now_ns: int) -> Iterator[int]:
    """The times after now at which the duty may change: handovers, begins and ends of overrides."""
    shown = wall(now_ns, calendar.zone)
    edges = {edge for one in calendar.overrides for edge in (one.begin, one.end)}
    found = heapq.merge(sorted(edges), _handovers(calendar, shown))
    yield from (time_ns for one in found if (time_ns := instant_ns(one, calendar.zone)) > now_ns)


def _handovers(calendar: Calendar, shown: datetime) -> Iterator[datetime]:
    """Of the rota, after this time."""
    if shown < calendar.begins and calendar.rota:
        yield calendar.begins
    if len(set(calendar.rota)) < 2:
        return
    every = timedelta(seconds=calendar.every_s)
    turn = max(0, int((shown - calendar.begins) / every))
    for more in range(1, _MOST):
        yield calendar.begins + (turn + more) * every


def _aware(time_ns: int, zone: TimeZone) -> datetime:
    return (_EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(zone)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
