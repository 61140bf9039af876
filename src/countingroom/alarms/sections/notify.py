"""The keys `alarms.notify` of the description: recipients, times and channels of messages about alarms."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from countingroom.alarms.sections.inherited import Problem, Rank, Texts
from countingroom.alarms.sections.notify_channels import ChannelSection, HeartbeatSection
from countingroom.core.notify.duty import Calendar, Override
from countingroom.core.notify.routes import Escalation, NotifyRoute, NotifySpec, QuietHours, Rate, Recipients
from countingroom.core.yaml.section import Name, Seconds, Section
from countingroom.core.yaml.validation_errors import did_you_mean

_TURNS = {"day": 86_400.0, "week": 7 * 86_400.0}
_HTTP = ("https://", "http://")


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"this computer knows no time zone {value!r}; names are Europe/Berlin, UTC …, from its package tzdata"
        ) from error
    return value


def _turn(value: Any) -> Any:
    return _TURNS.get(value, value) if isinstance(value, str) else value


def _without_zone(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError("give the local time without Z or an offset; the calendar has its zone")
    return value


def _address(value: str) -> str:
    if value and not value.startswith(_HTTP):
        raise ValueError(f"the address of the console begins with https:// or http://; got {value!r}")
    return value.rstrip("/")


Zone = Annotated[str, AfterValidator(_zone)]
"""Name of a time zone: `Europe/Berlin`, `UTC`."""
LocalTime = Annotated[datetime, AfterValidator(_without_zone)]
"""By the clock on the wall in the zone of the calendar: `2026-11-30T08:00`."""
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""`22:00`, in quotes: YAML takes it for a number without them."""
Turn = Annotated[Seconds, BeforeValidator(_turn, json_schema_input_type=float | str), Field(ge=3600)]


class PersonSection(Section):
    """A person who is told of alarms."""

    channels: Annotated[Texts, Field(min_length=1)]
    """Names of the channels that reach this person. All are used."""
    user: str = ""
    """The account with which the person acknowledges by the link in a message; the name of the person where empty.
    Messages have no link where there is no such account."""


class OverrideDutySection(Section):
    """Another person has the duty for a time."""

    begin: LocalTime = Field(alias="from")
    end: LocalTime = Field(alias="to")
    person: str

    def problems(self) -> Iterator[Problem]:
        """The end before the begin."""
        if self.end <= self.begin:
            yield ("to",), f"the override ends at {self.end:%Y-%m-%d %H:%M}, which is not after its begin"


class CalendarSection(Section):
    """A duty that persons have in turn."""

    rota: list[str] = []
    """The persons, in the order in which they have the duty."""
    begins: LocalTime
    """The duty of the first person begins, and every handover is at this time of the day."""
    every: Turn = 7 * 86_400.0
    """How long each has the duty: `week`, `day`, or a duration such as `12 h`."""
    zone: Zone | None = None
    """Of its times; that of the section where it is not given."""
    overrides: list[OverrideDutySection] = []
    """Of several that hold at a time the last one counts."""

    def calendar(self, name: str, zone: str) -> Calendar:
        """For the planner. `zone`: that of the section."""
        return Calendar(
            name=name,
            rota=tuple(self.rota),
            begins=self.begins,
            every_s=self.every,
            zone=ZoneInfo(self.zone or zone),
            overrides=tuple(Override(begin=one.begin, end=one.end, person=one.person) for one in self.overrides),
        )


class EscalationSection(Section):
    """Further recipients where an alarm is not acknowledged."""

    after: Annotated[Seconds, Field(gt=0)]
    """So long after the first message."""
    to: Annotated[Texts, Field(min_length=1)]


class RateSection(Section):
    """At most so many messages in such a time."""

    most: Annotated[int, Field(ge=1, le=1000)]
    per: Annotated[Seconds, Field(gt=0, le=86_400)] = 3600.0


class QuietSection(Section):
    """Hours in which alarms of low priorities wait."""

    begin: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")
    priorities: Annotated[list[Rank], Field(min_length=1)] = [3, 4]
    zone: Zone | None = None
    """Of its times; that of the section where it is not given."""

    def problems(self) -> Iterator[Problem]:
        """No hours at all, and hours in which nothing at all is told."""
        if self.begin == self.end:
            yield ("to",), "the quiet hours end when they begin"
        if 1 in self.priorities:
            yield ("priorities",), "alarms of priority 1 cannot wait for the end of the quiet hours"

    def hours(self, zone: str) -> QuietHours:
        """For the planner. `zone`: that of the section."""
        return QuietHours(
            begin=datetime.strptime(self.begin, "%H:%M").time(),  # noqa: DTZ007
            end=datetime.strptime(self.end, "%H:%M").time(),  # noqa: DTZ007
            priorities=frozenset(self.priorities),
            zone=ZoneInfo(self.zone or zone),
        )


class RouteSection(Section):
    """Tells alarms of some areas and priorities. Every route that matches an alarm tells it."""

    areas: Texts = []
    """Paths of areas, each with the areas below; none: all alarms."""
    priorities: Annotated[list[Rank], Field(min_length=1)] = [1, 2, 3, 4]
    to: Annotated[Texts, Field(min_length=1)]
    """Channels, persons and calendars."""
    after: Annotated[Seconds, Field(ge=0)] = 0.0
    """The first message comes so long after the announcement, if the alarm is then active and not acknowledged."""
    group: Annotated[Seconds, Field(ge=0, le=3600)] = 10.0
    """From the first alarm that is due so long are others collected. They come in one message."""
    escalate: list[EscalationSection] = []
    """By rising time."""
    follow_up: bool = True
    """Tell the return, to those that were told of the alarm."""
    remind: Annotated[Seconds, Field(ge=60)] | None = None
    """Tell again after so long, until it is acknowledged or over."""
    rate: RateSection | None = None
    """Alarms beyond it wait and come in one message; those of priority 1 do not wait."""
    quiet: QuietSection | None = None

    def problems(self) -> Iterator[Problem]:
        """Escalations that do not follow one another."""
        for index in range(1, len(self.escalate)):
            if self.escalate[index].after <= self.escalate[index - 1].after:
                yield ("escalate", index, "after"), "it does not come after the escalation before it"

    def names(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """(place, name) of every recipient."""
        for index, name in enumerate(self.to):
            yield ("to", index), name
        for step, one in enumerate(self.escalate):
            for index, name in enumerate(one.to):
                yield ("escalate", step, "to", index), name

    def route(self, name: str, zone: str) -> NotifyRoute:
        """For the planner. `zone`: that of the section."""
        return NotifyRoute(
            name=name,
            areas=tuple(self.areas),
            priorities=frozenset(self.priorities),
            to=tuple(self.to),
            after_ns=_ns(self.after),
            group_ns=_ns(self.group),
            escalate=tuple(Escalation(after_ns=_ns(one.after), to=tuple(one.to)) for one in self.escalate),
            follow_up=self.follow_up,
            remind_ns=None if self.remind is None else _ns(self.remind),
            rate=Rate(most=self.rate.most, per_ns=_ns(self.rate.per)) if self.rate else None,
            quiet=self.quiet.hours(zone) if self.quiet else None,
        )


class NotifySection(Section):
    """Notification of alarms: channels, persons, duty calendars and routes."""

    console: Annotated[str, AfterValidator(_address)] = ""
    """Base of the links in messages: `https://control.example.org`. Without it messages have no links."""
    zone: Zone = "UTC"
    """Of the times in messages, and of calendars and quiet hours that name none."""
    channels: dict[Name, ChannelSection] = {}
    """Name -> where messages are sent."""
    people: dict[Name, PersonSection] = {}
    """Name -> channels of a person."""
    calendars: dict[Name, CalendarSection] = {}
    """Name -> persons who have a duty in turn."""
    routes: dict[Name, RouteSection] = {}
    """Name -> which alarms are told to whom."""
    heartbeat: HeartbeatSection | None = None
    """A sign of life to an address outside, so that a silence of the control room itself is noticed."""

    @property
    def in_use(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.routes or self.channels or self.heartbeat)

    def spec(self) -> NotifySpec:
        """For the planner."""
        return NotifySpec(
            routes={name: one.route(name, self.zone) for name, one in self.routes.items()},
            directory=Recipients(
                channels=frozenset(self.channels),
                people={name: tuple(one.channels) for name, one in self.people.items()},
                calendars={name: one.calendar(name, self.zone) for name, one in self.calendars.items()},
            ),
        )

    def problems(self) -> Iterator[Problem]:
        """Names that do not exist or mean two things, and calendars without a person."""
        yield from self._two_meanings()
        for name, person in self.people.items():
            for index, channel in enumerate(person.channels):
                if channel not in self.channels:
                    yield (
                        ("people", name, "channels", index),
                        f"there is no channel {channel}{did_you_mean(channel, self.channels)}",
                    )
        for name, calendar in self.calendars.items():
            yield from self._of_calendar(name, calendar)
        known = [*self.channels, *self.people, *self.calendars]
        for name, route in self.routes.items():
            for path, to in route.names():
                if to not in known:
                    yield (
                        ("routes", name, *path),
                        f"there is no channel, person or calendar {to}{did_you_mean(to, known)}",
                    )

    def _two_meanings(self) -> Iterator[Problem]:
        for name in self.people:
            if name in self.channels:
                yield ("people", name), f"{name} is the name of a channel, too; a route could not tell them apart"
        for name in self.calendars:
            if name in self.channels or name in self.people:
                yield ("calendars", name), f"{name} is the name of a person or channel, too"

    def _of_calendar(self, name: str, calendar: CalendarSection) -> Iterator[Problem]:
        given = [(("rota", index), person) for index, person in enumerate(calendar.rota)]
        given += [(("overrides", index, "person"), one.person) for index, one in enumerate(calendar.overrides)]
        for path, person in given:
            if person not in self.people:
                yield ("calendars", name, *path), f"there is no person {person}{did_you_mean(person, self.people)}"
        if not calendar.rota:
            yield ("calendars", name, "rota"), "no person has the duty; name at least one"


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
