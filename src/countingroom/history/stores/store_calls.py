"""Calls to one further store, one at a time in a thread, each with a deadline: a store that hangs delays no other.

A thread cannot be killed. While one does not end after its deadline and `abort`, every further call fails at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError

GRACE_S = 2.0
"""A call that was aborted ends within this time."""

T = TypeVar("T")


class StoreCalls:
    """Runs the calls to the store of this name."""

    def __init__(self, name: str, clock: Clock, timeout_s: float, abort: Callable[[], None]) -> None:
        self._name = name
        self._clock = clock
        self._timeout_s = timeout_s
        self._abort = abort
        self._last: asyncio.Future[object] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work and return its result or raise its error. LinkError if it does not end in time."""
        if self._last is not None and not self._last.done():
            raise self._error("an earlier call still hangs", "store_hangs")
        result = self._start(work)
        self._last = result  # pyright: ignore[reportAttributeAccessIssue] # only asked whether it is done
        try:
            with suppress(TimeoutError):
                async with within(self._clock, self._timeout_s):
                    return await asyncio.shield(result)
            self._abort()
            with suppress(TimeoutError):
                async with within(self._clock, GRACE_S):
                    await asyncio.wait([result])
            raise self._error(f"no answer within {self._timeout_s:g} s", "store_timeout")
        finally:
            if not result.done():
                self._abort()

    async def end(self, close: Callable[[], None]) -> None:
        """End the call under way, then close the store; after a time without success, leave it."""
        if self._last is not None and not self._last.done():
            self._abort()
            with suppress(TimeoutError):
                async with within(self._clock, GRACE_S):
                    await asyncio.wait([self._last])
        with suppress(LinkError, TimeoutError):
            async with within(self._clock, GRACE_S):
                await self.run(close)

    def _start(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        # It is told to whom waits; where none does any more, asyncio need not log it.
        result.add_done_callback(lambda done: done.cancelled() or done.exception())

        def give(error: BaseException | None, value: T | None) -> None:
            if result.done():
                return
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(value)  # pyright: ignore[reportArgumentType]

        def do() -> None:
            error: BaseException | None = None
            value: T | None = None
            try:
                value = work()
            except Exception as failure:
                error = failure
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(give, error, value)

        threading.Thread(target=do, name=f"history-store-{self._name}", daemon=True).start()
        return result

    def _error(self, message: str, code: str) -> LinkError:
        return LinkError(
            f"the store {self._name}: {message}",
            source=f"history.stores.{self._name}",
            code=code,
            suggestion="see whether its server is overloaded or hangs; the call is tried again",
        )
