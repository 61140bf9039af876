"""Messages as entries of the history of their alarm."""

from __future__ import annotations

from typing import Any

import pytest

from countingroom.core.alarms.queries import AlarmHistoryEntry
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.core.notify.told import with_messages

S = 1_000_000_000
BEGIN = 1_790_000_000 * S


def entry(
    state: NotificationState = NotificationState.SENT, error: str = "", ended_s: int | None = 5, **changes: Any
) -> OutboxEntry:
    given: dict[str, Any] = {
        "id": "0" * 32,
        "channel": "mail",
        "kind": NotificationKind.FIRST,
        "title": "Bath",
        "text": "",
        "alarms": (("a", 2),),
        "created_ns": BEGIN,
        "due_ns": BEGIN + 30 * S,
        "expires_ns": BEGIN + 3600 * S,
    }
    ended_ns = None if ended_s is None else BEGIN + ended_s * S
    return OutboxEntry(notification=Notification(**{**given, **changes}), state=state, error=error, ended_ns=ended_ns)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (entry(), "message by mail: sent"),
        (entry(person="anna", is_repeat=True), "message to anna by mail: sent, may be a repeat"),
        (entry(error="550 for b@x"), "message by mail: sent: 550 for b@x"),
        (
            entry(NotificationState.DEAD, "no such user", kind=NotificationKind.ESCALATION),
            "escalation by mail: could not be sent: no such user",
        ),
        (
            entry(NotificationState.CANCELLED, "it was acknowledged", kind=NotificationKind.REMINDER),
            "reminder by mail: not sent: it was acknowledged",
        ),
        (entry(NotificationState.TRYING, ended_s=None, attempt=1), "message by mail: is being sent"),
        (entry(NotificationState.DUE, ended_s=None), "message by mail: waits until 2026-09-21T14:13:50Z"),
        (
            entry(NotificationState.DUE, "no route", ended_s=None, attempt=2),
            "message by mail: try 2 failed, next at 2026-09-21T14:13:50Z: no route",
        ),
        (entry(kind=NotificationKind.GROUP, alarms=(("a", 2), ("b", 1))), "message about 2 alarms by mail: sent"),
    ],
)
def test_a_message_in_words(given: OutboxEntry, text: str) -> None:
    (found,) = with_messages((), [given], "a", 10)
    assert (found.kind, found.text, found.occurrence) == ("message", text, 2)


def test_they_stand_between_the_records_by_time_and_the_newest_stay() -> None:
    records = [
        AlarmHistoryEntry(time_ns=BEGIN + after * S, kind=kind, text="")
        for after, kind in ((9, "acknowledged"), (0, "announced"))
    ]
    found = with_messages(records, [entry(ended_s=5), entry(NotificationState.DUE, ended_s=None)], "a", 3)
    assert [(one.kind, (one.time_ns - BEGIN) // S) for one in found] == [
        ("acknowledged", 9),
        ("message", 5),
        ("announced", 0),
    ]
