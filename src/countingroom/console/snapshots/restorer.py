"""Carries out a restore: one command after the other, each confirmed before the next is sent.

The record of a restore is in the database before its first command, and that of each command before it is sent. So the
record of a killed process is complete; the next process writes the end `interrupted` and does not continue the restore.
A lease of the bus prevents two restores at the same time. A stop ends the wait for the present command at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from msgspec import Struct

from countingroom.bus.port import Bus, Lease, Message
from countingroom.bus.publisher import Publisher
from countingroom.console.auth.requester import Requester
from countingroom.console.command_client import send
from countingroom.console.snapshots.causes import (
    LEASE_LOST,
    SOURCE,
    busy,
    no_end,
    not_awaited,
    not_kept,
    not_under_way,
    stopped,
)
from countingroom.console.snapshots.messages import BEGIN_S, audit_entry, command
from countingroom.core import severity, subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, LinkError, Refused
from countingroom.core.messages import Command, Event, EventKind, Reply, decode, encode
from countingroom.core.retry import Retry, edge_log
from countingroom.core.snapshots.progress import (
    KEY,
    PointEnd,
    Restore,
    RestoreEnd,
    advanced,
    begun,
    ended,
    interrupted,
    progress,
    sentence,
    upcoming,
)
from countingroom.core.snapshots.restore_plan import PlannedWrite, RestorePlan
from countingroom.storage.snapshots import Snapshots

_log = logging.getLogger(__name__)
T = TypeVar("T")

LEASE = "restore"
STOPS = "restores"
"""The department in the subject of the command `stop`, by which another console stops a restore."""
LEASE_S = 5.0
RETRY_S = 1.0
READY_S = 5.0
LAST_S = 2.0
"""The time that the last save may take when the process ends."""


class Sending(Protocol):
    """Sends a command to a device as a user, and waits for its end. LinkError if no answer came."""

    async def __call__(
        self, device: str, command: Command, wait_s: float, /, *, user: str
    ) -> tuple[Reply, Event | None]: ...


class _Job(Struct):
    """The running restore."""

    restore: Restore
    requester: Requester
    lease: Lease
    stop: asyncio.Event
    stopped_by: str = ""

    @property
    def is_over(self) -> bool:
        """Whether no further command may be sent."""
        return self.stop.is_set() or self.lease.lost


class Restorer:
    """Carries out one restore at a time."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        store: Snapshots | None,
        publisher: Publisher,
        *,
        send: Sending,
        permit: Callable[[Requester, PlannedWrite], Awaitable[Cause | None]],
        audit: Callable[[AuditEntry], None],
        process: str,
    ) -> None:
        """`permit`: returns why the user may not give a command now, or None; called before each command, because
        rights may change during a restore. `process`: the name of this process in the record."""
        self._bus = bus
        self._clock = clock
        self._store = store
        self._publisher = publisher
        self._send = send
        self._permit = permit
        self._audit = audit
        self._process = process
        self._job: _Job | None = None
        self._begins = False
        self._news = asyncio.Event()
        self._is_free = asyncio.Event()
        """Cleared while the lease of an ended restore is being released."""
        self._is_free.set()
        self._is_ready = asyncio.Event()
        """Set when the unfinished restores of ended processes have their end on record."""
        report = edge_log(_log, "the record of a restore is not kept", "the record of a restore is kept")
        self._keeping = Retry(clock, report, pause_s=RETRY_S, on=CountingRoomError)
        self._ending = Retry(clock, report, pause_s=RETRY_S)
        unheard = edge_log(_log, "stops by other consoles are not heard", "stops by other consoles are heard")
        self._hearing = Retry(clock, unheard, pause_s=RETRY_S)

    @property
    def present(self) -> Restore | None:
        """The restore that runs in this process."""
        return self._job.restore if self._job else None

    async def start(self, plan: RestorePlan, requester: Requester, reason: str, *, keeps_going: bool) -> Restore:
        """Begin a restore; `run` carries it out. Conflict if another one runs or the plan has no writes. LinkError if
        its record cannot be stored."""
        if self._store is None or not plan.writes:
            raise Conflict(
                "nothing is to be written",
                code="nothing_to_do",
                source=SOURCE,
                suggestion="look at the plan: it says why each point is left as it is",
            )
        if self._begins or self._job:
            raise busy(self._job.restore if self._job else None)
        self._begins = True
        try:
            await self._look_back()
            id = uuid4().hex[:12]
            try:
                lease = await self._bus.acquire(LEASE, ttl_s=LEASE_S, holder=f"{self._process} {id}")
            except Conflict as error:
                raise busy(None, error.cause) from error
            try:
                restore = begun(
                    plan,
                    id=id,
                    by=requester.name,
                    reason=reason,
                    keeps_going=keeps_going,
                    process=self._process,
                    now_ns=self._clock.now_ns(),
                )
                await self._store.begin_restore(restore)
            except BaseException:
                await _release(lease)
                raise
            self._job = _Job(restore=restore, requester=requester, lease=lease, stop=asyncio.Event())
        finally:
            self._begins = False
        self._tell(f"{requester.name} restores {plan.snapshot}: {len(plan.writes)} points; {reason}", restore)
        self._publish(restore)
        self._news.set()
        return restore

    async def stop(self, id: str, by: str) -> None:
        """Stop a restore, here or in another console. Conflict if no console carries it out, LinkError if the other
        console does not answer."""
        if self._stopped_here(id, by):
            return
        now_ns = self._clock.now_ns()
        asked = Command(
            id=uuid4().hex,
            action="stop",
            issued_ns=now_ns,
            deadline_ns=now_ns + round(BEGIN_S * 1e9),
            within_s=BEGIN_S,
            origin=self._process,
        )
        try:
            reply = await send(self._bus, self._clock, STOPS, id, asked, user=by)
        except LinkError as error:
            if error.cause.code == "unreachable" and self._bus.connected:
                raise not_under_way(id, error.cause) from error
            raise
        if not reply.accepted:
            raise Refused(reply.cause) if reply.cause else not_under_way(id)

    def _stopped_here(self, id: str, by: str) -> bool:
        """Stop the restore if it runs here; returns whether it did."""
        job = self._job
        if job is None or job.restore.id != id or job.restore.end is not RestoreEnd.RUNNING:
            return False
        job.stopped_by = job.stopped_by or by
        job.stop.set()
        return True

    async def _hear_stops(self, id: str) -> None:
        """Answer the stops of other consoles until cancelled. They have checked the rights of their user."""

        async def answer(message: Message) -> bytes:
            asked = decode(message.data, Command)
            by = subjects.command_user(message.subject)
            is_done = asked.action == "stop" and self._stopped_here(id, by)
            return encode(Reply(id=asked.id, accepted=is_done, cause=None if is_done else not_under_way(id).cause))

        async with self._bus.respond(subjects.commands_to(STOPS, id), answer):
            self._hearing.report.worked()
            await asyncio.Future[None]()

    async def run(self) -> None:
        """Until cancelled."""
        if self._store is None:
            return
        await self._end_interrupted(self._store)
        self._is_ready.set()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._job:
                hear = partial(self._hear_stops, self._job.restore.id)
                hearing = asyncio.create_task(self._hearing.forever(hear))
                try:
                    await self._carry_out(self._store, self._job)
                finally:
                    lease, self._job = self._job.lease, None
                    self._is_free.clear()
                    hearing.cancel()
                    try:
                        await asyncio.gather(hearing, return_exceptions=True)
                    finally:  # also if this process ends now, so that other consoles need not wait for the lease
                        await _release(lease)
                        self._is_free.set()

    async def _look_back(self) -> None:
        """Wait until ended restores are recorded as ended and their lease is free. LinkError after READY_S."""
        try:
            async with within(self._clock, READY_S):
                await self._is_ready.wait()
                await self._is_free.wait()
        except TimeoutError:
            raise LinkError(
                "the end of an earlier restore is not recorded yet",
                source=SOURCE,
                suggestion="see to the database and the bus, or wait for the restore of another console",
            ) from None

    async def _end_interrupted(self, store: Snapshots) -> None:
        """Record the end of restores whose process has ended."""
        found = await self._keeping.run(store.unfinished)
        if not found:
            return
        # Only the lease proves that no other console carries one out. One may end meanwhile, so they are read again.
        lease = await self._keeping.run(lambda: self._bus.acquire(LEASE, ttl_s=LEASE_S, holder=self._process))
        try:
            for restore in await self._keeping.run(store.unfinished):
                over = interrupted(restore, self._clock.now_ns())
                await self._keep_end(store, over)
                self._publish(over)
                self._tell_end(over)
        finally:
            await _release(lease)

    async def _carry_out(self, store: Snapshots, job: _Job) -> None:
        end: RestoreEnd | None = None
        cause: Cause | None = None
        try:
            while (index := next(upcoming(job.restore), None)) is not None:
                if job.stop.is_set():
                    end, cause = RestoreEnd.STOPPED, stopped(job.stopped_by)
                    break
                if job.lease.lost:
                    end, cause = RestoreEnd.INTERRUPTED, LEASE_LOST
                    break
                await self._one(store, job, index)
            if end is None and job.stop.is_set() and job.restore.count(PointEnd.RESTORED) < len(job.restore.writes):
                end, cause = RestoreEnd.STOPPED, stopped(job.stopped_by)
        except CountingRoomError as error:
            end, cause = RestoreEnd.INTERRUPTED, not_kept(error.cause)
        except BaseException:
            await self._end_with_process(store, job)
            raise
        job.restore = over = ended(job.restore, self._clock.now_ns(), end, cause)
        self._publish(over)
        self._tell_end(over)
        await self._keep_end(store, over)

    async def _keep_end(self, store: Snapshots, over: Restore) -> None:
        """Store the end; repeated until the database answers. If it refuses the end itself, an event tells it."""
        try:
            await self._ending.run(lambda: store.end_restore(over))
        except CountingRoomError as error:
            _log.warning("the end of the restore %s is refused by the database: %s", over.id, error.cause)
            message = f"the end of the restore of {over.snapshot} by {over.by} is not in the database"
            self._tell(message, over, EventKind.FAILED, error.cause)

    async def _end_with_process(self, store: Snapshots, job: _Job) -> None:
        """The console ends or has failed: publish the results, and store them within LAST_S."""
        job.restore = over = interrupted(job.restore, self._clock.now_ns())
        self._publish(over)
        self._tell_end(over)
        with suppress(TimeoutError, CountingRoomError):
            async with within(self._clock, LAST_S):
                await store.end_restore(over)

    async def _one(self, store: Snapshots, job: _Job, index: int) -> None:
        write = job.restore.writes[index]
        job.restore = advanced(job.restore, index, PointEnd.UNDER_WAY, self._clock.now_ns())
        # Before the command: after a kill the record must show that it may have been sent.
        await store.keep_point(job.restore.id, index, job.restore.results[index])
        self._publish(job.restore)
        end, cause = await self._attempt(job, write)
        job.restore = advanced(job.restore, index, end, self._clock.now_ns(), cause)
        self._publish(job.restore)
        if end is not PointEnd.NOT_TRIED:
            self._audit(audit_entry(job.restore, write, end, cause, self._clock.now_ns()))
        await store.keep_point(job.restore.id, index, job.restore.results[index])

    async def _attempt(self, job: _Job, write: PlannedWrite) -> tuple[PointEnd, Cause | None]:
        """Send the command if the user still may, and wait for its end, a stop, or the loss of the lease."""
        denied = await _unless_over(job, self._may(job, write))
        if job.is_over:
            return PointEnd.NOT_TRIED, None
        if denied:
            return PointEnd.REFUSED, denied
        return await _unless_over(job, self._ask(job, write)) or (PointEnd.UNKNOWN, not_awaited(write))

    async def _may(self, job: _Job, write: PlannedWrite) -> Cause | None:
        return await self._permit(job.requester, write)

    async def _ask(self, job: _Job, write: PlannedWrite) -> tuple[PointEnd, Cause | None]:
        if job.is_over:  # it may have been stopped while the rights were checked
            return PointEnd.NOT_TRIED, None
        made = command(write, job.restore.id, self._clock.now_ns())
        try:
            reply, event = await self._send(write.device, made, write.wait_s, user=job.restore.by)
        except LinkError as error:
            return (PointEnd.FAILED if error.cause.code == "unreachable" else PointEnd.UNKNOWN), error.cause
        if not reply.accepted:
            return PointEnd.REFUSED, reply.cause
        if event is None:
            return PointEnd.UNKNOWN, no_end(write)
        return (PointEnd.RESTORED, None) if event.kind is EventKind.DONE else (PointEnd.FAILED, event.cause)

    def _publish(self, restore: Restore) -> None:
        self._publisher.state(KEY, progress(restore))

    def _tell_end(self, restore: Restore) -> None:
        is_good = restore.end is RestoreEnd.DONE
        message = f"the restore of {restore.snapshot} by {restore.by} is {restore.end.value}: {sentence(restore)}"
        self._tell(message, restore, EventKind.DONE if is_good else EventKind.FAILED, restore.cause)

    def _tell(
        self, message: str, restore: Restore, kind: EventKind = EventKind.NOTE, cause: Cause | None = None
    ) -> None:
        event = Event(
            id=uuid4().hex,
            kind=kind,
            time_ns=self._clock.now_ns(),
            department="console",
            source=SOURCE,
            message=message,
            severity=severity.LOW if kind is EventKind.FAILED else severity.NORMAL,
            principal=restore.by,
            action="restore",
            cause=cause,
            data={"restore": restore.id, "snapshot": restore.snapshot},
        )
        self._publisher.event(event)


async def _unless_over(job: _Job, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work; None if a stop or the loss of the lease came first."""
    working = asyncio.create_task(work)
    others = asyncio.create_task(job.stop.wait()), asyncio.create_task(job.lease.wait_lost())
    try:
        await asyncio.wait((working, *others), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for one in (working, *others):
            one.cancel()
        await asyncio.gather(working, *others, return_exceptions=True)


async def _release(lease: Lease) -> None:
    with suppress(CountingRoomError):  # without this the lease expires after LEASE_S
        await lease.release()
