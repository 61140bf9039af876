"""A try that blocks never blocks the event loop or another channel, and one that cannot be ended is told of."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from countingroom.alarms.notify.deadline_thread import GRACE_S, DeadlineThread
from countingroom.alarms.notify.sender import ACCEPTED, Delivery, TryOutcome
from countingroom.testing.clock import FakeClock


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def blocking(gate: threading.Event) -> Delivery:
    assert gate.wait(30)
    return ACCEPTED


async def test_the_work_runs_in_a_thread_of_its_own() -> None:
    thread = DeadlineThread("notify-one", FakeClock(), 5.0, lambda: None)

    def work() -> Delivery:
        return Delivery(outcome=TryOutcome.ACCEPTED, text=threading.current_thread().name)

    assert (await thread.run(work)).text == "notify-one"


async def test_a_channel_that_hangs_delays_no_other(gate: threading.Event) -> None:
    clock = FakeClock()
    one, other = (DeadlineThread(name, clock, 10.0, lambda: None) for name in ("one", "other"))
    hanging = asyncio.create_task(one.run(lambda: blocking(gate)))
    await asyncio.sleep(0)
    assert (await other.run(lambda: ACCEPTED)).outcome is TryOutcome.ACCEPTED
    await clock.advance(10.0 + GRACE_S)
    assert (await hanging).outcome is TryOutcome.UNKNOWN
    assert (one.is_hanging, other.is_hanging) == (True, False)
    assert (await one.run(lambda: ACCEPTED)).outcome is TryOutcome.FAILED, "two tries never run at a time"
    gate.set()
    await one.freed()
    assert not one.is_hanging
    assert (await one.run(lambda: ACCEPTED)).outcome is TryOutcome.ACCEPTED


async def test_a_try_is_aborted_at_its_deadline(gate: threading.Event) -> None:
    clock = FakeClock()
    thread = DeadlineThread("one", clock, 10.0, gate.set)
    trying = asyncio.create_task(thread.run(lambda: blocking(gate)))
    await clock.advance(10.0)
    assert (await trying).outcome is TryOutcome.ACCEPTED
    assert not thread.is_hanging


async def test_a_try_is_aborted_when_its_task_is_cancelled(gate: threading.Event) -> None:
    thread = DeadlineThread("one", FakeClock(), 30.0, gate.set)
    task = asyncio.create_task(thread.run(lambda: blocking(gate)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.is_set()
    await thread.freed()


async def test_an_error_that_is_not_foreseen_is_told_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    thread = DeadlineThread("notify-one", FakeClock(), 5.0, lambda: None)

    def work() -> Delivery:
        raise ValueError("https://example.org/s3cret")

    with caplog.at_level(logging.DEBUG):
        found = await thread.run(work)
    assert found.outcome is TryOutcome.UNKNOWN
    assert "ValueError" in found.text
    assert "ValueError at" in caplog.text
    assert "s3cret" not in found.text + caplog.text
