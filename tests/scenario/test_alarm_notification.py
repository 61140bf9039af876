"""The engine plans messages to people from what it saved, over acknowledgements, returns and kills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from msgspec import structs

from countingroom.core import subjects
from countingroom.core.commands.alarms import listed
from countingroom.core.messages import decode, encode
from countingroom.core.notify.duty_query import DutyAnswer, DutyQuery
from countingroom.core.notify.messages import ChannelState, NotificationState, OutboxEntry
from tests.patience import PATIENCE_S
from tests.scenario.alarm_stage import AlarmStage

BATH = "point.chiller.bath"
SECTION: dict[str, Any] = {
    "areas": {"cooling": {"devices": ["chiller"], "guidance": {"meaning": "Too warm.", "do": ["Fill it."]}}},
    # The stage has no readings for hours: the bath would become a consequence of the lost device.
    "overrides": {"device.chiller.link": {"off": True}},
    "notify": {
        "console": "https://control.example.org",
        # Nothing listens there: what counts is what stands in the outbox.
        "channels": {
            "mail": {"webhook": {"address": "http://127.0.0.1:9/"}},
            "pager": {"webhook": {"address": "http://127.0.0.1:9/"}},
        },
        "people": {"anna": {"channels": ["mail"]}},
        "calendars": {"shift": {"rota": ["anna"], "begins": "2020-01-06T08:00", "zone": "Europe/Berlin"}},
        "routes": {
            "cooling": {
                "areas": ["cooling"],
                "priorities": [1, 2],
                "to": ["anna"],
                "after": "30 s",
                "group": "5 s",
                "escalate": [{"after": "10 min", "to": ["pager"]}],
            }
        },
    },
}


@pytest.fixture
async def stage() -> AsyncGenerator[AlarmStage]:
    stage = AlarmStage(section=SECTION)
    await stage.prepare()
    yield stage


def about_the_bath(stage: AlarmStage) -> list[OutboxEntry]:
    """What was stored, in this order. Without readings the device is an alarm of its own after a while."""
    return [one for one in stage.outbox.entries.values() if BATH in dict(one.notification.alarms)]


def planned(stage: AlarmStage) -> list[tuple[str, str]]:
    """(kind, channel) of each message."""
    return [(one.notification.kind.value, one.notification.channel) for one in about_the_bath(stage)]


async def tried(stage: AlarmStage, count: int) -> list[OutboxEntry]:
    """The messages about the bath, when the threads of their channels have recorded `count` tries that failed."""
    async with asyncio.timeout(PATIENCE_S):
        while sum(bool(one.error) for one in about_the_bath(stage)) < count:
            await asyncio.sleep(0.01)  # for the thread of the channel
            await stage.clock.advance(0.1)
    return about_the_bath(stage)


async def test_an_alarm_is_told_escalated_and_followed_up(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(29)
        assert planned(stage) == []
        await stage.clock.advance(7)
        assert planned(stage) == [("first", "mail")]
        (entry,) = about_the_bath(stage)
        message = entry.notification
        assert message.title.startswith("[bench] Priority 2: Chiller / Bath: Bath 37.50 °C is above its alarm limit")
        assert "1. Fill it." in message.text
        assert message.alarms == ((BATH, 1),)
        assert message.person == "anna"
        assert message.links[0].address == f"https://control.example.org/alarms#{BATH}"
        await stage.read(bath=37.6)
        await stage.clock.advance(601)
        assert planned(stage) == [("first", "mail"), ("escalation", "pager")]


async def test_an_alarm_that_was_acknowledged_or_is_over_in_time_is_not_told(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(20)
        assert await stage.acknowledge(bath=1) is None
        await stage.clock.advance(100)
        await stage.read(bath=20.0)
        await stage.clock.advance(10)
        await stage.read(bath=37.5)
        await stage.clock.advance(20)
        await stage.read(bath=20.0)
        await stage.clock.advance(100)
        assert planned(stage) == []


async def test_a_new_engine_goes_on_where_the_killed_one_was(stage: AlarmStage) -> None:
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(bath=37.5)
            await stage.clock.advance(10)
        async with stage.engine("two"):
            await stage.clock.advance(40)
            assert planned(stage) == [("first", "mail")]
        async with stage.engine("three"):
            await stage.clock.advance(601)
            assert planned(stage) == [("first", "mail"), ("escalation", "pager")]
        async with stage.engine("four"):
            await stage.clock.advance(700)
            assert planned(stage) == [("first", "mail"), ("escalation", "pager")]


async def test_a_message_that_waits_is_cancelled_by_the_acknowledgement(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(37)
        (entry,) = about_the_bath(stage)
        assert entry.state is not NotificationState.CANCELLED
        assert await stage.acknowledge(bath=1) is None
        for _ in range(20):
            await stage.clock.advance(30)
        (entry,) = about_the_bath(stage)
        assert entry.state is NotificationState.CANCELLED


async def test_messages_are_planned_when_the_database_is_back(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stage.outbox.is_away = stage.store.is_away = True
        await stage.read(bath=37.5)
        await stage.clock.advance(60)
        assert planned(stage) == []
        stage.outbox.is_away = stage.store.is_away = False
        await stage.clock.advance(10)
        assert planned(stage) == [("first", "mail")]


@pytest.mark.parametrize("was_tried", [False, True])
async def test_a_follow_up_goes_only_to_those_that_were_or_may_have_been_told(
    stage: AlarmStage, was_tried: bool
) -> None:
    """A message that was tried, without knowing how it ended, may have been delivered before it was cancelled."""
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(650)
        assert planned(stage) == [("first", "mail"), ("escalation", "pager")]
        first, _ = about_the_bath(stage)
        stage.outbox.entries[first.notification.id] = structs.replace(first, state=NotificationState.SENT, ended_ns=1)
        escalation = next(one for one in about_the_bath(stage) if one.notification.channel == "pager")
        unsent = structs.replace(escalation.notification, attempt=int(was_tried), is_repeat=was_tried)
        cancelled = structs.replace(
            escalation, notification=unsent, state=NotificationState.CANCELLED, ended_ns=stage.clock.now_ns()
        )
        stage.outbox.entries[unsent.id] = cancelled
        await stage.read(bath=20.0)
        await stage.clock.advance(10)
        followed = [("follow_up", "mail"), *([("follow_up", "pager")] if was_tried else [])]
        assert planned(stage) == [("first", "mail"), ("escalation", "pager"), *followed]


async def test_the_engine_tells_the_persons_on_duty(stage: AlarmStage) -> None:
    async with stage.engine():
        answer = await stage.bus.request(subjects.query("alarms", "duty"), encode(DutyQuery()), timeout_s=5)
        found = decode(answer.data, DutyAnswer)
    (turn,) = found.calendars[0].turns
    assert (turn.person, turn.until_ns, turn.channels) == ("anna", None, ("mail",))


async def test_what_a_channel_refuses_goes_to_the_escalation_at_once_also_after_a_kill() -> None:
    # The secret is not there: each try is refused without a connection.
    broken = {"webhook": {"address": {"env": "NOT_SET_IN_ANY_TEST"}}}
    channels = {**SECTION["notify"]["channels"], "mail": broken}
    stage = AlarmStage(section={**SECTION, "notify": {**SECTION["notify"], "channels": channels}})
    await stage.prepare()

    async def until_planned(count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while len(about_the_bath(stage)) < count:
                await asyncio.sleep(0.01)  # for the thread of the channel
                await stage.clock.advance(0.1)

    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(36)
        await until_planned(2)
        assert planned(stage) == [("first", "mail"), ("first", "pager")]
        instead = about_the_bath(stage)[1].notification
        assert "The channel mail could not send this" in instead.text
        assert instead.failed_channels == ("mail",)
    del stage.outbox.entries[instead.id]  # as if the engine had been killed in between
    async with stage.engine():
        await until_planned(2)
        assert about_the_bath(stage)[1].notification.id == instead.id


async def test_a_return_is_told_to_those_that_got_the_message_in_place_of_a_dead_channel(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(36)
        (first,) = await tried(stage, 1)
        dead = structs.replace(first, state=NotificationState.DEAD, ended_ns=stage.clock.now_ns())
        stage.outbox.entries[dead.notification.id] = dead
        instead = structs.replace(
            first.notification, id="instead", channel="pager", failed_channels=("mail",), thread_id=""
        )
        sent = OutboxEntry(notification=instead, state=NotificationState.SENT, ended_ns=stage.clock.now_ns())
        stage.outbox.entries["instead"] = sent
        await stage.read(bath=20.0)
        await stage.clock.advance(10)
        assert planned(stage) == [("first", "mail"), ("first", "pager"), ("follow_up", "pager")]
        follow_up = about_the_bath(stage)[-1].notification
        assert (follow_up.thread_id, follow_up.person) == ("instead", "")
        assert "Normal again" in follow_up.title


async def test_a_channel_that_stands_in_and_was_told_itself_gets_one_follow_up(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(650)
        first, escalation = await tried(stage, 2)
        # In the virtual time its thread may have had no answer in time: then it would be a possible repeat.
        refused = structs.replace(first.notification, is_repeat=False)
        dead = structs.replace(first, notification=refused, state=NotificationState.DEAD, ended_ns=stage.clock.now_ns())
        stage.outbox.entries[dead.notification.id] = dead
        instead = structs.replace(refused, id="instead", channel="pager", failed_channels=("mail",))
        for one in (instead, escalation.notification):
            sent = OutboxEntry(notification=one, state=NotificationState.SENT, ended_ns=stage.clock.now_ns())
            stage.outbox.entries[one.id] = sent
        await stage.read(bath=20.0)
        await stage.clock.advance(10)
        assert [one for one in planned(stage) if one[0] == "follow_up"] == [("follow_up", "pager")]


async def test_the_state_of_a_channel_that_was_removed_leaves_the_bus_at_a_takeover(stage: AlarmStage) -> None:
    for channel in ("gone", "pager"):
        state = ChannelState(channel=channel, kind="webhook")
        await stage.bus.put("state", subjects.notification_key(channel), encode(state))
    async with stage.engine():
        await stage.clock.advance(1)
        assert await stage.bus.get("state", subjects.notification_key("gone")) is None
        assert await stage.bus.get("state", subjects.notification_key("pager")) is not None


async def test_delay_and_escalation_go_on_when_the_wall_clock_is_set_back(stage: AlarmStage) -> None:
    async with stage.engine("one"), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stage.clock.advance(20)
        stage.clock.step(-3600)
        await stage.clock.advance(20)
        assert planned(stage) == [("first", "mail")]
        await stage.clock.advance(300)
        stage.clock.step(-7200)
        await stage.clock.advance(310)
        assert planned(stage) == [("first", "mail"), ("escalation", "pager")]


async def test_a_new_engine_escalates_although_the_wall_clock_was_set_back_before(stage: AlarmStage) -> None:
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(bath=37.5)
            await stage.clock.advance(40)
        stage.clock.step(-3600)
        async with stage.engine("two"):
            await stage.clock.advance(610)
            assert planned(stage) == [("first", "mail"), ("escalation", "pager")]


async def test_a_shelf_ends_after_its_time_although_the_wall_clock_is_set_back(stage: AlarmStage) -> None:
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        alarms = listed({BATH: None})
        assert await stage.command("shelve", alarms=alarms, reason="repair", seconds=600.0) is None
        await stage.clock.advance(100)
        stage.clock.step(-3600)
        await stage.clock.advance(450)
        assert (await stage.shown())[BATH] == "shelved"
        await stage.clock.advance(80)
        assert (await stage.shown())[BATH] == "unacknowledged"
        assert (await stage.alarms())[BATH].shelf is None
