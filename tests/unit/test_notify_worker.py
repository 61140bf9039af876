"""The worker of a channel: what it tries, when, and what it writes down. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from msgspec import structs

from countingroom.alarms.notify.sender import ACCEPTED, UNWANTED, Delivery, IsWanted, failed, refused, unknown
from countingroom.alarms.notify.worker import ChannelRecord, ChannelWorker, Linked, backoff_s
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.errors import Conflict
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox

S = 1_000_000_000


class FakeLine:
    """Gives the answers that a test has prepared, the last one again and again."""

    kind = "fake"

    def __init__(self, *answers: Delivery) -> None:
        self.answers = list(answers)
        self.sent: list[Notification] = []
        self.is_hanging = False
        self.free = asyncio.Event()
        self.before: Callable[[], None] = lambda: None
        """Called between the connection and the message."""

    async def freed(self) -> None:
        if self.is_hanging:
            await self.free.wait()

    async def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        self.before()
        if not is_wanted():
            return UNWANTED
        self.sent.append(message)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Stand:
    """A worker over an outbox in memory."""

    def __init__(self, *answers: Delivery) -> None:
        self.clock = FakeClock()
        self.outbox = MemoryOutbox(self.clock)
        self.line = FakeLine(*(answers or (ACCEPTED,)))
        self.acknowledged: set[str] = set()
        self.dead: list[tuple[str, str]] = []
        self.worker = self.make_worker()

    def make_worker(self, linked: Linked | None = None, leads: Callable[[], bool] = lambda: True) -> ChannelWorker:
        """`linked`: adds to a message what only the sent one has."""
        return ChannelWorker(
            "mail",
            self.line,
            self.outbox,
            1,
            self.clock,
            still_wanted=lambda message: message.id not in self.acknowledged,
            dead=lambda message, reason: self.dead.append((message.id, reason)),
            record=ChannelRecord("mail", self.line, lambda _: None),
            linked=linked,
            leads=leads,
        )

    def message(self, number: int = 1, *, after_s: float = 0.0, lasts_s: float = 3600.0) -> Notification:
        now_ns = self.clock.now_ns()
        return Notification(
            id=notification_id(number),
            channel="mail",
            kind=NotificationKind.FIRST,
            title="Bath",
            text="Too warm.",
            created_ns=now_ns,
            due_ns=now_ns + round(after_s * S),
            expires_ns=now_ns + round(lasts_s * S),
        )

    async def put(self, *messages: Notification) -> None:
        await self.outbox.put(1, messages)
        self.worker.wake()
        await self.clock.advance(0)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[asyncio.Task[None]]:
        task = asyncio.create_task(self.worker.run())
        try:
            await self.clock.advance(0)
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Conflict):
                await task


def test_pauses_grow_from_5_s_to_5_min() -> None:
    assert [backoff_s(attempt) for attempt in (1, 2, 3, 6, 7, 8, 10_000)] == [5, 10, 20, 160, 300, 300, 300]


async def test_the_link_is_in_the_message_that_goes_out_and_not_in_the_outbox() -> None:
    stand = Stand(failed("away"), ACCEPTED)
    made: list[str] = []

    async def linked(message: Notification) -> Notification:
        made.append(f"https://control.example/acknowledge#{len(made)}")
        return structs.replace(message, links=(AlarmLink(title="Acknowledge", address=made[-1]),))

    stand.worker = stand.make_worker(linked)
    async with stand.running():
        await stand.put(stand.message())
        await stand.clock.advance(10)
        assert [one.links[0].address for one in stand.line.sent] == made
        assert len(made) == 2
        assert [one.notification.links for one in stand.outbox.entries.values()] == [()]


async def test_a_message_is_sent_when_it_is_due_and_not_before() -> None:
    stand = Stand()
    async with stand.running():
        await stand.put(stand.message(after_s=30))
        await stand.clock.advance(29.9)
        assert stand.line.sent == []
        await stand.clock.advance(0.2)
        (sent,) = stand.line.sent
        assert (sent.attempt, sent.is_repeat) == (1, False)
    assert stand.outbox.states() == {sent.id: "sent"}
    assert (stand.worker.state.sent, stand.worker.state.last_sent_ns) == (1, stand.clock.now_ns() - S // 10)


async def test_a_message_that_failed_is_tried_again_with_the_same_identity() -> None:
    stand = Stand(failed("451 later"), unknown("no answer"), failed("451 later"), ACCEPTED)
    async with stand.running():
        await stand.put(stand.message())
        await stand.clock.advance(4.9)
        assert len(stand.line.sent) == 1
        await stand.clock.advance(60)
    assert [(one.attempt, one.is_repeat) for one in stand.line.sent] == [(1, False), (2, False), (3, True), (4, True)]
    assert len({one.id for one in stand.line.sent}) == 1
    assert (stand.worker.state.sent, stand.worker.state.failed, stand.worker.state.problem) == (1, 3, "")


async def test_a_message_that_is_refused_for_good_is_dead_at_once_and_told() -> None:
    stand = Stand(refused("550 no such user"))
    async with stand.running():
        await stand.put(message := stand.message())
        await stand.clock.advance(600)
    assert len(stand.line.sent) == 1
    assert stand.outbox.states() == {message.id: "dead"}
    assert stand.dead == [(message.id, "550 no such user")]
    assert (stand.worker.state.dead, stand.worker.state.problem) == (1, "550 no such user")


async def test_a_message_that_never_goes_through_is_dead_when_it_expires() -> None:
    stand = Stand(failed("refused"))
    async with stand.running():
        await stand.put(message := stand.message(lasts_s=60))
        await stand.clock.advance(59)
        assert stand.outbox.states() == {message.id: "due"}
        await stand.clock.advance(2)
    assert [one.attempt for one in stand.line.sent] == [1, 2, 3, 4]
    assert stand.dead == [(message.id, "it could not be sent in time, after 4 tries")]


async def test_nothing_is_sent_after_an_acknowledgement() -> None:
    stand = Stand()
    async with stand.running():
        await stand.put(message := stand.message(after_s=30))
        stand.acknowledged.add(message.id)
        await stand.clock.advance(60)
    assert stand.line.sent == []
    assert stand.outbox.states() == {message.id: "cancelled"}
    assert stand.worker.state.cancelled == 1


async def test_an_acknowledgement_while_the_connection_is_made_is_in_time() -> None:
    stand = Stand()
    message = stand.message()
    stand.line.before = lambda: stand.acknowledged.add(message.id)
    async with stand.running():
        await stand.put(message)
    assert stand.line.sent == []
    assert stand.outbox.states() == {message.id: "cancelled"}


async def test_the_next_try_is_cancelled_by_an_acknowledgement() -> None:
    stand = Stand(failed("451 later"))
    async with stand.running():
        await stand.put(message := stand.message())
        stand.acknowledged.add(message.id)
        await stand.clock.advance(600)
    assert len(stand.line.sent) == 1
    assert stand.outbox.states() == {message.id: "cancelled"}


async def test_a_message_that_fails_does_not_hold_up_the_others() -> None:
    stand = Stand(failed("451 later"), ACCEPTED)
    async with stand.running():
        await stand.put(stand.message(1), stand.message(2))
        await stand.clock.advance(3)
        assert stand.outbox.states() == {notification_id(1): "due", notification_id(2): "sent"}
        await stand.clock.advance(10)
    assert set(stand.outbox.states().values()) == {"sent"}


async def test_what_was_accepted_is_not_sent_again_while_the_database_is_away() -> None:
    stand = Stand()
    async with stand.running():
        await stand.outbox.put(1, [message := stand.message()])
        stand.line.before = lambda: setattr(stand.outbox, "is_away", True)
        stand.worker.wake()
        await stand.clock.advance(30)
        assert stand.outbox.states() == {message.id: "trying"}
        stand.line.before = lambda: None
        stand.outbox.is_away = False
        await stand.clock.advance(2)
    assert len(stand.line.sent) == 1
    assert stand.outbox.states() == {message.id: "sent"}


async def test_a_worker_that_was_replaced_ends() -> None:
    stand = Stand()
    async with stand.running() as task:
        await stand.outbox.put(1, [stand.message()])
        stand.outbox.writer = 2
        stand.worker.wake()
        await stand.clock.advance(0)
        with pytest.raises(Conflict):
            await task
    assert stand.line.sent == []


async def test_messages_of_a_channel_that_hangs_expire() -> None:
    stand = Stand()
    stand.line.is_hanging = True
    async with stand.running():
        await stand.put(short := stand.message(1, lasts_s=90), long := stand.message(2, lasts_s=7200))
        assert stand.worker.is_hanging
        await stand.clock.advance(200)
        assert stand.outbox.states() == {short.id: "dead", long.id: "due"}
        stand.line.is_hanging = False
        stand.line.free.set()
        await stand.clock.advance(1)
    assert stand.outbox.states() == {short.id: "dead", long.id: "sent"}


async def test_a_repeat_after_a_restart_is_marked() -> None:
    stand = Stand()
    message = stand.message()
    await stand.outbox.put(1, [message])
    await stand.outbox.claim(1, "mail", message.due_ns)
    await stand.outbox.recover(1)
    async with stand.running():
        await stand.clock.advance(1)
    assert stand.line.sent == [structs.replace(message, attempt=2, is_repeat=True)]


async def test_a_process_that_was_stopped_sends_nothing_after_its_successor() -> None:
    stand = Stand()
    leads = True

    def stop() -> None:
        nonlocal leads
        leads = False

    stand.line.before = stop
    stand.worker = stand.make_worker(leads=lambda: leads)
    async with stand.running():
        await stand.put(stand.message())
        await stand.clock.advance(60)
    assert stand.line.sent == []
    assert list(stand.outbox.states().values()) == ["trying"]  # for the successor


async def test_a_message_that_expired_before_its_first_try_is_tried() -> None:
    stand = Stand(failed("451 later"), ACCEPTED)
    await stand.outbox.put(1, [stand.message(lasts_s=3600)])
    await stand.clock.advance(7200)
    async with stand.running():
        await stand.clock.advance(10)
    assert list(stand.outbox.states().values()) == ["sent"]
    assert len(stand.line.sent) == 2


async def test_a_message_stored_before_the_wall_clock_was_set_back_is_tried() -> None:
    stand = Stand()
    await stand.outbox.put(1, [stand.message()])
    stand.clock.step(-3600)
    async with stand.running():
        await stand.clock.advance(1)
    assert list(stand.outbox.states().values()) == ["sent"]
