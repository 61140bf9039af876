"""Routes of notification: which alarms are sent to which recipients, when, and how often. Pure.

The description gives them (`alarms/sections/notify.py`); the planner (`plan.py`) follows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from datetime import tzinfo as TimeZone

from msgspec import Struct

from countingroom.core.notify.duty import Calendar, instant_ns, on_duty, shown_once


class Escalation(Struct, frozen=True, kw_only=True):
    """Further recipients, where the alarm is not acknowledged for so long after the first message."""

    after_ns: int
    to: tuple[str, ...]


class Rate(Struct, frozen=True, kw_only=True):
    """At most so many messages in such a time. Further alarms wait and come together in the next message."""

    most: int
    per_ns: int


class QuietHours(Struct, frozen=True, kw_only=True):
    """Alarms of these priorities wait during these hours, and come together at their end if they are still active."""

    begin: time
    end: time
    """By the clock on the wall. Before the begin: of the next day."""
    priorities: frozenset[int]
    zone: TimeZone

    def end_ns(self, time_ns: int) -> int | None:
        """The end of the quiet hours that hold at this time; None: none hold."""
        shown = shown_once(time_ns, self.zone)
        begin = datetime.combine(shown.date(), self.begin)
        end = datetime.combine(shown.date(), self.end)
        if self.begin <= self.end:
            is_quiet = begin <= shown < end
        else:
            is_quiet = shown >= begin or shown < end
            if shown >= begin:
                end += timedelta(days=1)
        return instant_ns(end, self.zone) if is_quiet else None


class NotifyRoute(Struct, frozen=True, kw_only=True):
    """Tells alarms of some areas and priorities to recipients: channels, persons or duty calendars."""

    name: str
    areas: tuple[str, ...] = ()
    """Paths, each with the areas below; none: every alarm."""
    priorities: frozenset[int] = frozenset((1, 2, 3, 4))
    to: tuple[str, ...]
    after_ns: int = 0
    """An alarm that is acknowledged or over by then is not told."""
    group_ns: int = 0
    """So long are further alarms collected for the same message."""
    escalate: tuple[Escalation, ...] = ()
    """By rising time."""
    follow_up: bool = True
    """Tell the return of an alarm, to those that were told of it."""
    remind_ns: int | None = None
    """Tell again after so long, while it is active and not acknowledged; None: never."""
    rate: Rate | None = None
    quiet: QuietHours | None = None

    def matches(self, area: str, priority: int) -> bool:
        """Whether it tells alarms of this area and priority."""
        if priority not in self.priorities:
            return False
        return not self.areas or any(area == one or area.startswith(f"{one}/") for one in self.areas)

    def allowed_ns(self, priority: int, due_ns: int, now_ns: int) -> int:
        """When a message that is due at this time may be sent: then, or at the end of the quiet hours."""
        if self.quiet is None or priority not in self.quiet.priorities:
            return due_ns
        start_ns = self.quiet.end_ns(due_ns) or due_ns
        if start_ns > now_ns:
            return start_ns
        # It was late, because of the rate or because no engine ran, and other quiet hours have begun.
        return self.quiet.end_ns(now_ns) or start_ns


class Recipient(Struct, frozen=True, kw_only=True):
    """One channel, and the person who has it."""

    channel: str
    person: str = ""
    """Empty: it belongs to no single person."""


class Recipients(Struct, frozen=True, kw_only=True):
    """The recipients for each name of `to`."""

    channels: frozenset[str] = frozenset()
    people: dict[str, tuple[str, ...]] = {}
    """Person -> the channels."""
    calendars: dict[str, Calendar] = {}

    def recipients(self, names: Iterable[str], now_ns: int) -> tuple[Recipient, ...]:
        """The channels behind these names at this time, each once; empty: no person is on duty."""
        found: dict[str, Recipient] = {}
        for name in names:
            person = on_duty(self.calendars[name], now_ns) if name in self.calendars else name
            if person in self.people:
                for channel in self.people[person]:
                    found.setdefault(channel, Recipient(channel=channel, person=person))
            elif person in self.channels:
                found.setdefault(person, Recipient(channel=person, person=self.owner(person)))
        return tuple(found.values())

    def owner(self, channel: str) -> str:
        """The one person who has this channel; empty: none or several."""
        owners = [person for person, channels in self.people.items() if channel in channels]
        return owners[0] if len(owners) == 1 else ""


class NotifySpec(Struct, frozen=True, kw_only=True):
    """The parts of the description that the planner needs."""

    routes: dict[str, NotifyRoute] = {}
    directory: Recipients = Recipients()


def covering(routes: Mapping[str, NotifyRoute], area: str, priority: int) -> list[str]:
    """The names of the routes that tell alarms of this area and priority."""
    return [name for name, route in routes.items() if route.matches(area, priority)]
