"""The command of a planned write, and its entry in the audit."""

from __future__ import annotations

from uuid import uuid4

from countingroom.core.accounts import AuditEntry, Outcome
from countingroom.core.errors import Cause
from countingroom.core.messages import Command
from countingroom.core.snapshots.progress import PointEnd, Restore
from countingroom.core.snapshots.restore_plan import SET, PlannedWrite

BEGIN_S = 10.0
"""A command is refused if it arrives later than this after it was sent."""


def command(write: PlannedWrite, restore: str, now_ns: int) -> Command:
    """The command of a planned write."""
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


def audit_entry(restore: Restore, write: PlannedWrite, end: PointEnd, cause: Cause | None, now_ns: int) -> AuditEntry:
    """The audit entry of a planned write and its end."""
    outcomes = {PointEnd.RESTORED: Outcome.ACCEPTED, PointEnd.REFUSED: Outcome.REFUSED}
    return AuditEntry(
        time_ns=now_ns,
        who=restore.by,
        what=write.action,
        target=f"device.{write.device}",
        arguments={"point": write.point, "value": write.new, "restore": restore.id, "snapshot": restore.snapshot},
        origin=f"restore {restore.id}",
        outcome=outcomes.get(end, Outcome.FAILED),
        cause=cause,
    )
