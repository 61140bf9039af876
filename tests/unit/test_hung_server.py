"""A server counts as hung when neither the link nor a new client hears of it for a while."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.bus.server.hung_server import HUNG_S, STOPPED_S, until_hung
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S


class Server:
    def __init__(self) -> None:
        self.is_linked = False
        self.answers = False
        self.asked = 0

    async def greets(self) -> bool:
        self.asked += 1
        return self.answers


@pytest.mark.parametrize(("is_linked", "answers"), [(True, False), (False, True)])
async def test_a_server_that_answers_in_any_way_is_not_hung(is_linked: bool, answers: bool) -> None:
    clock, server = FakeClock(), Server()
    watching = asyncio.create_task(until_hung(clock, lambda: server.is_linked, server.greets))
    for _ in range(round(HUNG_S) - 2):
        await clock.advance(1.0)
    server.is_linked, server.answers = is_linked, answers
    await clock.advance(1.0)
    asked = server.asked
    for _ in range(60):
        await clock.advance(1.0)
    assert (server.asked == asked) is is_linked
    server.is_linked = server.answers = False
    for _ in range(round(HUNG_S) - 1):
        await clock.advance(1.0)
    assert not watching.done()
    for _ in range(2):
        await clock.advance(1.0)
    async with asyncio.timeout(PATIENCE_S):
        assert await watching == f"has not answered for {HUNG_S:g} s"


async def test_a_server_that_was_stopped_by_a_signal_is_found_by_its_state() -> None:
    clock, server = FakeClock(), Server()
    server.is_linked = True  # the link is found to be down some seconds later
    stopped = False
    watching = asyncio.create_task(until_hung(clock, lambda: server.is_linked, server.greets, lambda: stopped))
    for stopped in (True, False, True):  # noqa: B007 - the lambda sees it
        for _ in range(round(STOPPED_S)):
            await clock.advance(1.0)
    assert not watching.done()
    await clock.advance(1.0)
    async with asyncio.timeout(PATIENCE_S):
        assert await watching == f"was stopped for {STOPPED_S:g} s"


async def test_a_stopped_server_is_not_asked_whose_answer_would_take_time() -> None:
    clock, server = FakeClock(), Server()
    watching = asyncio.create_task(until_hung(clock, lambda: server.is_linked, server.greets, lambda: True))
    for _ in range(round(STOPPED_S) + 1):
        await clock.advance(1.0)
    async with asyncio.timeout(PATIENCE_S):
        await watching
    assert server.asked == 0


class SuspendedClock(FakeClock):
    """Its monotonic time jumps by `late_s` without waking a sleeper."""

    late_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.late_s


async def test_a_suspended_computer_does_not_make_it_hung() -> None:
    clock, server = SuspendedClock(), Server()
    watching = asyncio.create_task(until_hung(clock, lambda: server.is_linked, server.greets))
    await clock.advance(1.0)
    clock.late_s = 3600.0
    await clock.advance(1.0)
    assert not watching.done()
    watching.cancel()
