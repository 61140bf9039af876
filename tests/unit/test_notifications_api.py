"""The test of a channel and the list of the outbox, from the command line over API and bus to the channel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpx
from msgspec import Struct, structs

from countingroom.alarms.notify.deliveries import Deliveries
from countingroom.alarms.notify.requests import NotifyRequests
from countingroom.alarms.notify.sender import ACCEPTED, Delivery, IsWanted, refused
from countingroom.alarms.sections.notify_channels import ChannelSection
from countingroom.bus.command_server import allow_all
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.clock import Clock, SystemClock
from countingroom.core.messages import Event, decode
from countingroom.core.notify.messages import Notification, NotificationKind, notification_id
from tests.console.people import house
from tests.console.stage import Stage, served, stage
from tests.figures import console_figures_with
from tests.memory_outbox import MemoryOutbox
from tests.patience import PATIENCE_S

CHANNELS = {
    name: ChannelSection.model_validate({"webhook": {"address": "https://example.org"}}) for name in ("mail", "pager")
}


class FakeLine:
    """Refuses what goes to the channel `pager`."""

    kind = "fake"
    is_hanging = False

    def __init__(self, channel: str, sent: list[Notification]) -> None:
        self._channel = channel
        self._sent = sent

    async def freed(self) -> None: ...

    async def send(self, message: Notification, is_wanted: IsWanted) -> Delivery:
        if self._channel == "pager":
            return refused("pager.example.org:443 answers 401 no such key")
        self._sent.append(message)
        return ACCEPTED


class Sending(Struct):
    """The sending half of the department."""

    here: Stage
    deliveries: Deliveries
    outbox: MemoryOutbox
    sent: list[Notification]

    def message(self, number: int, channel: str, **changes: object) -> Notification:
        now_ns = self.here.clock.now_ns()
        message = Notification(
            id=notification_id(number),
            channel=channel,
            kind=NotificationKind.FIRST,
            title="Chiller / Bath",
            text="https://control.example.org/acknowledge/once",
            created_ns=now_ns,
            due_ns=now_ns,
            expires_ns=now_ns + 3600 * 10**9,
        )
        return structs.replace(message, **changes)

    async def put(self, *messages: Notification) -> None:
        """Put messages into the outbox, and wait until those that are due ended."""
        await self.outbox.put(1, messages)
        self.deliveries.wake()
        due = [one.id for one in messages if one.due_ns <= self.here.clock.now_ns()]
        async with asyncio.timeout(PATIENCE_S):
            while any(self.outbox.states()[id] in ("due", "trying") for id in due):
                await asyncio.sleep(0)


@asynccontextmanager
async def sending(here: Stage) -> AsyncGenerator[Sending]:
    bus = here.bus.client()
    publisher = Publisher(bus, here.clock, "alarms")
    sent: list[Notification] = []
    outbox = MemoryOutbox(here.clock)

    def line(channel: str, section: ChannelSection, clock: Clock) -> FakeLine:
        return FakeLine(channel, sent)

    deliveries = Deliveries(CHANNELS, None, outbox, 1, here.clock, publisher, still_wanted=lambda _: True, line=line)
    requests = NotifyRequests(bus, here.clock, publisher, outbox, deliveries, allow_all)
    deliveries.wake()
    tasks = [asyncio.create_task(one.run()) for one in (publisher, deliveries, requests)]
    try:
        yield Sending(here, deliveries, outbox, sent)
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        await bus.close()


async def test(client: httpx.AsyncClient, **arguments: str) -> httpx.Response:
    body = {"arguments": arguments, "wait_s": 20}
    return await client.post("/api/v1/notifications/commands/test", json=body)


test.__test__ = False  # type: ignore[attr-defined]


async def test_a_test_message_is_really_sent() -> None:
    async with stage(SystemClock()) as here, sending(here) as one, served(here) as (_, client):
        answer = await test(client, channel="mail")
        assert answer.json()["outcome"]["kind"] == "done"
        (message,) = one.sent
        assert (message.channel, message.kind) == ("mail", NotificationKind.TEST)
        assert "tests whether" in message.text
        assert one.outbox.states() == {}


async def test_a_test_that_fails_tells_what_the_server_said() -> None:
    async with stage(SystemClock()) as here, sending(here), served(here) as (_, client):
        outcome = (await test(client, channel="pager")).json()["outcome"]
        assert (outcome["kind"], outcome["cause"]["code"]) == ("failed", "notification_refused")
        assert "pager.example.org:443 answers 401 no such key" in outcome["cause"]["message"]
        every = (await test(client)).json()["outcome"]
        assert every["cause"]["message"] == "pager: pager.example.org:443 answers 401 no such key"


async def test_an_unknown_channel_is_not_found() -> None:
    async with stage(SystemClock()) as here, sending(here), served(here) as (_, client):
        answer = await test(client, channel="fax")
        assert (answer.status_code, answer.json()["cause"]["code"]) == (404, "not_found")
        assert answer.json()["cause"]["suggestion"] == "the channels are: mail, pager"
        assert (await client.post("/api/v1/notifications/commands/made_up")).status_code == 404


async def test_a_viewer_tests_no_channel() -> None:
    async with stage(SystemClock()) as here, sending(here) as one, house(here) as home:
        vera = await home.program("vera")
        assert (await vera.post("/api/v1/notifications/commands/test", json={})).status_code == 403
        assert (await vera.get("/api/v1/notifications")).status_code == 200
        assert one.sent == []


async def test_the_outbox_is_listed_without_the_links_that_acknowledge() -> None:
    async with stage(SystemClock()) as here, sending(here) as one, served(here) as (_, client):
        later = one.message(3, "mail", due_ns=here.clock.now_ns() + 3 * 10**11)
        about = one.message(1, "mail", alarms=(("point.chiller.bath", 2),))
        await one.put(about, one.message(2, "pager"), later)
        answer = await client.get("/api/v1/notifications")
        found = answer.json()
        assert "acknowledge/once" not in answer.text
        assert [(row["state"], row["id"]) for row in found["pending"]] == [("due", later.id)]
        ended = {row["channel"]: (row["state"], row["error"]) for row in found["ended"]}
        assert ended == {"mail": ("sent", ""), "pager": ("dead", "pager.example.org:443 answers 401 no such key")}
        channels = {row["channel"]: row for row in found["channels"]}
        assert (channels["mail"]["sent"], channels["pager"]["dead"]) == (1, 1)
        one_channel = (await client.get("/api/v1/notifications", params={"channel": "pager"})).json()
        assert [row["channel"] for row in one_channel["ended"]] == ["pager"]
        assert one_channel["pending"] == []
        one_alarm = (await client.get("/api/v1/notifications", params={"alarm": "point.chiller.bath"})).json()
        assert [row["id"] for row in one_alarm["ended"]] == [about.id]
        assert one_alarm["pending"] == []
        duty = (await client.get("/api/v1/notifications/duty")).status_code
        assert duty == 503, "no engine answers it here"


async def test_a_dead_message_is_an_event_and_a_warning() -> None:
    async with stage(SystemClock()) as here, sending(here) as one:
        await one.put(one.message(2, "pager"))
        assert one.deliveries.warnings() == [
            "messages through the channel pager are not sent: pager.example.org:443 answers 401 no such key"
        ]
        assert one.deliveries.troubles() == []
        event = await dead_event(here)
        assert (event.source, event.severity, event.data["notification"]) == ("pager", 2, notification_id(2))
        assert "Chiller / Bath" in event.message


async def dead_event(here: Stage) -> Event:
    async with asyncio.timeout(PATIENCE_S), here.bus.replay("events", subjects="events.alarms.*") as stored:
        async for message in stored:
            event = decode(message.data, Event)
            if event.action == "notification_dead":
                return event
    raise AssertionError("the events have ended")


async def test_messages_of_a_channel_that_is_gone_are_dead() -> None:
    async with stage(SystemClock()) as here, sending(here) as one:
        # As a new engine finds it, which was started with another description.
        gone = one.message(5, "fax")
        await one.outbox.put(1, [gone])
        await one.deliveries._end_unknown()  # pyright: ignore[reportPrivateUsage]
        assert one.outbox.states() == {gone.id: "dead"}


async def test_the_metrics_count_by_channel() -> None:
    async with stage(SystemClock()) as here, sending(here) as one, served(here) as (_, client):
        await one.put(one.message(1, "mail"), one.message(2, "pager"))
        await console_figures_with(
            client,
            'countingroom_notifications_total{channel="pager",outcome="dead"} 1.0',
            'countingroom_notifications_total{channel="mail",outcome="sent"} 1.0',
            'countingroom_notification_channel_failing{channel="pager"} 1.0',
            'countingroom_notification_last_sent_seconds{channel="mail"}',
        )


def test_the_target_of_the_command_is_one_token() -> None:
    assert subjects.command("anna", "alarms", subjects.NOTIFICATIONS) == "command.anna.alarms._notify"
