"""Causes for a restore that ends before its last point, and for points whose end is unknown."""

from __future__ import annotations

from countingroom.core.errors import Cause, Conflict
from countingroom.core.snapshots.progress import Restore, RestoreEnd
from countingroom.core.snapshots.restore_plan import PlannedWrite

SOURCE = "snapshots"


def busy(restore: Restore | None, under: Cause | None = None) -> Conflict:
    """Refuses a restore: another one runs, or its end is not recorded yet."""
    if restore and restore.end is not RestoreEnd.RUNNING:
        return Conflict(
            f"the end of the restore of {restore.snapshot} by {restore.by} is not recorded yet",
            code="under_way",
            source=SOURCE,
            suggestion="see to the database",
        )
    what = f"the restore of {restore.snapshot} by {restore.by}" if restore else "another restore"
    return Conflict(
        f"{what} is under way",
        code="under_way",
        source=SOURCE,
        suggestion="wait for its end, or stop it",
        causes=(under,) if under else (),
    )


def stopped(by: str) -> Cause:
    """A user stopped the restore."""
    return Cause(
        code="stopped",
        message=f"stopped by {by}",
        source=SOURCE,
        suggestion="make the plan again to see what is left to restore",
    )


def not_kept(under: Cause) -> Cause:
    """The database does not store the record of the restore."""
    return Cause(
        code="not_kept",
        message="the record of the restore cannot be kept",
        source=SOURCE,
        suggestion="see to the database, then make the plan again",
        causes=(under,),
    )


def not_awaited(write: PlannedWrite) -> Cause:
    """The restore was stopped, or lost its lease, before the end of the command."""
    return Cause(
        code="not_awaited",
        message=f"{write.action} of {write.address} was sent, and its end was not awaited",
        source=SOURCE,
        suggestion="look at its present value",
    )


def no_end(write: PlannedWrite) -> Cause:
    """The end of the command did not come in time."""
    return Cause(
        code="timeout",
        message=f"{write.action} of {write.address} was accepted; it neither finished nor failed in {write.wait_s:g} s",
        source=SOURCE,
        suggestion="look at its present value and at the events of the device",
    )


LEASE_LOST = Cause(
    code="lease_lost",
    message="the lease of restores is lost: the bus was away",
    source=SOURCE,
    suggestion="make the plan again when the bus is back",
)


def not_under_way(id: str, *under: Cause) -> Conflict:
    """Refuses a stop: no console carries out this restore."""
    return Conflict(
        f"the restore {id} is not under way",
        code="not_under_way",
        source=SOURCE,
        suggestion="look at its state: it may have ended",
        causes=under,
    )
