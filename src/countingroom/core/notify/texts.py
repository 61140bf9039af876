"""The text of a message about alarms: what, where, since when, what to do, the contact. Pure.

The subject alone must be enough on the screen of a phone. The text is plain, so that it looks the same in a mail, in a
chat and on a pager.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from datetime import tzinfo as TimeZone
from urllib.parse import quote

from msgspec import Struct

from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.alarms.states import AlarmState
from countingroom.core.notify.messages import Notification, NotificationKind
from countingroom.core.notify.planned import Planned
from countingroom.core.notify.tracks import Track
from countingroom.core.times import duration

LISTED = 20
"""Alarms that one message names; the others are counted."""
EXPIRES_NS = 24 * 3_600_000_000_000
"""A message that could not be sent for this time is useless."""
_TITLE = 160
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANKS = {1: "high", 2: "medium", 3: "low", 4: "for information"}

Find = Callable[[str], AlarmDefinition | None]
"""The definition of an alarm; None where the description has none any more."""


class Wording(Struct, frozen=True, kw_only=True):
    """What is the same in all messages of an experiment."""

    experiment: str
    console: str = ""
    """Base of links, without a slash at its end; empty: messages have no links."""
    zone: TimeZone = UTC


def compose(planned: Planned, find: Find, present: Mapping[str, AlarmState], words: Wording) -> Notification:
    """The message with its words."""
    tracks = planned.tracks
    first = tracks[0]
    if len(tracks) == 1:
        title = f"{_prefix(planned)}{first.title}: {_what(first, present)}"
        lines = [*_head(planned, words), *_one(planned, first, find(first.alarm), present, words)]
    else:
        title = f"{_prefix(planned)}{_count(tracks)}: {first.title}: {_what(first, present)}"
        lines = [*_head(planned, words), *_several(planned, find, present, words)]
    return Notification(
        id=planned.id,
        channel=planned.channel,
        kind=planned.kind,
        route=planned.route,
        title=_cut(f"[{words.experiment}] {title}", _TITLE),
        text="\n".join(lines).strip() + "\n",
        priority=first.priority,
        alarms=tuple((track.alarm, track.occurrence) for track in tracks),
        priorities=tuple(track.priority for track in tracks),
        thread_id=planned.thread if planned.thread != planned.id else "",
        person=planned.person,
        links=tuple(_links(tracks, find, words)),
        created_ns=planned.created_ns,
        due_ns=planned.created_ns,
        expires_ns=planned.created_ns + EXPIRES_NS,
    )


def page_of(console: str, alarm: str) -> str:
    """The address of an alarm in the console."""
    return f"{console}/alarms#{quote(alarm)}"


def shown_time(time_ns: int, zone: TimeZone) -> str:
    """`2026-11-29 04:12:03 CET`."""
    instant = _EPOCH + timedelta(seconds=time_ns // 1_000_000_000)
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _prefix(planned: Planned) -> str:
    """The begin of the subject."""
    first = planned.tracks[0]
    match planned.kind:
        case NotificationKind.FOLLOW_UP:
            return "Normal again: "
        case NotificationKind.ESCALATION:
            return f"Not acknowledged, priority {first.priority}: "
        case NotificationKind.REMINDER:
            return f"Still active, priority {first.priority}: "
        case _:
            return f"{'Again, priority' if first.is_again else 'Priority'} {first.priority}: "


def _head(planned: Planned, words: Wording) -> Iterator[str]:
    """Why the message comes, where the subject does not say it."""
    waited = duration(round((planned.created_ns - min(track.first_ns for track in planned.tracks)) / 1e9))
    if planned.kind is NotificationKind.ESCALATION:
        yield f"Not acknowledged for {waited} after the first message."
        yield ""
    elif planned.kind is NotificationKind.REMINDER:
        yield f"Still active and not acknowledged, {waited} after the first message."
        yield ""


def _one(
    planned: Planned,
    track: Track,
    definition: AlarmDefinition | None,
    present: Mapping[str, AlarmState],
    words: Wording,
) -> Iterator[str]:
    state = _state(track, present)
    yield f"What:      {track.title}: {_what(track, present)}"
    if planned.kind is NotificationKind.FOLLOW_UP:
        yield f"Returned:  {shown_time(track.returned_ns or planned.created_ns, words.zone)}"
        if track.is_closed:
            yield "It ended because the description has no such alarm any more."
        elif track.acknowledged_by:
            yield f"It was acknowledged by {track.acknowledged_by}."
        else:
            yield "It was not acknowledged."
    else:
        since_ns = state.since_ns if state else track.announced_ns
        yield f"Priority:  {track.priority} ({_RANKS.get(track.priority, '')})"
        yield f"Since:     {shown_time(since_ns, words.zone)}"
    if track.area:
        yield f"Area:      {track.area}"
    yield f"Alarm:     {track.alarm}, occurrence {track.occurrence}"
    if definition is None:
        return
    if planned.kind is not NotificationKind.FOLLOW_UP:
        yield from _guidance(definition, state.since_ns if state else track.announced_ns, words.zone)
    if definition.contact:
        yield ""
        yield f"Call: {definition.contact}"


def _guidance(definition: AlarmDefinition, since_ns: int, zone: TimeZone) -> Iterator[str]:
    guidance = definition.guidance
    if guidance.meaning:
        yield ""
        yield f"What it means: {guidance.meaning}"
    if guidance.do:
        yield ""
        yield "What to do:"
        for number, step in enumerate(guidance.do, 1):
            yield f"  {number}. {step}"
    if guidance.time_to_act_s is not None:
        until = shown_time(since_ns + round(guidance.time_to_act_s * 1e9), zone)
        yield f"Time to do it: {duration(guidance.time_to_act_s)}, until {until}"
    if guidance.if_not:
        yield f"If nothing is done: {guidance.if_not}"


def _several(planned: Planned, find: Find, present: Mapping[str, AlarmState], words: Wording) -> Iterator[str]:
    """The most urgent first, with what to do for that one."""
    tracks = planned.tracks
    is_over = planned.kind is NotificationKind.FOLLOW_UP
    yield f"{_count(tracks)}{' are normal again' if is_over else ''}:"
    yield ""
    for track in tracks[:LISTED]:
        time_ns = track.returned_ns if is_over and track.returned_ns else track.announced_ns
        what = track.title if is_over else f"{track.title}: {_what(track, present)}"
        yield f"- priority {track.priority}, {shown_time(time_ns, words.zone)}: {what}"
    if len(tracks) > LISTED:
        yield f"- and {len(tracks) - LISTED} more"
    first = tracks[0]
    definition = find(first.alarm)
    if definition is None or is_over:
        return
    state = _state(first, present)
    lines = list(_guidance(definition, state.since_ns if state else first.announced_ns, words.zone))
    if lines or definition.contact:
        yield ""
        yield f"The most urgent one is {first.title} ({first.alarm}, occurrence {first.occurrence})."
        yield from lines
    if definition.contact:
        yield f"Call: {definition.contact}"


def _links(tracks: Sequence[Track], find: Find, words: Wording) -> Iterator[AlarmLink]:
    """Pages that help with the most urgent alarm, and the page of the alarms in the console."""
    first = tracks[0]
    if words.console:
        address = page_of(words.console, first.alarm) if len(tracks) == 1 else f"{words.console}/alarms"
        yield AlarmLink(title="In the console", address=address)
    definition = find(first.alarm)
    for title, address in definition.links.items() if definition else ():
        if not address.startswith("/"):
            yield AlarmLink(title=title, address=address)
        elif words.console:
            yield AlarmLink(title=title, address=words.console + address)


def _count(tracks: Sequence[Track]) -> str:
    """`12 alarms, 3 of priority 1`."""
    top = tracks[0].priority
    urgent = sum(track.priority == top for track in tracks)
    shown = "all" if urgent == len(tracks) else str(urgent)
    return f"{len(tracks)} alarms, {shown} of priority {top}"


def _what(track: Track, present: Mapping[str, AlarmState]) -> str:
    """What is abnormal now, or was when it was announced."""
    state = _state(track, present)
    return (state.text if state and state.base.is_active else "") or track.text or "active"


def _state(track: Track, present: Mapping[str, AlarmState]) -> AlarmState | None:
    state = present.get(track.alarm)
    return state if state and state.occurrence == track.occurrence else None


def _cut(text: str, most: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= most else f"{one_line[: most - 1]}…"
