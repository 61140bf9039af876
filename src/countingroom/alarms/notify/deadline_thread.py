"""Runs the tries of one channel in threads, one at a time and each with a deadline. So a channel that hangs does not
delay other channels.

A thread cannot be killed. While a thread does not end after its deadline, there is no further try, and the channel is
reported as hanging.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from countingroom.alarms.notify.sender import Delivery, failed, unknown
from countingroom.core.clock import Clock, within

_log = logging.getLogger(__name__)

GRACE_S = 2.0
"""The time that an aborted try has to end."""


class DeadlineThread:
    """A thread for each try, one at a time."""

    def __init__(self, name: str, clock: Clock, timeout_s: float, abort: Callable[[], None]) -> None:
        """`abort`: ends the running work, called from another thread; it may have no effect."""
        self._name = name
        self._clock = clock
        self._timeout_s = timeout_s
        self._abort = abort
        self._turn = asyncio.Lock()
        self._hanging: asyncio.Future[Delivery] | None = None

    @property
    def is_hanging(self) -> bool:
        """Whether an earlier try has not ended yet."""
        return self._hanging is not None and not self._hanging.done()

    async def freed(self) -> None:
        """Wait until no try hangs."""
        if self._hanging is not None:
            await asyncio.wait([self._hanging])

    async def run(self, work: Callable[[], Delivery]) -> Delivery:
        """Run the work and return its result, at the deadline at the latest. While an earlier try hangs, the work does
        not begin and the result is a failure."""
        async with self._turn:
            if self.is_hanging:
                return failed("an earlier try still hangs")
            result = self._start(work)
            try:
                return await self._end(result)
            finally:
                if not result.done():  # also after a cancellation: the thread still runs
                    self._hanging = result
                    self._abort()

    async def _end(self, result: asyncio.Future[Delivery]) -> Delivery:
        with suppress(TimeoutError):
            async with within(self._clock, self._timeout_s):
                return await asyncio.shield(result)
        self._abort()
        with suppress(TimeoutError):
            async with within(self._clock, GRACE_S):
                return await asyncio.shield(result)
        return unknown(f"no answer within {self._timeout_s + GRACE_S:g} s, and the try cannot be ended")

    def _start(self, work: Callable[[], Delivery]) -> asyncio.Future[Delivery]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Delivery] = loop.create_future()

        def give(delivery: Delivery) -> None:
            if not result.done():
                result.set_result(delivery)

        def do() -> None:
            try:
                delivery = work()
            except Exception as error:
                # The message of the error is left out: it may contain an address with a secret.
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = type(error).__name__
                _log.error("%s failed in a way that is not foreseen: %s at %s:%s", self._name, kind, *place[:2])
                delivery = unknown(f"it failed in a way that is not foreseen: {kind}")
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(give, delivery)

        # A daemon thread: a thread that hangs must not keep the process alive.
        threading.Thread(target=do, name=self._name, daemon=True).start()
        return result
