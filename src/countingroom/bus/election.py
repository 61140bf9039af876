"""Leader election by a lease of the bus: one process serves, the others stand by.

A lease has a time to live. A process that was killed is followed, after that time, by one that stands by.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress

from countingroom.bus.port import Bus, Lease
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, Conflict, CountingRoomError
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)


def holder_mark(host: str, pid: int) -> str:
    """The part of the name of a holder that shows its process."""
    return f" at {host}, process {pid}, "


def holder_name(instance: str, boot: str) -> str:
    """The name of this process as the holder of leases, for people and for the supervisor."""
    return f"{instance}{holder_mark(socket.gethostname(), os.getpid())}{boot[:8]}"


class Leadership:
    """One time of being the leader."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        """The present one: a leader that keeps its work over a lost lease takes a new one."""
        self.ended: Cause | None = None
        """Why another process leads now; None while this one does, and where it is only cancelled."""


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
    ) -> None:
        """`holder`: this process, for people. `ask_s`: between two attempts to take the lease. `source`: of log lines.

        `keep`: a lease that ran out does not end the work, only another holder does. For work that must go on while the
        bus is away and that two processes cannot spoil, such as reading a device.
        """
        self._bus = bus
        self._clock = clock
        self._lease = lease
        self._holder = holder
        self._ttl_s = ttl_s
        self._ask_s = ask_s
        self._source = source
        self._keep = keep
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
                await leadership.lease.release()

    async def _acquire(self) -> Lease:
        return await self._bus.acquire(self._lease, ttl_s=self._ttl_s, holder=self._holder)

    async def _until_lost(self, leadership: Leadership) -> Cause:
        while True:
            await leadership.lease.wait_lost()
            if not self._keep:
                return Cause(
                    code="lease_lost",
                    message="the lease is lost",
                    source=self._source,
                    suggestion="check whether another process has taken over, and whether the bus was reachable",
                )
            try:
                leadership.lease = await self._reacquire()
            except Conflict as error:
                return error.cause

    async def _reacquire(self) -> Lease:
        """A new lease as soon as the bus gives it; Conflict when another process has it."""
        while True:
            try:
                return await self._acquire()
            except Conflict as error:
                # After a short loss the bus may still know our own lease; that one runs out.
                if error.cause.evidence.get("holder") != self._holder:
                    raise
            except CountingRoomError as error:
                _log.debug("%s: %s is not asked for: %s", self._source, self._lease, error.cause)
            await self._clock.sleep(self._ask_s)
