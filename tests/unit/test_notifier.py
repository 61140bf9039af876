"""A rule tells people through the notifier, once for each of its ids; a message without a use is not sent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from msgspec import structs

from countingroom.alarms.notify.notifier import Notifier
from countingroom.core.alarms.history import AlarmEntry, HistoryKind, SavedAlarm
from countingroom.core.alarms.states import AlarmState, BaseState
from countingroom.core.errors import LinkError, NotFound
from countingroom.core.notify.messages import Notification, NotificationKind, NotificationState, OutboxEntry
from countingroom.core.notify.routes import NotifyRoute, NotifySpec, Recipients
from countingroom.core.notify.texts import Wording
from countingroom.testing.clock import FakeClock
from tests.memory_outbox import MemoryOutbox

SPEC = NotifySpec(directory=Recipients(channels=frozenset({"mail", "pager"}), people={"anna": ("mail", "pager")}))


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox(FakeClock())


def notifier(outbox: MemoryOutbox, woken: list[int]) -> Notifier:
    return Notifier(
        SPEC,
        Wording(experiment="bench"),
        outbox,
        1,
        FakeClock(),
        find=lambda _: None,
        present=(),
        stored=lambda: woken.append(1),
    )


async def test_a_message_of_a_rule_is_sent_once_to_each_channel(outbox: MemoryOutbox) -> None:
    woken: list[int] = []
    people = notifier(outbox, woken)
    for _ in range(2):
        assert await people.tell(("anna", "mail"), "Vent open", "The vent opened.", "rule.vent", id="f1") == 2
    found = [one.notification for one in outbox.entries.values()]
    assert [(one.channel, one.person, one.kind.value) for one in found] == [
        ("mail", "anna", "rule"),
        ("pager", "anna", "rule"),
    ]
    assert found[0].title == "[bench] Vent open"
    assert found[0].text == "The vent opened.\n\nSent by rule.vent.\n"
    assert await people.tell(("mail",), "Vent open", "The vent opened.", "rule.vent", id="f2") == 1
    assert len(outbox.entries) == 3
    assert len(woken) == 3


async def test_an_unknown_name_and_a_database_that_is_away_are_told(outbox: MemoryOutbox) -> None:
    people = notifier(outbox, [])
    with pytest.raises(NotFound, match="there is no channel, person or calendar ana; did you mean anna"):
        await people.tell(("ana",), "t", "t", "rule.vent", id="f1")
    outbox.is_away = True
    with pytest.raises(LinkError):
        await people.tell(("anna",), "t", "t", "rule.vent", id="f1")


@pytest.mark.parametrize(
    ("changes", "is_wanted"),
    [
        ({}, True),
        ({"cause_id": "device.chiller.link"}, True),
        ({"base": BaseState.ACKNOWLEDGED}, False),
        ({"base": BaseState.RETURNED}, False),
        ({"suppressed": "HV is off"}, False),
        ({"occurrence": 4}, False),
    ],
)
async def test_a_message_is_wanted_while_its_alarm_is_active_and_not_acknowledged(
    outbox: MemoryOutbox, changes: dict[str, Any], is_wanted: bool
) -> None:
    people = notifier(outbox, [])
    state = AlarmState(
        id="a.b",
        title="a",
        base=BaseState.UNACKNOWLEDGED,
        priority=1,
        text="",
        occurrence=3,
        since_ns=0,
        changed_ns=0,
    )
    people.saved([SavedAlarm(id="a.b", occurrence=3, state=structs.replace(state, **changes))])
    message = Notification(
        id="1",
        channel="mail",
        kind=NotificationKind.FIRST,
        title="",
        text="",
        alarms=(("a.b", 3),),
        created_ns=0,
        due_ns=0,
        expires_ns=1,
    )
    assert people.still_wanted(message) is is_wanted
    assert people.still_wanted(structs.replace(message, kind=NotificationKind.FOLLOW_UP))
    group = structs.replace(message, kind=NotificationKind.GROUP, alarms=(("x.y", 1), ("a.b", 3)))
    assert people.still_wanted(group) is is_wanted


class SentBetweenReads(MemoryOutbox):
    """Each message that is being tried is sent just after the first read of the outbox for a follow-up."""

    async def pending(self) -> tuple[OutboxEntry, ...]:
        found = await super().pending()
        await self._send()
        return found

    async def ended(self, *given: Any, **more: Any) -> tuple[OutboxEntry, ...]:
        found = await super().ended(*given, **more)
        await self._send()
        return found

    async def _send(self) -> None:
        for one in list(self.entries.values()):
            if one.state is NotificationState.TRYING:
                await self.sent(1, one.notification.id)


async def test_a_message_that_is_sent_while_its_follow_up_is_planned_is_followed_up() -> None:
    clock = FakeClock()
    history: list[AlarmEntry] = []
    outbox = SentBetweenReads(clock, history)
    route = NotifyRoute(name="all", to=("mail",))
    spec = structs.replace(SPEC, routes={"all": route})
    people = Notifier(
        spec, Wording(experiment="bench"), outbox, 1, clock, find=lambda _: None, present=(), stored=lambda: None
    )
    state = AlarmState(
        id="a.b",
        title="a",
        base=BaseState.UNACKNOWLEDGED,
        priority=1,
        text="",
        occurrence=1,
        since_ns=clock.now_ns(),
        announced_ns=clock.now_ns(),
        changed_ns=clock.now_ns(),
    )
    announced = AlarmEntry(
        sequence=1,
        time_ns=clock.now_ns(),
        alarm="a.b",
        kind=HistoryKind.ANNOUNCED,
        occurrence=1,
        base=state.base,
        priority=1,
    )
    running = asyncio.create_task(people.run())
    try:
        await clock.advance(1)
        history.append(announced)
        people.saved([SavedAlarm(id="a.b", occurrence=1, state=state)])
        await clock.advance(1)
        assert await outbox.claim(1, "mail", clock.now_ns()) is not None
        returned = structs.replace(announced, sequence=2, kind=HistoryKind.RETURNED, base=BaseState.RETURNED)
        history.append(returned)
        people.saved([SavedAlarm(id="a.b", occurrence=1, state=structs.replace(state, base=BaseState.RETURNED))])
        await clock.advance(1)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert [one.notification.kind.value for one in outbox.entries.values()] == ["first", "follow_up"]
