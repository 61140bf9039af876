"""Kills, failures and long waits while the database is away: no message is lost, and one that comes again says so."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

import pytest

from countingroom.core.errors import LinkError
from countingroom.core.notify.messages import Notification
from tests.notify_servers import HttpEndpoint, Request
from tests.patience import PATIENCE_S
from tests.scenario.alarm_stage import AlarmStage
from tests.scenario.test_alarm_notification import BATH, about_the_bath, planned
from tests.scenario.test_notification_without_database import Stand


@pytest.fixture
async def stand() -> AsyncGenerator[Stand]:
    with HttpEndpoint().running() as http:
        stand = Stand(http)
        await stand.stage.prepare()
        yield stand


def marks(stand: Stand) -> list[tuple[str, bool]]:
    """Path of each request about the bath that was accepted, and whether it has the mark of a repeat."""
    found = [one for one in stand.http.answered if BATH.encode() in one.body]
    return [(one.path, "x-countingroom-repeat" in one.headers) for one in found]


@contextmanager
def slow(http: HttpEndpoint) -> Generator[threading.Event]:
    """The endpoint accepts at once, and answers after the event."""
    go_on = threading.Event()

    def answer(_: Request) -> tuple[int, bytes]:
        go_on.wait(PATIENCE_S)
        return 200, b""

    before, http.answer = http.answer, answer
    try:
        yield go_on
    finally:
        go_on.set()
        http.answer = before


def asked(stand: Stand) -> list[Request]:
    return [one for one in stand.http.requests if BATH.encode() in one.body]


async def test_an_engine_that_is_killed_after_it_told_without_the_database_is_not_repeated(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(bath=37.5)
            await stage.clock.advance(1)
            stand.switch(away=True)
            await stand.until(lambda: len(stand.told()) == 1)
            await stand.go_on()  # killed before it knows the answer it would be repeated, with the mark
        stand.switch(away=False)
        async with stage.engine("two"):
            await stand.until(lambda: stand.states() == ["sent"])
            await stand.until(lambda: len(stand.told()) == 2, step_s=10)
            await stage.read(bath=20.0)
            await stand.until(lambda: len(stand.told()) == 4)
    assert [path for path, _ in marks(stand)[:2]] == ["/mail", "/pager"]
    assert not any(mark for _, mark in marks(stand))
    assert planned(stage)[:2] == [("first", "mail"), ("escalation", "pager")]


async def test_an_engine_that_is_killed_in_a_try_without_the_database_is_repeated_with_the_mark(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        with slow(stand.http):
            async with stage.engine("one"):
                await stage.read(bath=37.5)
                await stage.clock.advance(1)
                stand.switch(away=True)
                await stand.until(lambda: asked(stand))
        stand.switch(away=False)
        async with stage.engine("two"):
            await stand.until(lambda: len(asked(stand)) == 2)
            await stand.until(lambda: stand.states() == ["sent"])
    first, second = asked(stand)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert ["x-countingroom-repeat" in one.headers for one in (first, second)] == [False, True]


async def test_a_return_that_was_not_saved_before_a_kill_is_told(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.clock.advance(1)
            stand.switch(away=True)
            await stage.read(bath=37.5)
            await stand.until(lambda: len(stand.told()) == 1)
            await stand.go_on()  # killed before it knows the answer it would be repeated, with the mark
            await stage.read(bath=20.0)
            await stage.clock.advance(10)
        stand.switch(away=False)
        async with stage.engine("two"):
            await stand.until(lambda: len(stand.told()) == 2)
            await stand.until(lambda: stand.states() == ["sent", "sent"])
    assert planned(stage) == [("first", "mail"), ("follow_up", "mail")]


async def test_a_message_whose_first_try_failed_before_is_tried_again_from_memory(stand: Stand) -> None:
    stage = stand.stage
    stand.http.answer = lambda _: (429, b"later")
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: asked(stand) and stand.states() == ["due"])
        stand.switch(away=True)
        stand.http.answer = lambda _: (200, b"")
        await stand.until(lambda: len(stand.told()) == 1)
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == ["sent"])
    assert marks(stand) == [("/mail", False)]


async def test_a_try_whose_result_the_database_does_not_take_goes_on_from_memory(stand: Stand) -> None:
    stage = stand.stage

    def answer(_: Request) -> tuple[int, bytes]:
        stand.switch(away=True)
        return (429, b"later") if len(asked(stand)) == 1 else (200, b"")

    stand.http.answer = answer
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        await stand.go_on(60)
        stand.switch(away=False)
        await stand.until(lambda: stand.states() == ["sent"])
    assert marks(stand) == [("/mail", False)]


async def test_an_engine_that_begins_without_the_database_goes_on_where_the_last_one_was(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(bath=37.5)
            await stand.until(lambda: stand.states() == ["sent"])
            stand.switch(away=True)
            await stage.clock.advance(1)
        async with stage.engine("two"):
            await stand.until(lambda: len(stand.told()) == 2, step_s=10)
            assert stand.states() == ["sent"]
            stand.switch(away=False)
            await stand.until(lambda: stand.states() == ["sent", "sent"])
            await stage.clock.advance(60)
            assert await stage.acknowledge(bath=1) is None
    assert marks(stand) == [("/mail", False), ("/pager", False)]
    assert planned(stage) == [("first", "mail"), ("escalation", "pager")]


async def test_an_engine_that_knows_nothing_of_before_tells_with_the_mark(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(bath=37.5)
            await stand.until(lambda: stand.states() == ["sent"])
        for key in await notes(stage):
            await stage.bus.delete("state", key)
        stand.switch(away=True)
        async with stage.engine("two"):
            await stand.until(lambda: len(stand.told()) == 2)
            await stage.read(pump=1)
            stand.switch(away=False)
            await stage.clock.advance(10)
    first, second = stand.told()
    assert first == second
    assert marks(stand) == [("/mail", False), ("/mail", True)]
    assert planned(stage) == [("first", "mail")]


async def test_a_new_alarm_of_an_engine_without_the_database_is_told_once(stand: Stand) -> None:
    stage = stand.stage
    async with stage.host("chiller"):
        async with stage.engine("one"):
            await stage.read(full=True, bath=37.5)
            await stage.clock.advance(1)
            await stage.read(full=True, bath=20.0)
            await stage.clock.advance(1)
        stand.switch(away=True)
        async with stage.engine("two"):
            await stage.read(full=True, bath=37.5)
            await stand.until(lambda: len(stand.told()) == 1)
            stand.switch(away=False)
            await stand.until(lambda: stand.states() == ["sent"])
            await stage.clock.advance(60)
            assert stage.store.saved[BATH].occurrence == 2
            assert [one.notification.alarms for one in about_the_bath(stage)] == [((BATH, 2),)]
            await stand.until(lambda: len(stand.told()) == 2, step_s=10)
    assert marks(stand) == [("/mail", False), ("/pager", False)]


async def test_a_database_that_goes_away_before_the_outbox_is_recovered(stand: Stand) -> None:
    stage = stand.stage
    take_over = stage.store.take_over

    async def then_away(name: str) -> int:
        number = await take_over(name)
        stage.outbox.is_away = True
        return number

    stage.store.take_over = then_away  # type: ignore[method-assign]
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        stage.outbox.is_away = False
        await stand.until(lambda: stand.states() == ["sent"])
        await stage.clock.advance(60)
    assert marks(stand) == [("/mail", False)]


async def test_a_message_that_waited_for_the_database_for_days_is_tried(stand: Stand) -> None:
    stage = stand.stage
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: len(stand.told()) == 1)
        stand.switch(away=True)
        await stage.read(bath=20.0)
        await stage.clock.advance(30)
        stage.clock.step(30 * 3600)
        await stage.clock.advance(30)
        stand.switch(away=False)
        await stand.until(lambda: len(stand.told()) == 2)
    assert planned(stage) == [("first", "mail"), ("follow_up", "mail")]


async def test_a_claim_whose_outcome_is_not_known_keeps_no_message(stand: Stand) -> None:
    stage = stand.stage
    failures: list[str] = []

    class Unsure(type(stage.outbox)):
        """The first message is claimed, and the answer is lost."""

        async def claim(self, writer: int, channel: str, now_ns: int) -> Notification | None:
            found = await super().claim(writer, channel, now_ns)
            if found is not None and not failures:
                failures.append(found.id)
                raise LinkError("no answer", source="storage", code="no_answer")
            return found

    stage.outbox.__class__ = Unsure
    async with stage.engine(), stage.host("chiller"):
        await stage.read(bath=37.5)
        await stand.until(lambda: stand.states() == ["sent"])
    assert failures
    assert marks(stand) == [("/mail", False)]


async def notes(stage: AlarmStage) -> list[str]:
    """The keys of the copy on the bus."""
    found: list[str] = []
    for pattern in ("notify_message.*", "notify_track.*"):
        async with stage.bus.watch("state", pattern) as items:
            async for item in items:
                if not hasattr(item, "key"):
                    break
                if getattr(item, "data", None) is not None:
                    found.append(item.key)  # type: ignore[union-attr]
    return found
