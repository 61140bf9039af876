"""Leader election by a lease of the bus: one process serves, the others stand by.

A lease has a time to live. If the leader hangs or loses the bus, a standby process takes over after that time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

from countingroom.bus.port import Bus, Lease
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, LinkError
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)


TAKE_AGAIN_S = 15.0
"""A leader that could not take a lost lease again within this time ends its work and becomes a candidate."""


def holder_mark(host: str, pid: int) -> str:
    """The part of the name of a holder that shows its process."""
    return f" at {host}, process {pid}, "


def holder_name(instance: str, boot: str) -> str:
    """The name of this process as the holder of leases, for people and for the supervisor."""
    return f"{instance}{holder_mark(socket.gethostname(), os.getpid())}{boot[:8]}"


class Leadership:
    """The period in which this process is the leader. It may lose and retake its lease, with a new token."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._again = asyncio.Event()
        self.ended: Cause | None = None
        """Why another process leads now; None while this one leads, or if it was only cancelled."""

    @property
    def lost(self) -> bool:
        """Whether the lease is lost now."""
        return self._lease.lost

    @property
    def is_held(self) -> bool:
        """Whether the lease is held at this moment. It only reads, so any thread may ask."""
        return self._lease.is_held

    @property
    def token(self) -> int:
        """Fencing token of the present lease."""
        return self._lease.token

    async def held(self) -> None:
        """Wait until the lease is held."""
        while self.lost:
            self._again.clear()
            await self._again.wait()

    async def wait_lost(self) -> None:
        """Wait until the lease is lost."""
        await self._lease.wait_lost()

    async def release(self) -> None:
        """Give the lease up."""
        await self._lease.release()

    def take_again(self, lease: Lease) -> None:
        """Continue with a new lease."""
        self._lease = lease
        self._again.set()


class Election:
    """A candidate for one lease."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        lease: str,
        *,
        holder: str,
        ttl_s: float,
        ask_s: float,
        source: str,
        keep: bool = False,
        is_unchanged: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """`holder`: this process, for people. `ask_s`: between two attempts to take the lease. `source`: of log lines.

        `keep`: a lease that ran out does not end the work, only another holder does. For work that must go on while the
        bus is away, and that two processes may do at the same time without harm, such as reading a device.

        `is_unchanged`: a lease that ran out and is taken again within TAKE_AGAIN_S does not end the work either, where
        this finds under the new lease that no other process has led meanwhile. The work does nothing that needs the
        lease before it waits for `Leadership.held`.
        """
        self._bus = bus
        self._clock = clock
        self._lease = lease
        self._holder = holder
        self._ttl_s = ttl_s
        self._ask_s = ask_s
        self._source = source
        self._keep = keep
        self._is_unchanged = is_unchanged
        # The holder is part of the reason: a standby logs each new leader, and not every attempt.
        report = edge_log(_log, f"{source}: standing by for {lease}", f"{source}: leads {lease}", each_reason=True)
        self._standby = Retry(clock, report, pause_s=ask_s, on=CountingRoomError)

    async def lead(self, work: Callable[[Leadership], Coroutine[object, object, None]]) -> None:
        """Stand by, then work as the leader until the lease is lost. The work is cancelled before the lease is given
        back, so what it still publishes at its end comes before the next leader."""
        leadership = Leadership(await self._standby.run(self._acquire))
        try:
            async with asyncio.TaskGroup() as group:
                working = group.create_task(work(leadership))
                leadership.ended = await self._until_lost(leadership)
                _log.warning("%s: let go: %s", self._source, leadership.ended)
                working.cancel()
        finally:
            with suppress(CountingRoomError):  # it runs out by itself
                await leadership.release()

    async def _acquire(self) -> Lease:
        return await self._bus.acquire(self._lease, ttl_s=self._ttl_s, holder=self._holder)

    async def _until_lost(self, leadership: Leadership) -> Cause:
        lost = Cause(
            code="lease_lost",
            message="the lease is lost",
            source=self._source,
            suggestion="check whether another process has taken over, and whether the bus was reachable",
        )
        while True:
            await leadership.wait_lost()
            if not (self._keep or self._is_unchanged):
                return lost
            try:
                if self._keep:
                    lease = await self._reacquire()
                else:
                    async with within(self._clock, TAKE_AGAIN_S):
                        lease = await self._reacquire_unchanged()
            except Conflict as error:
                return error.cause
            except TimeoutError:
                return lost
            _log.warning("%s: the lease of %s was lost and is taken again", self._source, self._lease)
            leadership.take_again(lease)

    async def _reacquire_unchanged(self) -> Lease:
        """A new lease; Conflict when another process leads, or has led meanwhile."""
        lease = await self._reacquire()
        is_right = False
        try:
            while self._is_unchanged:
                try:
                    is_right = await self._is_unchanged()
                except LinkError as error:
                    _log.debug("%s: what happened meanwhile is not known yet: %s", self._source, error.cause)
                    await self._clock.sleep(self._ask_s)
                else:
                    break
        finally:
            if not is_right:
                with suppress(CountingRoomError):  # it runs out by itself
                    await lease.release()
        if not is_right:
            raise Conflict("another process has led meanwhile", source=self._source, code="held")
        return lease

    async def _reacquire(self) -> Lease:
        """A new lease as soon as the bus gives it; Conflict when another process has it."""
        while True:
            try:
                return await self._acquire()
            except Conflict as error:
                # Our own old lease may still be valid on the bus after a short loss of the link; it will expire. After
                # a restart the bus refuses new holders for a time (empty holder), so that old ones can come back.
                if error.cause.evidence.get("holder") not in (self._holder, ""):
                    raise
            except CountingRoomError as error:
                _log.debug("%s: %s is not asked for: %s", self._source, self._lease, error.cause)
            await self._clock.sleep(self._ask_s)
