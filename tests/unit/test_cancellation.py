"""A loop that goes on after errors ends when it is cancelled, also when an error comes with the cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest

from countingroom.core.clock import SystemClock, cancellation_kept, raise_if_cancelled
from countingroom.runs.partition.standby import PartitionStandby


class FailsWhenCancelled:
    """An election whose first owner fails while it is cancelled."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self._failed = False

    async def lead(self, _own: Callable[..., Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._fail_at_end())

    async def _fail_at_end(self) -> None:
        self.entered.set()
        try:
            await asyncio.Future[None]()
        except asyncio.CancelledError:
            if self._failed:
                raise
            self._failed = True
            raise ValueError("the owner fails at its end") from None


async def test_a_standby_ends_although_its_owner_fails_at_the_cancellation() -> None:
    election = FailsWhenCancelled()

    def elect(*_: object, **__: object) -> FailsWhenCancelled:
        return election

    context = SimpleNamespace(clock=SystemClock(), election=elect)
    task = asyncio.create_task(PartitionStandby(cast(Any, context), "A").run())
    await election.entered.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    task.cancel()  # of no effect, unless the first one was swallowed
    assert done
    assert task.cancelled()


async def test_a_task_that_is_not_cancelled_goes_on() -> None:
    raise_if_cancelled()


async def test_a_cancelled_task_ends() -> None:
    async def swallows() -> None:
        try:
            await asyncio.Future[None]()
        except asyncio.CancelledError:
            raise_if_cancelled()

    task = asyncio.create_task(swallows())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _loses_it(answer: asyncio.Future[str]) -> str:
    """As `wait_for` of Python 3.11 where the answer and the cancellation come together."""
    with suppress(asyncio.CancelledError):
        await answer
    return "answered"


async def test_a_lost_cancellation_ends_the_task() -> None:
    answer = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        while True:
            with cancellation_kept():
                await _loses_it(answer)

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_cancelled_before_can_say_farewell() -> None:
    said: list[str] = []

    async def serve() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            with cancellation_kept():
                await asyncio.sleep(0)
            said.append("farewell")

    task = asyncio.create_task(serve())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said == ["farewell"]
