"""On every database a message to people outlives the process, is stored once, and is written by the present process."""

from __future__ import annotations

import pytest
from msgspec import structs

from countingroom.core.alarms.history import AlarmEntry, HistoryKind
from countingroom.core.alarms.queries import AlarmLink
from countingroom.core.alarms.states import BaseState
from countingroom.core.errors import Conflict, Denied, OutOfRange
from countingroom.core.notify.messages import (
    Notification,
    NotificationKind,
    NotificationState,
    NotifyCursor,
    OutboxEntry,
    notification_id,
)
from countingroom.storage.database import Database
from tests.contract.storage.stand import Stand

S = 1_000_000_000
NOW_NS = 1_800_000_000 * S
ALARM = "point.chiller.internal_temp"
MESSAGE = Notification(
    id=notification_id("cooling", ALARM, 3, "first", "mail"),
    channel="mail",
    kind=NotificationKind.FIRST,
    route="cooling",
    title="Julabo chiller / Bath",
    text="Bath 37.5 °C is above its alarm limit 35.0 °C\nFill it.",
    priority=2,
    alarms=((ALARM, 3),),
    person="anna",
    links=(AlarmLink(title="acknowledge", address="https://control.example.org/a/x"),),
    created_ns=NOW_NS,
    due_ns=NOW_NS + 30 * S,
    expires_ns=NOW_NS + 3600 * S,
)
ROW = AlarmEntry(
    time_ns=NOW_NS,
    alarm=ALARM,
    kind=HistoryKind.ANNOUNCED,
    occurrence=3,
    base=BaseState.UNACKNOWLEDGED,
    priority=2,
)


def other(number: int, **changes: object) -> Notification:
    changed = {"id": notification_id("other", number), **changes}
    return structs.replace(MESSAGE, **changed)


async def begin(database: Database) -> int:
    """The number of a process that has taken over."""
    writer = await database.alarms.take_over("one")
    await database.notifications.recover(writer)
    return writer


async def test_a_planned_message_is_read_by_the_next_process_as_it_was(shared_stand: Stand) -> None:
    first = await shared_stand.open()
    writer = await begin(first)
    await first.notifications.put(
        writer, [MESSAGE], sequence=6, changed={"track a": "{}", "track b": "{}", "sent r": "[1]"}
    )
    changed = {"track a": None, "track b": '{"step":1}', "track c": "{}", "track d": None}
    await first.notifications.put(writer, [other(1)], sequence=7, changed=changed)
    await first.notifications.put(writer, [other(1)])
    cursor = NotifyCursor(sequence=7, plan={"track b": '{"step":1}', "track c": "{}", "sent r": "[1]"})
    second = await shared_stand.open()
    taken = await second.alarms.take_over("two")
    assert await second.notifications.recover(taken) == await second.notifications.cursor() == cursor
    pending = await second.notifications.pending()
    assert pending == tuple(OutboxEntry(notification=one, state=NotificationState.DUE) for one in (MESSAGE, other(1)))


async def test_a_message_that_its_process_sends_from_memory_is_not_given_to_another(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    await outbox.put(writer, [MESSAGE])
    due = OutboxEntry(notification=structs.replace(MESSAGE, attempt=2), state=NotificationState.DUE, error="451 later")
    new = OutboxEntry(notification=other(1), state=NotificationState.TRYING)
    await outbox.put(writer, [MESSAGE], held=[due, new])
    assert await outbox.claim(writer, "mail", NOW_NS + 60 * S) is None
    pending = await outbox.pending()
    assert [(one.state.value, one.notification.attempt, one.error) for one in pending] == [
        ("trying", 2, "451 later"),
        ("trying", 0, ""),
    ]
    sent = structs.replace(due, state=NotificationState.SENT, error="", ended_ns=NOW_NS + 90 * S)
    for _ in range(2):
        await outbox.put(writer, held=[sent])
    (ended,) = await outbox.ended()
    assert (ended.notification.id, ended.state, ended.ended_ns) == (MESSAGE.id, NotificationState.SENT, NOW_NS + 90 * S)
    await outbox.put(writer, held=[due])
    assert len(await outbox.ended()) == 1, "what ended stays so"
    await outbox.recover(await database.alarms.take_over("two"))
    (again,) = await outbox.pending()
    assert (again.notification.id, again.state, again.notification.is_repeat) == (
        other(1).id,
        NotificationState.DUE,
        True,
    )


async def test_the_first_process_of_all_begins_at_the_end_of_the_history(database: Database) -> None:
    assert await database.notifications.cursor() is None
    writer = await database.alarms.take_over("one")
    await database.alarms.save(writer, [], [ROW, structs.replace(ROW, occurrence=4)])
    cursor = await database.notifications.recover(writer)
    assert await database.notifications.news(cursor.sequence) == ()
    assert [row.occurrence for row in await database.notifications.news(0)] == [3, 4]
    assert [row.occurrence for row in await database.notifications.news(0, 1)] == [3]
    await database.alarms.save(writer, [], [structs.replace(ROW, occurrence=5)])
    assert [row.occurrence for row in await database.notifications.news(cursor.sequence)] == [5]
    assert await database.notifications.recover(writer) == cursor


async def test_a_message_that_is_planned_again_is_stored_once(database: Database) -> None:
    writer = await begin(database)
    await database.notifications.put(writer, [MESSAGE, MESSAGE])
    assert await database.notifications.claim(writer, "mail", MESSAGE.due_ns)
    await database.notifications.sent(writer, MESSAGE.id)
    await database.notifications.put(writer, [structs.replace(MESSAGE, text="again")])
    assert await database.notifications.pending() == ()
    (entry,) = await database.notifications.ended()
    assert (entry.notification.text, entry.state) == (MESSAGE.text, NotificationState.SENT)


async def test_messages_and_cursor_are_stored_together_or_not_at_all(database: Database) -> None:
    writer = await begin(database)
    broken = other(1, text="\ud800")
    with pytest.raises(OutOfRange):
        await database.notifications.put(writer, [MESSAGE, broken], sequence=9, changed={"track a": "{}"})
    assert await database.notifications.pending() == ()
    assert await database.notifications.cursor() == NotifyCursor(sequence=0)


async def test_the_message_that_is_due_first_is_claimed_once(database: Database) -> None:
    writer = await begin(database)
    late, elsewhere = other(1, due_ns=MESSAGE.due_ns + 1), other(2, channel="pager", due_ns=0)
    await database.notifications.put(writer, [late, MESSAGE, elsewhere])
    outbox = database.notifications
    assert await outbox.claim(writer, "mail", MESSAGE.due_ns - 1) is None
    assert await outbox.next_due_ns("mail") == MESSAGE.due_ns
    assert await outbox.claim(writer, "mail", late.due_ns) == structs.replace(MESSAGE, attempt=1)
    assert await outbox.next_due_ns("mail") == late.due_ns
    assert await outbox.claim(writer, "mail", late.due_ns) == structs.replace(late, attempt=1)
    assert await outbox.claim(writer, "mail", late.due_ns) is None
    assert await outbox.next_due_ns("mail") is None
    assert dict(await outbox.counts()) == {"mail": 2, "pager": 1}


async def test_a_message_that_was_being_tried_when_the_process_died_is_due_again_as_a_repeat(
    shared_stand: Stand,
) -> None:
    old, new = await shared_stand.open(), await shared_stand.open()
    writer = await begin(old)
    await old.notifications.put(writer, [MESSAGE, other(1)])
    await old.notifications.claim(writer, "mail", MESSAGE.due_ns)
    taken = await begin(new)
    again = await new.notifications.claim(taken, "mail", MESSAGE.due_ns + 10**18)
    assert again is not None
    assert {again.id, MESSAGE.id} == {again.id, MESSAGE.id}
    found = {again.id: again}
    if (second := await new.notifications.claim(taken, "mail", MESSAGE.due_ns + 10**18)) is not None:
        found[second.id] = second
    tried, untried = found[MESSAGE.id], found[other(1).id]
    assert (tried.is_repeat, tried.attempt) == (True, 2)
    assert (untried.is_repeat, untried.attempt) == (False, 1)


async def test_what_a_claim_without_an_answer_took_is_due_again(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    await outbox.put(writer, [MESSAGE, other(1), other(2, channel="pager")])
    for channel in ("mail", "mail", "pager"):
        assert await outbox.claim(writer, channel, MESSAGE.due_ns + S)
    await outbox.release(writer, "mail", {other(1).id})
    found = {entry.notification.id: entry.state.value for entry in await outbox.pending()}
    assert found == {MESSAGE.id: "due", other(1).id: "trying", other(2).id: "trying"}
    again = await outbox.claim(writer, "mail", MESSAGE.due_ns + S)
    assert again is not None
    assert (again.id, again.is_repeat) == (MESSAGE.id, False)


async def test_a_message_that_expired_before_its_first_try_gets_its_time_anew(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    await outbox.put(writer, [MESSAGE])
    late_ns = MESSAGE.expires_ns + S
    claimed = await outbox.claim(writer, "mail", late_ns)
    assert claimed is not None
    assert claimed.expires_ns == late_ns + MESSAGE.expires_ns - MESSAGE.created_ns
    await outbox.failed(writer, MESSAGE.id, "451", next_ns=late_ns, may_repeat=False)
    (entry,) = await outbox.pending()
    assert entry.notification.expires_ns == claimed.expires_ns


async def test_a_failed_try_waits_for_the_next_one(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    await outbox.put(writer, [MESSAGE])
    await outbox.claim(writer, "mail", MESSAGE.due_ns)
    next_ns = MESSAGE.due_ns + 5 * S
    await outbox.failed(writer, MESSAGE.id, "451 " + "x" * 9000, next_ns=next_ns, may_repeat=False)
    (entry,) = await outbox.pending()
    assert (entry.error[:5], len(entry.error), entry.notification.due_ns) == ("451 x", 500, next_ns)
    assert await outbox.claim(writer, "mail", next_ns - 1) is None
    again = await outbox.claim(writer, "mail", next_ns)
    assert again is not None
    assert (again.attempt, again.is_repeat) == (2, False)
    await outbox.failed(writer, MESSAGE.id, "no answer", next_ns=next_ns, may_repeat=True)
    again = await outbox.claim(writer, "mail", next_ns)
    assert again is not None
    assert (again.attempt, again.is_repeat) == (3, True)
    await outbox.failed(writer, MESSAGE.id, "451", next_ns=next_ns, may_repeat=False)
    again = await outbox.claim(writer, "mail", next_ns)
    assert again is not None
    assert again.is_repeat, "it may have been delivered at the second try"


async def test_the_end_of_a_message_is_final(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    messages = [other(number) for number in range(3)]
    await outbox.put(writer, messages)
    await outbox.sent(writer, messages[0].id, "refused for b@example.org")
    await outbox.dead(writer, messages[1].id, "550 no such user")
    await outbox.cancel(writer, messages[2].id, "acknowledged")
    for one in messages:
        await outbox.failed(writer, one.id, "late", next_ns=0, may_repeat=True)
        await outbox.dead(writer, one.id, "late")
    assert await outbox.pending() == ()
    assert await outbox.claim(writer, "mail", MESSAGE.expires_ns) is None
    found = {entry.notification.id: (entry.state.value, entry.error) for entry in await outbox.ended()}
    assert found == {
        messages[0].id: ("sent", "refused for b@example.org"),
        messages[1].id: ("dead", "550 no such user"),
        messages[2].id: ("cancelled", "acknowledged"),
    }
    (dead,) = await outbox.ended([NotificationState.DEAD], channel="mail")
    assert dead.notification.id == messages[1].id
    assert await outbox.ended(channel="pager") == ()
    assert dead.ended_ns is not None
    assert await outbox.ended(since_ns=dead.ended_ns + 3600 * S) == ()


async def test_a_process_that_was_replaced_claims_and_changes_nothing(shared_stand: Stand) -> None:
    old, new = await shared_stand.open(), await shared_stand.open()
    first = await begin(old)
    await old.notifications.put(first, [MESSAGE])
    await begin(new)
    outbox = old.notifications
    for late in (
        outbox.recover(first),
        outbox.put(first, [other(1)]),
        outbox.claim(first, "mail", MESSAGE.due_ns),
        outbox.sent(first, MESSAGE.id),
        outbox.failed(first, MESSAGE.id, "", next_ns=0, may_repeat=False),
        outbox.dead(first, MESSAGE.id, ""),
        outbox.cancel(first, MESSAGE.id),
    ):
        with pytest.raises(Conflict) as refused:
            await late
        assert refused.value.cause.code == "superseded"
    (entry,) = await new.notifications.pending()
    assert entry == OutboxEntry(notification=MESSAGE, state=NotificationState.DUE)


async def test_the_outbox_is_bounded_and_keeps_what_may_still_be_sent(database: Database) -> None:
    writer = await begin(database)
    outbox = database.notifications
    await outbox.put(writer, [other(number) for number in range(12)])
    for number in range(10):
        await outbox.sent(writer, other(number).id)
    assert await outbox.discard(0, most=10) == 0
    assert await outbox.discard(0, most=4) == 6
    assert len(await outbox.ended()) == 4
    assert await outbox.discard(2**62, most=4) == 4
    assert len(await outbox.pending()) == 2


async def test_a_link_is_used_once_and_only_its_digest_is_stored(database: Database) -> None:
    await database.users.create("anna", "test")
    writer = await begin(database)
    message = structs.replace(MESSAGE, priorities=(2,))
    assert await database.notifications.issue_link(writer, message, "no-account") is None
    token = await database.notifications.issue_link(writer, message, "anna")
    assert token is not None
    found, user = await database.acknowledge_links.use(token)
    assert (user.name, found.message, found.alarms) == ("anna", MESSAGE.id, {ALARM: (3, 2)})
    with pytest.raises(Denied, match="used before"):
        await database.acknowledge_links.use(token)
    with pytest.raises(Denied, match="not known"):
        await database.acknowledge_links.look(token[1:])
    with pytest.raises(Conflict):
        await database.notifications.issue_link(writer - 1, message, "anna")
