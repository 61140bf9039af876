"""Repeating what fails: when it is tried again, which errors end it, and what is reported."""

from __future__ import annotations

import asyncio
import logging

import pytest

from countingroom.core.errors import Conflict, LinkError
from countingroom.core.retry import EdgeReport, Retry, edge_log
from countingroom.testing.clock import FakeClock

LOG = logging.getLogger("test.retry")


class Flaky:
    """An action that fails as often as it should, and notes when it was tried."""

    def __init__(self, clock: FakeClock, failures: int) -> None:
        self.clock = clock
        self.failures = failures
        self.tried: list[float] = []

    async def __call__(self) -> str:
        self.tried.append(self.clock.monotonic())
        if self.failures:
            self.failures -= 1
            raise LinkError("the bus is away")
        return "done"


class Reports:
    """What an edge reported."""

    def __init__(self, *, each_reason: bool = False) -> None:
        self.lines: list[str] = []
        self.edge = EdgeReport(
            lambda cause: self.lines.append(cause.message), lambda: self.lines.append("works"), each_reason=each_reason
        )


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_an_action_is_repeated_after_each_pause_until_it_succeeds(clock: FakeClock) -> None:
    action, reports = Flaky(clock, 2), Reports()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Retry(clock, reports.edge, pause_s=0.5).run(action))
        await clock.advance(0.9)
        assert not running.done()
        await clock.advance(0.2)
    assert running.result() == "done"
    assert action.tried == [0.0, 0.5, 1.0]


async def test_pauses_grow_up_to_the_longest(clock: FakeClock) -> None:
    action = Flaky(clock, 4)
    async with asyncio.TaskGroup() as group:
        group.create_task(Retry(clock, Reports().edge, pause_s=1, longest_s=3).run(action))
        await clock.advance(20)
    assert action.tried == [0, 1, 3, 6, 9]


async def test_an_error_that_does_not_pass_ends_the_repetition(clock: FakeClock) -> None:
    async def taken() -> None:
        raise Conflict("another process holds it")

    with pytest.raises(Conflict):
        await Retry(clock, Reports().edge, pause_s=1).run(taken)


async def test_a_failure_and_its_end_are_reported_once_over_several_actions(clock: FakeClock) -> None:
    reports = Reports()
    retry = Retry(clock, reports.edge, pause_s=0.1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(retry.run(Flaky(clock, 5)))
        await clock.advance(1)
        assert first.done()
    await retry.run(Flaky(clock, 0))
    assert reports.lines == ["the bus is away", "works"]
    assert reports.edge.failures == 5


async def test_what_goes_on_for_ever_begins_again_when_it_ends(clock: FakeClock) -> None:
    action = Flaky(clock, 1)

    async def follow() -> None:
        await action()
        await clock.sleep(10)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(Retry(clock, Reports().edge, pause_s=1).forever(follow))
        await clock.advance(22)
        running.cancel()
    assert action.tried == [0, 1, 11, 21]


def test_another_reason_is_reported_where_reasons_count() -> None:
    every, first = Reports(each_reason=True), Reports()
    for reports in (every, first):
        for reason in ("held by A", "held by A", "held by B"):
            reports.edge.failed(Conflict(reason).cause)
    assert every.lines == ["held by A", "held by B"]
    assert first.lines == ["held by A"]


def test_a_log_gets_the_cause_once_and_the_end_once(caplog: pytest.LogCaptureFixture) -> None:
    report = edge_log(LOG, "states are not followed", "states are followed again")
    with caplog.at_level(logging.INFO):
        report.worked()
        for _ in range(3):
            report.failed(LinkError("the bus is away", source="bus").cause)
        report.worked()
        report.worked()
    assert [(line.levelname, line.getMessage().splitlines()[0]) for line in caplog.records] == [
        ("WARNING", "states are not followed: bus: the bus is away [link_lost]"),
        ("INFO", "states are followed again"),
    ]
