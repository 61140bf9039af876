"""The deadline of a connection to the bus holds though a library swallows its cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from countingroom.bus.nats.deadline import within_deadline


async def test_a_call_that_swallows_cancellations_ends_at_its_deadline() -> None:
    swallowed = 0

    async def call() -> None:
        nonlocal swallowed
        while swallowed < 3:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            swallowed += 1
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await within_deadline(0.01, call())
    assert swallowed == 3


async def test_its_error_is_raised_and_its_end_awaited() -> None:
    async def call() -> None:
        raise ValueError("wrong address")

    with pytest.raises(ValueError, match="wrong address"):
        await within_deadline(60.0, call())


async def test_a_cancelled_caller_leaves_nothing_behind() -> None:
    async def call() -> None:
        await asyncio.Event().wait()

    before = asyncio.all_tasks()
    caller = asyncio.create_task(within_deadline(60.0, call()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert asyncio.all_tasks() == before
