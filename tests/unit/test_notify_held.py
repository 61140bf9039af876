"""A message is sent from memory or from the database, never from both, and is stored until the database has its end."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.alarms.notify.held_outbox import HeldOutbox
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.testing.clock import FakeClock

MESSAGE = Notification(
    id="1",
    channel="mail",
    kind=NotificationKind.FIRST,
    title="t",
    text="t",
    priority=1,
    created_ns=0,
    due_ns=0,
    expires_ns=2**62,
)


class Box(HeldOutbox):
    def __init__(self) -> None:
        self.calls: list[str] = []
        super().__init__(
            FakeClock(), offered=lambda: self.calls.append("offered"), ended=lambda: self.calls.append("ended")
        )


@pytest.fixture
def box() -> Box:
    return Box()


async def test_a_message_that_a_worker_of_the_database_has_is_not_taken(box: Box) -> None:
    box.keep([MESSAGE])
    assert box.may_send("1")
    box.offer([MESSAGE])
    box.send_kept()
    assert (box.calls, await box.pending()) == ([], ())
    box.finished("1")
    box.send_kept()
    box.keep([MESSAGE])
    box.send_kept()
    assert (box.calls, await box.pending()) == ([], ())


async def test_what_a_worker_of_the_database_gives_back_is_sent_from_here_at_its_time(box: Box) -> None:
    box.keep([MESSAGE, structs.replace(MESSAGE, id="2", priority=3)])
    assert box.may_send("1")
    box.give_back(structs.replace(MESSAGE, attempt=1, due_ns=5, is_repeat=True))
    box.send_kept()
    assert box.calls == ["offered"]
    assert await box.claim(1, "mail", 4) is None
    again = await box.claim(1, "mail", 5)
    assert again == structs.replace(MESSAGE, attempt=2, due_ns=5, is_repeat=True)


async def test_the_result_that_the_database_does_not_take_is_kept_here(box: Box) -> None:
    box.keep([MESSAGE])
    assert box.may_send("1")
    sent = OutboxEntry(notification=MESSAGE, state=NotificationState.SENT, ended_ns=7)
    box.adopt(sent)
    assert box.unstored() == (sent,)
    assert box.calls == ["ended"]
    box.send_kept()
    assert await box.pending() == ()


async def test_a_worker_of_the_database_leaves_one_that_is_here_or_was(box: Box) -> None:
    box.offer([MESSAGE])
    box.offer([MESSAGE])
    assert box.calls == ["offered"]
    assert not box.may_send("1")
    claimed = await box.claim(1, "mail", 1)
    assert claimed == structs.replace(MESSAGE, attempt=1)
    assert await box.claim(1, "mail", 1) is None
    await box.sent(1, "1")
    assert box.calls == ["offered", "ended"]
    entries = box.unstored()
    assert [one.state for one in entries] == [NotificationState.SENT]
    box.stored(entries)
    assert not box.has("1")
    assert not box.may_send("1")
    box.offer([MESSAGE])
    assert not box.has("1")


async def test_what_changes_while_it_is_stored_is_stored_again(box: Box) -> None:
    box.offer([MESSAGE])
    before = box.unstored()
    await box.claim(1, "mail", 1)
    box.stored(before)
    assert [one.state for one in box.unstored()] == [NotificationState.TRYING]
    box.stored(box.unstored())
    assert box.unstored() == ()
    await box.failed(1, "1", "later", next_ns=5, may_repeat=True)
    (again,) = box.unstored()
    assert (again.state, again.error, again.notification.is_repeat) == (NotificationState.DUE, "later", True)
    assert await box.next_due_ns("mail") == 5
    assert await box.claim(1, "mail", 4) is None
    await box.cancel(1, "1", "it is over")
    assert [one.state for one in box.unstored()] == [NotificationState.CANCELLED]
