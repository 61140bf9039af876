"""Makes entries of an alarm's history from the messages about it: the person, the channel, the result. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from countingroom.core.alarms.queries import AlarmHistoryEntry
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.core.times import format_time

KIND = "message"
"""The kind of such an entry."""
_S = 1_000_000_000
_NAMES = {
    NotificationKind.FIRST: "message",
    NotificationKind.REMINDER: "reminder",
    NotificationKind.ESCALATION: "escalation",
    NotificationKind.FOLLOW_UP: "follow-up",
    NotificationKind.RULE: "message of a rule",
    NotificationKind.TEST: "test",
}


def with_messages(
    records: Iterable[AlarmHistoryEntry], messages: Iterable[OutboxEntry], alarm: str, limit: int
) -> tuple[AlarmHistoryEntry, ...]:
    """The newest `limit` of the records of an alarm and the messages that tell of it, newest first."""
    found = [*records, *(_entry(one, alarm) for one in messages)]
    return tuple(sorted(found, key=lambda one: -one.time_ns)[:limit])


def _entry(entry: OutboxEntry, alarm: str) -> AlarmHistoryEntry:
    message = entry.notification
    occurrence = next((number for id, number in message.alarms if id == alarm), 0)
    # What waits stands where it was planned: the time at which it is due may lie ahead.
    time_ns = message.created_ns if entry.ended_ns is None else entry.ended_ns
    return AlarmHistoryEntry(time_ns=time_ns, kind=KIND, text=_sentence(entry), occurrence=occurrence)


def _sentence(entry: OutboxEntry) -> str:
    """`message to anna by anna_mail: sent`."""
    message = entry.notification
    person = f" to {message.person}" if message.person else ""
    repeat = ", may be a repeat" if message.is_repeat else ""
    return f"{_name(message)}{person} by {message.channel}: {_result(entry)}{repeat}"


def _name(message: Notification) -> str:
    if message.kind is NotificationKind.GROUP:
        return f"message about {len(message.alarms)} alarms"
    return _NAMES[message.kind]


def _result(entry: OutboxEntry) -> str:
    message, why = entry.notification, f": {entry.error}" if entry.error else ""
    match entry.state:
        case NotificationState.SENT:
            return f"sent{why}"
        case NotificationState.DEAD:
            return f"could not be sent{why}"
        case NotificationState.CANCELLED:
            return f"not sent{why}"
        case NotificationState.TRYING:
            return "is being sent"
        case NotificationState.DUE:
            due = format_time(message.due_ns - message.due_ns % _S)
            return f"try {message.attempt} failed, next at {due}{why}" if message.attempt else f"waits until {due}"
