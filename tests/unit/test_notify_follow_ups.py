"""The return of an alarm is told to each channel whose last word about it was that it is active."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from countingroom.alarms.notify.follow_ups import FollowUps
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.core.notify.planned import Planned
from countingroom.core.notify.routes import Recipients
from countingroom.core.notify.tracks import Track
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox

T = TypeVar("T")
FIRST, OVER = NotificationKind.FIRST, NotificationKind.FOLLOW_UP
TRACK = Track(route="all", alarm="a.b", occurrence=5, announced_ns=50, priority=2, told=("mail",), returned_ns=60)
PLANNED = Planned(
    id="p", kind=OVER, route="all", channel="mail", person="", tracks=(TRACK,), step=1, thread="t", created_ns=70
)


async def with_database(call: Callable[[], Awaitable[T]]) -> T:
    return await call()


@pytest.mark.parametrize(
    ("sent", "is_told"),
    [
        ([(4, FIRST), (4, OVER), (5, FIRST)], True),
        # A channel that failed for a while: the return of the last occurrence was sent after the new one was told.
        ([(4, FIRST), (5, FIRST), (4, OVER)], True),
        ([(4, FIRST)], True),
        ([(4, FIRST), (4, OVER)], False),
        ([(5, FIRST), (5, OVER)], False),
        ([], False),
    ],
)
async def test_the_last_occurrence_that_a_channel_was_told_of_counts(
    sent: list[tuple[int, NotificationKind]], is_told: bool
) -> None:
    outbox = MemoryOutbox(FakeClock())
    for number, (occurrence, kind) in enumerate(sent):
        message = Notification(
            id=str(number),
            channel="mail",
            kind=kind,
            route="all",
            title="",
            text="",
            alarms=(("a.b", occurrence),),
            created_ns=0,
            due_ns=0,
            expires_ns=1,
        )
        outbox.entries[message.id] = OutboxEntry(notification=message, state=NotificationState.SENT, ended_ns=number)
    found = await FollowUps(outbox, Recipients(channels=frozenset({"mail"})), with_database).really([PLANNED])
    assert [one.channel for one in found] == (["mail"] if is_told else [])
