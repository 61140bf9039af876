"""A deadline holds wherever it is set, also while its task is being cancelled."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.clock import SystemClock, pause_to_multiple, timeout, within
from countingroom.testing.clock import FakeClock


async def test_a_wait_that_takes_too_long_ends() -> None:
    with pytest.raises(TimeoutError):
        async with timeout(0.001):
            await asyncio.Future[None]()


async def test_a_wait_in_time_is_left_alone() -> None:
    async with timeout(30):
        await asyncio.sleep(0)


@pytest.mark.parametrize("by_clock", [False, True])
async def test_a_clean_up_keeps_its_deadline_while_cancelled(by_clock: bool) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Future[None]()
        finally:
            try:
                async with within(SystemClock(), 0.001) if by_clock else timeout(0.001):
                    await asyncio.Future[None]()
            except TimeoutError:
                ended.append("in time")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
    assert ended == ["in time"]


async def test_a_cancellation_inside_is_no_timeout() -> None:
    async def work() -> None:
        async with timeout(30):
            await asyncio.Future[None]()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_by_a_clock_stands_still_with_it() -> None:
    clock = FakeClock()
    over: list[bool] = []

    async def work() -> None:
        try:
            async with within(clock, 10):
                await asyncio.Future[None]()
        except TimeoutError:
            over.append(True)

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        await clock.advance(9)
        assert not over
        await clock.advance(1)
    assert over


@given(st.floats(min_value=0, max_value=1e7), st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.0, 0.3]))
def test_a_pause_ends_at_a_multiple_and_is_never_longer_than_the_interval(
    now_s: float, interval_s: float, phase_s: float
) -> None:
    pause_s = pause_to_multiple(now_s, interval_s, phase_s)
    assert 0 <= pause_s <= interval_s + 0.001
    assert (now_s + pause_s - phase_s) % interval_s == pytest.approx(0, abs=1e-6) or (
        now_s + pause_s - phase_s
    ) % interval_s == pytest.approx(interval_s, abs=1e-6)


def test_a_timer_that_fires_a_little_early_is_not_repeated_at_once() -> None:
    assert pause_to_multiple(71.9999, 1.0) == pytest.approx(1.0001)
    assert pause_to_multiple(72.0, 1.0) == pytest.approx(1.0)
    assert pause_to_multiple(72.3, 1.0) == pytest.approx(0.7)
