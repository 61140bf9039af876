"""Checks the routes of notification against the alarms of the description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from countingroom.alarms.description import AlarmsSection
from countingroom.alarms.sections.conditions import LimitCondition
from countingroom.alarms.sections.notify import OverrideDutySection
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.states import HIGHEST_PRIORITY
from countingroom.core.clock import Clock
from countingroom.core.notify.duty import wall
from countingroom.core.notify.routes import covering
from countingroom.core.points import Limits, Point
from countingroom.core.yaml.located import Path

_SHOWN = 3
_LEVELS = {
    "value": (severity.LOW,),
    "device": (severity.HIGH,),
    "channel": (severity.HIGH,),
    "partition": (severity.MEDIUM,),
    "member": (severity.HIGH, severity.MEDIUM, severity.LOW),
    "role": (severity.MEDIUM,),
}
"""First word of an identity -> the levels that such a condition gives."""


def notify_warnings(
    section: AlarmsSection, alarms: Iterable[AlarmDefinition], points: Mapping[str, Point], clock: Clock
) -> Iterator[tuple[Path, str]]:
    """(place in the section, message): routes that tell nothing, urgent alarms that no route tells, duties that have
    not begun, names that no route uses, and links that several receivers share. Nothing where there are no routes."""
    notify = section.notify
    if not notify.routes:
        if notify.channels:
            yield ("notify",), "there are channels and no routes; no alarm is told"
        return
    spec = notify.spec()
    used: set[str] = set()
    untold: list[str] = []
    for alarm in alarms:
        for priority in _priorities(section, alarm, points):
            found = covering(spec.routes, alarm.area, priority)
            used.update(found)
            if priority == HIGHEST_PRIORITY and not found:
                untold.append(alarm.id)
    for name in notify.routes:
        if name not in used:
            yield ("notify", "routes", name), "no alarm of the description has its areas and priorities"
    if untold:
        named = ", ".join(untold[:_SHOWN]) + (" …" if len(untold) > _SHOWN else "")
        count = f"{len(untold)} alarms of priority 1 are" if len(untold) > 1 else "1 alarm of priority 1 is"
        yield ("notify", "routes"), f"{count} told by no route ({named})"
    for name, calendar in notify.calendars.items():
        shown = wall(clock.now_ns(), ZoneInfo(calendar.zone or notify.zone))
        if calendar.begins > shown and not _is_overridden(calendar.overrides, shown):
            message = f"no person has the duty before {calendar.begins:%Y-%m-%d %H:%M}"
            yield ("notify", "calendars", name, "begins"), message
    yield from _unused(section)
    yield from _shared_links(section)


def _unused(section: AlarmsSection) -> Iterator[tuple[Path, str]]:
    """Calendars, persons and channels that no route reaches."""
    notify = section.notify
    named = {to for route in notify.routes.values() for _, to in route.names()}
    for name, calendar in notify.calendars.items():
        if name in named:
            named.update((*calendar.rota, *(one.person for one in calendar.overrides)))
        else:
            yield ("notify", "calendars", name), "no route names it"
    for name, person in notify.people.items():
        if name in named:
            named.update(person.channels)
        else:
            yield ("notify", "people", name), "no route or calendar names this person"
    for name in notify.channels:
        if name not in named:
            yield ("notify", "channels", name), "no route or person that a route names uses it"


def _shared_links(section: AlarmsSection) -> Iterator[tuple[Path, str]]:
    """Mail channels of one person whose mails, with the link that acknowledges, go to several addresses."""
    notify = section.notify
    directory = notify.spec().directory
    for name, channel in notify.channels.items():
        person = directory.owner(name)
        if notify.console and person and channel.mail is not None and len(set(channel.mail.to)) > 1:
            count = len(set(channel.mail.to))
            yield (
                ("notify", "channels", name, "mail", "to"),
                f"{count} addresses share the link by which {person} acknowledges; give each person a channel, or name "
                "this one in routes and in no person",
            )


def _is_overridden(overrides: Iterable[OverrideDutySection], shown: datetime) -> bool:
    return any(one.begin <= shown < one.end for one in overrides)


def _priorities(section: AlarmsSection, alarm: AlarmDefinition, points: Mapping[str, Point]) -> list[int]:
    """The priorities that the alarm can have."""
    kind, _, rest = alarm.id.partition(".")
    if kind == "custom":
        limit = section.custom[alarm.custom].limit if alarm.custom in section.custom else None
        levels = _of_limits(limit) if limit else (severity.LOW,)
    elif kind == "point":
        point = points.get(rest)
        levels = (severity.LOW,) if point is None else (point.severity,) if point.severity else _of_limits(point.limits)
    elif alarm.device and alarm.id == identity.of_link(alarm.device):
        levels = (severity.MEDIUM,)
    else:
        levels = _LEVELS.get(kind, (severity.MEDIUM,))
    return sorted({alarm.priority(level) for level in levels})


def _of_limits(limits: Limits | LimitCondition) -> tuple[int, ...]:
    found: list[int] = []
    if limits.alarm_high is not None or limits.alarm_low is not None:
        found.append(severity.MEDIUM)
    if limits.warning_high is not None or limits.warning_low is not None:
        found.append(severity.LOW)
    return tuple(found)
