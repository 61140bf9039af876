"""Snapshots of setpoints, golden marks, restores, and the record of what was done with them."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, insert, select, update

from countingroom.core.errors import Conflict, NotFound
from countingroom.core.snapshots.progress import PointEnd, PointResult, Restore, RestoreEnd, sentence
from countingroom.core.snapshots.values import (
    GoldenMark,
    Snapshot,
    SnapshotAction,
    SnapshotSummary,
    checked_name,
    checked_reason,
    scope_text,
    summary,
)
from countingroom.storage import rows
from countingroom.storage.inserting import meeting_insert
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.snapshot_tables import (
    snapshot,
    snapshot_action,
    snapshot_golden,
    snapshot_restore,
    snapshot_restore_point,
)

MOST = 2000
"""Snapshots of an experiment, so that no program makes the table grow."""
MOST_RESTORES = 1000
"""Restores that are kept; the oldest are deleted. The record keeps a line of each."""
_SOURCE = "snapshots"


class Snapshots(Repository):
    """Repository of snapshots."""

    @reading
    def list(self, connection: Connection) -> tuple[SnapshotSummary, ...]:
        """Every snapshot without its points, the newest first."""
        marks = {one.snapshot: one for one in _marks(connection)}
        query = select(snapshot.c.name, snapshot.c.summary).order_by(snapshot.c.taken_ns.desc(), snapshot.c.name)
        return tuple(
            msgspec.structs.replace(msgspec.convert(row.summary, SnapshotSummary), golden=marks.get(row.name))
            for row in connection.execute(query)
        )

    @reading
    def get(self, connection: Connection, name: str) -> Snapshot:
        """One snapshot. Raises NotFound."""
        return _get(connection, name)

    @writing
    def save(self, connection: Connection, made: Snapshot) -> SnapshotSummary:
        """Save a new snapshot. OutOfRange for a wrong name or reason; Conflict if the name is taken, or if there are
        too many."""
        name = checked_name(made.name)
        made = msgspec.structs.replace(made, name=name, reason=checked_reason(made.reason))
        if _find(connection, name) is not None:
            raise Conflict(
                f"there is a snapshot {name} already",
                source=_SOURCE,
                suggestion="choose another name: a snapshot is never overwritten",
            )
        if connection.execute(select(func.count()).select_from(snapshot)).scalar_one() >= MOST:
            raise Conflict(f"there are {MOST} snapshots", source=_SOURCE, suggestion="delete some of them")
        told = summary(made)
        connection.execute(insert(snapshot).values(**rows.columns(made), summary=told))
        is_import = bool(made.imported_by)
        _record(
            connection,
            self.clock.now_ns(),
            made.imported_by or made.taken_by,
            "import" if is_import else "take",
            name,
            made.reason,
            {"points": told.points, "not_present": told.not_present, "scope": scope_text(made.scope)}
            | ({"taken_by": made.taken_by} if is_import else {}),
        )
        return told

    @writing
    def delete(self, connection: Connection, name: str, by: str, reason: str) -> SnapshotSummary:
        """Delete a snapshot and return what it was. NotFound; Conflict while it is golden."""
        present = _get(connection, name)
        if any(one.snapshot == name for one in _marks(connection)):
            raise Conflict(
                f"the snapshot {name} is golden",
                source=_SOURCE,
                suggestion="mark another one of its scope first, or remove the mark",
            )
        connection.execute(delete(snapshot).where(snapshot.c.name == name))
        _record(connection, self.clock.now_ns(), by, "delete", name, checked_reason(reason), {})
        return summary(present)

    @reading
    def golden(self, connection: Connection) -> tuple[tuple[GoldenMark, Snapshot], ...]:
        """The golden snapshots with their marks, by scope."""
        return tuple((mark, _get(connection, mark.snapshot)) for mark in _marks(connection))

    @writing
    def mark(self, connection: Connection, name: str, by: str, reason: str) -> GoldenMark:
        """Make a snapshot the golden one of its scope, in place of the former one."""
        present = _get(connection, name)
        now_ns = self.clock.now_ns()
        made = GoldenMark(
            scope=scope_text(present.scope),
            snapshot=name,
            marked_by=by,
            marked_ns=now_ns,
            reason=checked_reason(reason),
        )
        former = [one.snapshot for one in _marks(connection) if one.scope == made.scope]
        connection.execute(delete(snapshot_golden).where(snapshot_golden.c.scope == made.scope))
        connection.execute(insert(snapshot_golden).values(**rows.columns(made)))
        detail = {"scope": made.scope} | ({"former": former[0]} if former else {})
        _record(connection, now_ns, by, "golden", name, made.reason, detail)
        return made

    @writing
    def unmark(self, connection: Connection, name: str, by: str, reason: str) -> None:
        """Remove the golden mark. NotFound; Conflict where it is not golden."""
        _get(connection, name)
        found = connection.execute(delete(snapshot_golden).where(snapshot_golden.c.snapshot == name))
        if not found.rowcount:
            raise Conflict(f"the snapshot {name} is not golden", source=_SOURCE, suggestion="nothing has to be done")
        _record(connection, self.clock.now_ns(), by, "not_golden", name, checked_reason(reason), {})

    @writing
    def begin_restore(self, connection: Connection, restore: Restore) -> None:
        """Keep the record of a restore before its first write."""
        connection.execute(insert(snapshot_restore).values(**_columns(restore)))
        newest = select(snapshot_restore.c.id).order_by(snapshot_restore.c.started_ns.desc()).limit(MOST_RESTORES)
        kept = [row.id for row in connection.execute(newest)]
        if len(kept) == MOST_RESTORES:
            connection.execute(delete(snapshot_restore).where(snapshot_restore.c.id.not_in(kept)))
        detail = {"id": restore.id, "points": len(restore.writes), "left": len(restore.left)}
        _record(
            connection,
            restore.started_ns,
            restore.by,
            "restore",
            restore.snapshot,
            checked_reason(restore.reason),
            detail,
        )

    @writing
    def keep_point(self, connection: Connection, restore: str, number: int, result: PointResult) -> None:
        """Keep what became of one planned write, before the next is begun."""
        _keep_point(connection, restore, number, result)

    @writing
    def end_restore(self, connection: Connection, restore: Restore) -> None:
        """Keep the end of a restore, with all its results."""
        for number, result in enumerate(restore.results):
            if result.end is not PointEnd.NOT_TRIED:
                _keep_point(connection, restore.id, number, result)
        changed = update(snapshot_restore).where(snapshot_restore.c.id == restore.id)
        connection.execute(changed.values(**_columns(restore)))
        why = restore.cause.message if restore.cause else ""
        detail = {"id": restore.id, "end": restore.end.value, "result": sentence(restore)}
        _record(connection, restore.ended_ns or self.clock.now_ns(), restore.by, "end", restore.snapshot, why, detail)

    @reading
    def restores(self, connection: Connection, limit: int = 50, of: str = "") -> tuple[Restore, ...]:
        """The last restores, the newest first, of all snapshots or of one."""
        query = select(snapshot_restore.c.content).order_by(snapshot_restore.c.started_ns.desc()).limit(limit)
        return _restores(connection, query.where(snapshot_restore.c.snapshot == of) if of else query)

    @reading
    def restore(self, connection: Connection, id: str) -> Restore:
        """One restore. Raises NotFound."""
        found = _restores(connection, select(snapshot_restore.c.content).where(snapshot_restore.c.id == id))
        if not found:
            raise NotFound(f"there is no restore {id}", source=_SOURCE, suggestion="choose one of the list")
        return found[0]

    @reading
    def unfinished(self, connection: Connection) -> tuple[Restore, ...]:
        """Restores without a recorded end."""
        running = snapshot_restore.c.end == RestoreEnd.RUNNING.value
        return _restores(connection, select(snapshot_restore.c.content).where(running))

    @reading
    def actions(self, connection: Connection, name: str = "", limit: int = 200) -> tuple[SnapshotAction, ...]:
        """What was done, newest first, with all snapshots or with one; also of those that are deleted."""
        query = select(snapshot_action).order_by(snapshot_action.c.sequence.desc()).limit(limit)
        if name:
            query = query.where(snapshot_action.c.snapshot == name)
        return rows.every(connection, query, SnapshotAction)


def _columns(restore: Restore) -> dict[str, Any]:
    return {
        "id": restore.id,
        "snapshot": restore.snapshot,
        "end": restore.end.value,
        "started_ns": restore.started_ns,
        "content": msgspec.structs.replace(restore, results=()),
    }


def _keep_point(connection: Connection, restore: str, number: int, result: PointResult) -> None:
    made = meeting_insert(connection, snapshot_restore_point).values(restore=restore, number=number, result=result)
    kept = made.on_conflict_do_update(index_elements=["restore", "number"], set_={"result": made.excluded.result})
    connection.execute(kept)


def _restores(connection: Connection, query: Select[Any]) -> tuple[Restore, ...]:
    """The restores of a query of contents, with their results."""
    found = [msgspec.convert(row.content, Restore) for row in connection.execute(query)]
    results = {one.id: [PointResult()] * len(one.writes) for one in found}
    points = select(snapshot_restore_point).where(snapshot_restore_point.c.restore.in_(list(results)))
    for row in connection.execute(points) if results else ():
        results[row.restore][row.number] = msgspec.convert(row.result, PointResult)
    return tuple(msgspec.structs.replace(one, results=tuple(results[one.id])) for one in found)


def _record(
    connection: Connection, now_ns: int, who: str, what: str, name: str, reason: str, detail: dict[str, Any]
) -> None:
    values = {"time_ns": now_ns, "who": who, "what": what, "snapshot": name, "reason": reason, "detail": detail}
    connection.execute(insert(snapshot_action).values(**values))


def _marks(connection: Connection) -> tuple[GoldenMark, ...]:
    return rows.every(connection, select(snapshot_golden).order_by(snapshot_golden.c.scope), GoldenMark)


def _find(connection: Connection, name: str) -> Snapshot | None:
    return rows.first(connection, select(snapshot).where(snapshot.c.name == name), Snapshot)


def _get(connection: Connection, name: str) -> Snapshot:
    found = _find(connection, name)
    if found is None:
        raise NotFound(f"there is no snapshot {name}", source=_SOURCE, suggestion="choose one of the list of snapshots")
    return found
