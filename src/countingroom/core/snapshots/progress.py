"""The progress of a restore: which points are restored, which failed and why, which were not tried. Pure.

A running restore belongs to one process. If that process ends, the restore is `interrupted`; no other process continues
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.errors import Cause
from countingroom.core.snapshots.restore_plan import LeftPoint, PlannedWrite, RestorePlan
from countingroom.core.values import Int64

KEY = "restore.present"
"""Key in the bucket `state` of the last restore (`RestoreProgress`)."""


class PointEnd(StrEnum):
    """What became of one planned write."""

    NOT_TRIED = "not_tried"
    UNDER_WAY = "under_way"
    RESTORED = "restored"
    """Confirmed by the readback or the state."""
    REFUSED = "refused"
    """By the device: it was not written."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It was sent, and its end is not known."""


BAD = frozenset({PointEnd.REFUSED, PointEnd.FAILED, PointEnd.UNKNOWN})


class RestoreEnd(StrEnum):
    """The state of a restore."""

    RUNNING = "running"
    DONE = "done"
    """Every planned write is restored."""
    INCOMPLETE = "incomplete"
    """Some failed or were not tried."""
    STOPPED = "stopped"
    """By a user."""
    INTERRUPTED = "interrupted"
    """Its process has ended, or could not go on."""


class PointResult(Struct, frozen=True, kw_only=True):
    """What became of one planned write."""

    end: PointEnd = PointEnd.NOT_TRIED
    time_ns: Int64 = 0
    cause: Cause | None = None


class Restore(Struct, frozen=True, kw_only=True):
    """One restore of a snapshot."""

    id: str
    snapshot: str
    by: str
    reason: str
    keeps_going: bool = False
    """After a failure it goes on with other devices; otherwise it ends."""
    process: str = ""
    """The process that carries it out."""
    started_ns: Int64
    ended_ns: Int64 | None = None
    end: RestoreEnd = RestoreEnd.RUNNING
    cause: Cause | None = None
    """Why it ended before all points were tried."""
    writes: tuple[PlannedWrite, ...]
    results: tuple[PointResult, ...]
    """One for each write."""
    left: tuple[LeftPoint, ...] = ()

    def count(self, *ends: PointEnd) -> int:
        """How many writes have ended so."""
        return sum(one.end in ends for one in self.results)


class RestoreProgress(Struct, frozen=True, kw_only=True):
    """The progress of the last restore, as it is published while it runs. The record in the database has more."""

    id: str
    snapshot: str
    by: str
    devices: tuple[str, ...] = ()
    """The devices to which it writes. A user who may make one of them safe may stop the restore."""
    end: RestoreEnd
    started_ns: Int64
    ended_ns: Int64 | None = None
    total: int
    ends: tuple[PointEnd, ...]
    """One for each planned write, in their order."""
    current: str = ""
    """What is written now: `caen.0.hv_setV`."""
    message: str
    """One sentence for operators."""
    cause: Cause | None = None


def begun(plan: RestorePlan, *, id: str, by: str, reason: str, keeps_going: bool, process: str, now_ns: int) -> Restore:
    """A new restore, before its first write."""
    return Restore(
        id=id,
        snapshot=plan.snapshot,
        by=by,
        reason=reason,
        keeps_going=keeps_going,
        process=process,
        started_ns=now_ns,
        writes=plan.writes,
        results=tuple(PointResult() for _ in plan.writes),
        left=plan.left,
    )


def advanced(restore: Restore, index: int, end: PointEnd, now_ns: int, cause: Cause | None = None) -> Restore:
    """The restore with the result of one write."""
    result = PointResult(end=end, time_ns=now_ns, cause=cause)
    return replace(restore, results=(*restore.results[:index], result, *restore.results[index + 1 :]))


def upcoming(restore: Restore) -> Iterator[int]:
    """The indices of the writes that may be tried now, in order; the first one is the next write.

    After a failure there are none. With `keeps_going` only the writes to the device of the failure are left out.
    """
    broken = {write.device for write, result in zip(restore.writes, restore.results, strict=True) if result.end in BAD}
    if broken and not restore.keeps_going:
        return
    for index, (write, result) in enumerate(zip(restore.writes, restore.results, strict=True)):
        if result.end is PointEnd.NOT_TRIED and write.device not in broken:
            yield index


def ended(restore: Restore, now_ns: int, end: RestoreEnd | None = None, cause: Cause | None = None) -> Restore:
    """The restore at its end. Without `end` it is done or incomplete, by its results. The end of a write that was under
    way is unknown."""
    results = tuple(
        replace(one, end=PointEnd.UNKNOWN, time_ns=now_ns, cause=one.cause or _NOT_AWAITED)
        if one.end is PointEnd.UNDER_WAY
        else one
        for one in restore.results
    )
    whole = all(one.end is PointEnd.RESTORED for one in results)
    return replace(
        restore,
        results=results,
        end=end or (RestoreEnd.DONE if whole else RestoreEnd.INCOMPLETE),
        ended_ns=now_ns,
        cause=cause,
    )


def interrupted(restore: Restore, now_ns: int) -> Restore:
    """A restore whose process has ended."""
    cause = Cause(
        code="interrupted",
        message=f"the console that carried it out ({restore.process}) has ended",
        source="snapshots",
        suggestion="look at the plan of the snapshot: it shows what is left to restore",
    )
    return ended(restore, now_ns, RestoreEnd.INTERRUPTED, cause)


def sentence(restore: Restore) -> str:
    """The results as a sentence for operators: `5 of 8 points restored, 1 failed, 2 not tried`."""
    told = [f"{restore.count(PointEnd.RESTORED)} of {len(restore.writes)} points restored"]
    for word, end in (
        ("refused", PointEnd.REFUSED),
        ("failed", PointEnd.FAILED),
        ("of unknown end", PointEnd.UNKNOWN),
        ("not tried", PointEnd.NOT_TRIED),
    ):
        if count := restore.count(end):
            told.append(f"{count} {word}")
    return ", ".join(told)


def progress(restore: Restore) -> RestoreProgress:
    """The progress that is published."""
    current = next(
        (
            write.address
            for write, result in zip(restore.writes, restore.results, strict=True)
            if result.end is PointEnd.UNDER_WAY
        ),
        "",
    )
    failures = (one.cause for one in reversed(restore.results) if one.end in BAD and one.cause)
    return RestoreProgress(
        id=restore.id,
        snapshot=restore.snapshot,
        by=restore.by,
        devices=tuple(sorted({one.device for one in restore.writes})),
        end=restore.end,
        started_ns=restore.started_ns,
        ended_ns=restore.ended_ns,
        total=len(restore.writes),
        ends=tuple(one.end for one in restore.results),
        current=current,
        message=sentence(restore),
        cause=restore.cause or next(failures, None),
    )


_NOT_AWAITED = Cause(
    code="not_awaited",
    message="the command was sent, and its end was not awaited",
    source="snapshots",
    suggestion="look at the present value before anything is set again",
)
