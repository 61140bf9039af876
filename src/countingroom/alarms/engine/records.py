"""The records of a change of an alarm: a row of its history, and an event. Pure.

The event is made from the row alone. So an engine that takes over can publish the events of the last rows again: they
get the same ids as before, and the bus stores each of them once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import NAMESPACE_OID, uuid5

from countingroom.alarms.engine.finding import AlarmFinding, clear
from countingroom.alarms.engine.saved import EngineAlarm
from countingroom.core import severity
from countingroom.core.alarms.chart import AlarmRecord
from countingroom.core.alarms.events import (
    ANNOUNCEMENTS,
    Acknowledge,
    AlarmEffect,
    AlarmEvent,
    EffectKind,
    Remark,
    Reset,
    Shelve,
    TakeOutOfService,
    Unshelve,
)
from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.messages import Event, EventKind
from countingroom.core.values import Scalar

DEPARTMENT = "alarms"

_KINDS = {
    EffectKind.ANNOUNCE: HistoryKind.ANNOUNCED,
    EffectKind.ANNOUNCE_BY_RATE: HistoryKind.ANNOUNCED,
    EffectKind.RE_ANNOUNCE: HistoryKind.ANNOUNCED_AGAIN,
    EffectKind.ANNOUNCE_BACK: HistoryKind.ANNOUNCED_AGAIN,
    EffectKind.RETURNED: HistoryKind.RETURNED,
    EffectKind.ACKNOWLEDGED: HistoryKind.ACKNOWLEDGED,
    EffectKind.RESET: HistoryKind.RESET,
    EffectKind.SHELVED: HistoryKind.SHELVED,
    EffectKind.SUPPRESSED: HistoryKind.SUPPRESSED,
    EffectKind.UNSUPPRESSED: HistoryKind.UNSUPPRESSED,
    EffectKind.OUT_OF_SERVICE: HistoryKind.OUT_OF_SERVICE,
    EffectKind.IN_SERVICE: HistoryKind.IN_SERVICE,
    EffectKind.COMMENTED: HistoryKind.COMMENTED,
}
_WORDS = {
    HistoryKind.ANNOUNCED_AGAIN: "still active",
    HistoryKind.RAISED: "more urgent now",
    HistoryKind.LOWERED: "less urgent now",
    HistoryKind.RETURNED: "normal again",
    HistoryKind.UNSHELVED: "taken from the shelf",
    HistoryKind.SHELF_ENDED: "its shelf has ended",
    HistoryKind.UNSUPPRESSED: "no longer suppressed",
    HistoryKind.IN_SERVICE: "in service again",
    HistoryKind.OUT_OF_SERVICE: "out of service",
    HistoryKind.OVERDUE: "still out of service after its due date",
}
_TOLD = frozenset({HistoryKind.ANNOUNCED, HistoryKind.ANNOUNCED_AGAIN, HistoryKind.RAISED})
"""Kinds of rows whose event has the severity of the alarm."""


def history_rows(
    entry: EngineAlarm,
    before: AlarmRecord,
    effects: Iterable[AlarmEffect],
    now_ns: int,
    *,
    by: str,
    event: AlarmEvent,
) -> Iterator[AlarmEntry]:
    """The history rows of one step of an alarm."""
    effects = tuple(effects)
    is_announced = bool(ANNOUNCEMENTS.intersection([effect.kind for effect in effects]))
    record = entry.record
    for effect in effects:
        kind = _kind(effect.kind, before, record, event, is_announced=is_announced)
        if kind is None:
            continue
        text = _text(event) if by else ""
        until_ns = None
        if kind is HistoryKind.SHELVED and record.shelf:
            until_ns = record.shelf.until_ns
        elif kind is HistoryKind.OUT_OF_SERVICE and record.service:
            until_ns = record.service.due_ns
        yield AlarmEntry(
            time_ns=now_ns,
            alarm=entry.subject.id,
            area=entry.definition.area,
            title=entry.definition.title or entry.subject.title,
            kind=kind,
            occurrence=effect.occurrence,
            base=record.base,
            priority=record.priority,
            person=by,
            text=text or (record.text if kind in _TOLD or kind is HistoryKind.ACTIVATED else ""),
            until_ns=until_ns,
            value=entry.finding.value if entry.finding else None,
            cause_id=entry.cause_id,
        )


def overdue_finding(entry: EngineAlarm, now_ns: int) -> AlarmFinding:
    """A finding that says whether an alarm is still out of service after its due date."""
    service = entry.record.service
    if service is None or now_ns < service.due_ns:
        return clear(now_ns)
    text = f"it is still out of service after its due date; {service.owner} repairs it: {service.reason}"
    return AlarmFinding(level=severity.LOW, since_ns=service.due_ns, text=text)


def closed_row(entry: EngineAlarm, before: AlarmRecord, now_ns: int) -> AlarmEntry:
    """The row that closes an alarm whose source is no longer described."""
    return AlarmEntry(
        time_ns=now_ns,
        alarm=entry.subject.id,
        area=entry.definition.area,
        title=entry.definition.title or entry.subject.title,
        kind=HistoryKind.CLOSED,
        occurrence=before.occurrence,
        base=entry.record.base,
        priority=before.priority,
        text="the description has no such alarm any more",
    )


def _kind(
    kind: EffectKind, before: AlarmRecord, after: AlarmRecord, event: AlarmEvent, *, is_announced: bool
) -> HistoryKind | None:
    match kind:
        case EffectKind.REFUSED:
            return None
        case EffectKind.OCCURRED:
            return None if is_announced else HistoryKind.ACTIVATED
        case EffectKind.PRIORITY:
            return HistoryKind.RAISED if after.priority < before.priority else HistoryKind.LOWERED
        case EffectKind.UNSHELVED:
            return HistoryKind.UNSHELVED if isinstance(event, Unshelve) else HistoryKind.SHELF_ENDED
        case EffectKind.RE_ANNOUNCE if before.announced_ns is None:
            return HistoryKind.ANNOUNCED  # the first announcement: until now it was a consequence
        case _:
            return _KINDS[kind]


def _text(event: AlarmEvent) -> str:
    match event:
        case Acknowledge():
            return event.comment
        case Shelve() | TakeOutOfService():
            return event.reason
        case Remark():
            return event.text
        case Reset() | _:
            return ""


def event_of(row: AlarmEntry) -> Event:
    """The event of a row. The same row always gives the same id."""
    named = f"{row.alarm} {row.kind} {row.occurrence} {row.time_ns} {row.person}"
    return Event(
        id=uuid5(NAMESPACE_OID, named).hex,
        kind=EventKind.STATE,
        time_ns=row.time_ns,
        department=DEPARTMENT,
        source=row.alarm.split(".")[1],
        message=f"{row.title}: {sentence(row)}",
        severity=_severity(row),
        principal=row.person,
        action=row.kind.value,
        after=row.base.value,
        data=_data(row),
    )


def _severity(row: AlarmEntry) -> int:
    return row.priority if row.kind in _TOLD and row.priority <= severity.LOW else severity.NORMAL


def _data(row: AlarmEntry) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {"alarm": row.alarm, "occurrence": row.occurrence, "priority": row.priority}
    if row.area:
        found["area"] = row.area
    if row.cause_id:
        found["cause_id"] = row.cause_id
    return found


def sentence(row: AlarmEntry) -> str:
    """The row as text: `acknowledged by anna: I fill it`."""
    if row.kind in (HistoryKind.ANNOUNCED, HistoryKind.ACTIVATED, HistoryKind.CLOSED):
        return row.text
    words = _WORDS.get(row.kind, row.kind.value)
    person = f" by {row.person}" if row.person else ""
    return f"{words}{person}{f': {row.text}' if row.text else ''}"
