"""While the database is away urgent alarms are told from memory, once, and what was sent is stored when it is back."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable

import pytest

from countingroom.core.notify.messages import NotificationState
from tests.notify_servers import HttpEndpoint, Request
from tests.patience import PATIENCE_S
from tests.scenario.alarm_stage import AlarmStage
from tests.scenario.test_alarm_notification import BATH, SECTION, about_the_bath, planned


class Stand:
    """The engine's stage, and the endpoint of its two channels."""

    def __init__(self, http: HttpEndpoint) -> None:
        self.http = http
        channels = {name: {"webhook": {"address": f"{http.url}/{name}"}} for name in ("mail", "pager")}
        self.stage = AlarmStage(section={**SECTION, "notify": {**SECTION["notify"], "channels": channels}})

    def switch(self, *, away: bool) -> None:
        """Take the database away, or give it back."""
        self.stage.outbox.is_away = self.stage.store.is_away = away

    def told(self) -> list[tuple[str, str]]:
        """Path and identity of each request about the bath that was accepted."""
        return [(one.path, one.headers["idempotency-key"]) for one in self.http.answered if BATH.encode() in one.body]

    async def until(self, condition: Callable[[], object], *, step_s: float = 1.0) -> None:
        """Let the time go on until then. The threads of the channels need real time: it stands still meanwhile."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)
                if not self._is_sending():
                    await self.stage.clock.advance(step_s)

    async def go_on(self, seconds: float = 1.0) -> None:
        """Let the channels end what they are sending, and then the time go on by so much."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.sleep(0.01)
            while self._is_sending():
                await asyncio.sleep(0.01)
        await self.stage.clock.advance(seconds)

    def _is_sending(self) -> bool:
        return any(one.name.startswith("notify-") for one in threading.enumerate())

    def states(self) -> list[str]:
        return [one.state.value for one in about_the_bath(self.stage)]


@pytest.fixture
async def stand() -> AsyncGenerator[Stand]:
    with HttpEndpoint().running() as http:
        stand = Stand(http)
        await stand.stage.prepare()
        yield stand


async def test_an_urgent_alarm_is_told_and_escalated_at_once_and_stored_later(stand: Stand) -> None:
    stage = stand.stage
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stand.switch(away=True)
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        assert stage.outbox.entries == {}
        await stand.until(lambda: len(stand.told()) == 2, step_s=10)
        assert stage.outbox.entries == {}
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == ["sent", "sent"])
        assert planned(stage) == [("first", "mail"), ("escalation", "pager")]
        ids = [one.notification.id for one in about_the_bath(stage)]
        for _ in range(10):
            await stand.go_on(60)
        assert stand.told() == [("/mail", ids[0]), ("/pager", ids[1])]
        assert await stage.acknowledge(bath=1) is None
        await stage.read(bath=20.0)
        await stand.until(lambda: len(stand.told()) == 4)
        assert Counter(one[0] for one in planned(stage)) == {"first": 1, "escalation": 1, "follow_up": 2}


async def test_what_was_stored_and_not_sent_is_sent_from_memory(stand: Stand) -> None:
    stage = stand.stage

    class Gone(type(stage.outbox)):
        """It is away as soon as a message is stored."""

        async def put(self, *given: object, **more: object) -> None:
            await super().put(*given, **more)  # type: ignore[arg-type]
            if self.entries:
                stand.switch(away=True)

    stage.outbox.__class__ = Gone
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        assert stand.states() == ["due"]
        stage.outbox.__class__ = Gone.__mro__[1]
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == ["sent"])
        await stage.clock.advance(120)
        assert len(stand.told()) == 1


async def test_a_database_that_can_only_be_read_is_logged_once(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stage = stand.stage
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stage.outbox.is_full = stage.store.is_away = True
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        await stage.clock.advance(60)
        assert len([one for one in caplog.messages if "cannot be planned" in one]) == 1
        assert stage.outbox.entries == {}
        stage.outbox.is_full = stage.store.is_away = False
        await stand.until(lambda: stand.states() == ["sent"])
        assert len(stand.told()) == 1


async def test_an_alarm_that_returned_in_time_is_not_told(stand: Stand) -> None:
    stage = stand.stage
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stand.switch(away=True)
        await stage.read(bath=37.5)
        await stage.clock.advance(15)
        await stage.read(bath=20.0)
        await stage.clock.advance(100)
        stand.switch(away=False)
        await stage.clock.advance(100)
        assert about_the_bath(stage) == []


async def test_a_return_is_told_when_the_database_is_back(stand: Stand) -> None:
    stage = stand.stage
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stand.switch(away=True)
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        await stage.read(bath=20.0)
        await stage.clock.advance(30)
        stand.switch(away=False)
        await stand.until(lambda: len(stand.told()) == 2)
        assert planned(stage) == [("first", "mail"), ("follow_up", "mail")]


async def test_a_message_that_its_channel_refuses_goes_another_way_without_the_database(stand: Stand) -> None:
    stage = stand.stage
    stand.http.answer = lambda request: (410, b"gone") if request.path == "/mail" else (200, b"")
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stand.switch(away=True)
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        assert stand.told()[0][0] == "/pager"
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == ["dead", "sent"])
        await stage.clock.advance(60)
        assert len(stand.told()) == 1


async def test_what_is_not_sent_yet_when_the_database_is_back_is_sent_once(stand: Stand) -> None:
    stage = stand.stage
    is_busy = True

    def answer(_: Request) -> tuple[int, bytes]:
        return (429, b"later") if is_busy else (200, b"")

    stand.http.answer = answer
    async with stage.engine(), stage.host("chiller"):
        await stage.clock.advance(1)
        stand.switch(away=True)
        await stage.read(bath=37.5)
        await stand.until(lambda: stand.http.requests)
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == [NotificationState.TRYING.value])
        is_busy = False
        await stand.until(lambda: stand.states() == ["sent"])
        await stage.clock.advance(60)
        assert len(stand.told()) == 1
