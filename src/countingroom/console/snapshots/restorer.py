"""Carries out a restore: one command after the other, each confirmed before the next is sent.

The record of a restore is in the database before its first command, and that of each command before it is sent. So a
process that dies leaves what it has done; the next one writes its end, `interrupted`, and continues nothing. A lease of
the bus keeps two consoles from restoring at the same time. A stop ends the wait for the command under way at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from uuid import uuid4

from msgspec import Struct

from countingroom.bus.port import Bus, Lease
from countingroom.bus.publisher import Publisher
from countingroom.core import severity
from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.clock import Clock, within
from countingroom.core.errors import Cause, Conflict, CountingRoomError, LinkError
from countingroom.core.messages import Command, Event, EventKind, Reply
from countingroom.core.policy import Principal
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
from countingroom.core.snapshots.restore_plan import SET, PlannedWrite, RestorePlan
from countingroom.storage.snapshots import Snapshots

_log = logging.getLogger(__name__)

LEASE = "restore"
LEASE_S = 5.0
BEGIN_S = 10.0
"""A command is not begun later than this after it was sent."""
RETRY_S = 1.0
READY_S = 5.0
LAST_S = 2.0
"""At the end of the process its record may take so long."""
SOURCE = "snapshots"


class Sending(Protocol):
    """Sends a command to a device as a user, and waits for its end; LinkError where no answer came."""

    async def __call__(
        self, device: str, command: Command, wait_s: float, /, *, user: str
    ) -> tuple[Reply, Event | None]: ...


class _Job(Struct):
    """The restore under way."""

    restore: Restore
    principal: Principal
    lease: Lease
    stop: asyncio.Event
    stopped_by: str = ""


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
        permit: Callable[[Principal, PlannedWrite], Cause | None],
        audit: Callable[[AuditEntry], None],
        process: str,
    ) -> None:
        """`permit`: why the user may not give this command now; asked before each. `process`: names this process in the
        record."""
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
        self._is_ready = asyncio.Event()
        """Set when the restores of processes that have ended have their end."""
        report = edge_log(_log, "the record of a restore is not kept", "the record of a restore is kept")
        self._keeping = Retry(clock, report, pause_s=RETRY_S, on=CountingRoomError)

    @property
    def present(self) -> Restore | None:
        """The restore under way here."""
        return self._job.restore if self._job else None

    async def start(self, plan: RestorePlan, principal: Principal, reason: str, *, keeps_going: bool) -> Restore:
        """Begin a restore; it goes on in `run`. Conflict where another one is under way or nothing is to be written;
        LinkError where its record cannot be kept."""
        if self._store is None or not plan.writes:
            raise Conflict(
                "nothing is to be written",
                code="nothing_to_do",
                source=SOURCE,
                suggestion="look at the plan: it says why each point is left as it is",
            )
        if self._begins or self._job:
            raise _busy(self._job.restore if self._job else None)
        self._begins = True
        try:
            await self._look_back()
            id = uuid4().hex[:12]
            try:
                lease = await self._bus.acquire(LEASE, ttl_s=LEASE_S, holder=f"{self._process} {id}")
            except Conflict as error:
                raise _busy(None, error.cause) from error
            try:
                restore = begun(
                    plan,
                    id=id,
                    by=principal.name,
                    reason=reason,
                    keeps_going=keeps_going,
                    process=self._process,
                    now_ns=self._clock.now_ns(),
                )
                await self._store.begin_restore(restore)
            except BaseException:
                await _release(lease)
                raise
            self._job = _Job(restore=restore, principal=principal, lease=lease, stop=asyncio.Event())
        finally:
            self._begins = False
        self._tell(f"{principal.name} restores {plan.snapshot}: {len(plan.writes)} points; {reason}", restore)
        self._publish(restore)
        self._news.set()
        return restore

    def stop(self, id: str, by: str) -> Restore:
        """End the restore under way: no further command is sent. Conflict where it is not under way here."""
        job = self._job
        if job is None or job.restore.id != id:
            raise Conflict(
                f"the restore {id} is not under way in this console",
                code="not_under_way",
                source=SOURCE,
                suggestion="look at its state: it may have ended",
            )
        job.stopped_by = job.stopped_by or by
        job.stop.set()
        return job.restore

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
                try:
                    await self._carry_out(self._store, self._job)
                finally:
                    lease, self._job = self._job.lease, None
                    await _release(lease)

    async def _look_back(self) -> None:
        """Wait until no record of an ended process is taken for a restore under way; LinkError after READY_S."""
        try:
            async with within(self._clock, READY_S):
                await self._is_ready.wait()
        except TimeoutError:
            raise LinkError(
                "the end of an earlier restore is not recorded yet",
                source=SOURCE,
                suggestion="see to the database and the bus, or wait for the restore of another console",
            ) from None

    async def _end_interrupted(self, store: Snapshots) -> None:
        """Write the end of restores whose process has ended. The lease shows that none of them goes on."""
        found = await self._keeping.run(store.unfinished)
        if not found:
            return
        lease = await self._keeping.run(lambda: self._bus.acquire(LEASE, ttl_s=LEASE_S, holder=self._process))
        try:
            for restore in await self._keeping.run(store.unfinished):
                over = interrupted(restore, self._clock.now_ns())
                await self._keeping.run(lambda over=over: store.end_restore(over))
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
                    end, cause = RestoreEnd.STOPPED, _stopped(job.stopped_by)
                    break
                if job.lease.lost:
                    end, cause = RestoreEnd.INTERRUPTED, _LEASE_LOST
                    break
                await self._one(store, job, index)
            if end is None and job.stop.is_set() and job.restore.count(PointEnd.RESTORED) < len(job.restore.writes):
                end, cause = RestoreEnd.STOPPED, _stopped(job.stopped_by)
        except LinkError as error:
            end, cause = RestoreEnd.INTERRUPTED, _not_kept(error.cause)
        except BaseException:
            await self._end_with_process(store, job)
            raise
        job.restore = over = ended(job.restore, self._clock.now_ns(), end, cause)
        self._publish(over)
        self._tell_end(over)
        await self._keeping.run(lambda: store.end_restore(over))

    async def _end_with_process(self, store: Snapshots, job: _Job) -> None:
        """The console ends, or has failed: say what was done, as far as there is time."""
        job.restore = over = interrupted(job.restore, self._clock.now_ns())
        self._publish(over)
        self._tell_end(over)
        with suppress(TimeoutError, CountingRoomError):
            async with within(self._clock, LAST_S):
                await store.end_restore(over)

    async def _one(self, store: Snapshots, job: _Job, index: int) -> None:
        write = job.restore.writes[index]
        job.restore = advanced(job.restore, index, PointEnd.UNDER_WAY, self._clock.now_ns())
        await store.keep_point(job.restore.id, index, job.restore.results[index])
        self._publish(job.restore)
        end, cause = await self._attempt(job, write)
        job.restore = advanced(job.restore, index, end, self._clock.now_ns(), cause)
        self._publish(job.restore)
        self._audit(self._entry(job.restore, write, end, cause))
        await store.keep_point(job.restore.id, index, job.restore.results[index])

    async def _attempt(self, job: _Job, write: PlannedWrite) -> tuple[PointEnd, Cause | None]:
        """Send the command, and wait for its end, for a stop, or until the lease is lost."""
        if denied := self._permit(job.principal, write):
            return PointEnd.REFUSED, denied
        asking = asyncio.create_task(self._ask(write, job.restore))
        others = asyncio.create_task(job.stop.wait()), asyncio.create_task(job.lease.wait_lost())
        try:
            await asyncio.wait((asking, *others), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            return PointEnd.UNKNOWN, _not_awaited(write)
        finally:
            for one in (asking, *others):
                one.cancel()
            await asyncio.gather(asking, *others, return_exceptions=True)

    async def _ask(self, write: PlannedWrite, restore: Restore) -> tuple[PointEnd, Cause | None]:
        command = _command(write, restore.id, self._clock.now_ns())
        try:
            reply, event = await self._send(write.device, command, write.wait_s, user=restore.by)
        except LinkError as error:
            return (PointEnd.FAILED if error.cause.code == "unreachable" else PointEnd.UNKNOWN), error.cause
        if not reply.accepted:
            return PointEnd.REFUSED, reply.cause
        if event is None:
            return PointEnd.UNKNOWN, _no_end(write)
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

    def _entry(self, restore: Restore, write: PlannedWrite, end: PointEnd, cause: Cause | None) -> AuditEntry:
        outcomes = {PointEnd.RESTORED: Outcome.ACCEPTED, PointEnd.REFUSED: Outcome.REFUSED}
        return AuditEntry(
            time_ns=self._clock.now_ns(),
            who=restore.by,
            what=write.action,
            target=f"device.{write.device}",
            arguments={"point": write.point, "value": write.new, "restore": restore.id, "snapshot": restore.snapshot},
            origin=f"restore {restore.id}",
            outcome=outcomes.get(end, Outcome.FAILED),
            cause=cause,
        )


async def _release(lease: Lease) -> None:
    with suppress(CountingRoomError):  # it runs out by itself
        await lease.release()


def _command(write: PlannedWrite, restore: str, now_ns: int) -> Command:
    return Command(
        id=uuid4().hex,
        action=write.action,
        channel=write.channel,
        arguments={"point": write.point, "value": write.new} if write.action == SET else {},
        issued_ns=now_ns,
        deadline_ns=now_ns + round(BEGIN_S * 1e9),
        within_s=BEGIN_S,
        origin=f"restore {restore}",
    )


def _busy(restore: Restore | None, under: Cause | None = None) -> Conflict:
    what = f"the restore of {restore.snapshot} by {restore.by}" if restore else "another restore"
    return Conflict(
        f"{what} is under way",
        code="under_way",
        source=SOURCE,
        suggestion="wait for its end, or stop it",
        causes=(under,) if under else (),
    )


def _stopped(by: str) -> Cause:
    return Cause(
        code="stopped",
        message=f"stopped by {by}",
        source=SOURCE,
        suggestion="make the plan again to see what is left to restore",
    )


def _not_kept(under: Cause) -> Cause:
    return Cause(
        code="not_kept",
        message="the record of the restore cannot be kept",
        source=SOURCE,
        suggestion="see to the database, then make the plan again",
        causes=(under,),
    )


def _not_awaited(write: PlannedWrite) -> Cause:
    return Cause(
        code="not_awaited",
        message=f"{write.action} of {write.address} was sent, and its end was not awaited",
        source=SOURCE,
        suggestion="look at its present value",
    )


def _no_end(write: PlannedWrite) -> Cause:
    return Cause(
        code="timeout",
        message=f"{write.action} of {write.address} was accepted; it neither finished nor failed in {write.wait_s:g} s",
        source=SOURCE,
        suggestion="look at its present value and at the events of the device",
    )


_LEASE_LOST = Cause(
    code="lease_lost",
    message="the lease of restores is lost: the bus was away",
    source=SOURCE,
    suggestion="make the plan again when the bus is back",
)
