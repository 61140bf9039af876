"""A deadline holds wherever it is set, also while its task is being cancelled."""

from __future__ import annotations

import asyncio

import pytest

from countingroom.core.clock import SystemClock, timeout, within
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
