"""The place of every detector: one partition, or unmapped. Several detectors move together or not at all."""

from __future__ import annotations

from collections.abc import Mapping as Pairs

from sqlalchemy import Connection, delete, or_, update

from countingroom.core.errors import Cause, Conflict, NotFound
from countingroom.core.placement import UNMAPPED, Detector, LayoutChange
from countingroom.storage import layout
from countingroom.storage.configuration_rows import delete_configuration
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.tables import configuration, detector, layout_change, partition_excluded, partition_wanted


class Mapping(Repository):
    """Repository of the detectors' places."""

    async def all(self) -> dict[str, str]:
        """Detector -> its partition; empty if it is unmapped."""
        return {name: one.partition for name, one in (await self.detectors()).items()}

    @reading
    def detectors(self, connection: Connection) -> dict[str, Detector]:
        """Every detector, by name."""
        return layout.detectors(connection)

    @writing
    def create(
        self, connection: Connection, name: str, by: str, *, type: str = "", partition: str = UNMAPPED
    ) -> Detector:
        """Create a detector, unmapped by default. Conflict if the name is taken."""
        now_ns = self.clock.now_ns()
        layout.create_detectors(connection, {name: partition}, type=type, by=by, now_ns=now_ns)
        return layout.detectors(connection)[name]

    @writing
    def delete(self, connection: Connection, name: str, by: str) -> tuple[str, ...]:
        """Delete a detector, its configurations and the tags that contain them. Returns the names of these tags.

        Raises NotFound; Conflict while it is in a partition.
        """
        now_ns = self.clock.now_ns()
        at = _known(connection, [name])[name].partition
        if at:
            raise Conflict(
                f"{name} is in the partition {at}",
                source=f"mapping.{name}",
                suggestion=f"move it out of {at}, then delete it",
            )
        query = configuration.select().where(configuration.c.system == name)
        why, gone = f"{name} was deleted", set[str]()
        for row in connection.execute(query).mappings().all():
            gone.update(
                delete_configuration(connection, name, row["tag"], by=by, comment=why, now_ns=now_ns, with_tags=True)
            )
        connection.execute(delete(detector).where(detector.c.name == name))
        layout.record(connection, "delete_detector", by=by, now_ns=now_ns, system=name)
        return tuple(sorted(gone))

    @writing
    def move(
        self, connection: Connection, moves: Pairs[str, str], by: str, *, expected: Pairs[str, str] | None = None
    ) -> dict[str, str]:
        """Move detectors (name -> partition, or empty). Returns the previous place of each moved detector.

        Their selection in the previous partition is removed. NotFound for a missing detector or partition; Conflict
        if one is no longer at its `expected` place. All of them move, or none.
        """
        now_ns = self.clock.now_ns()
        known = _known(connection, moves)
        layout.partitions(connection, sorted({to for to in moves.values() if to}))
        if moved := [name for name, at in (expected or {}).items() if _place(known, connection, name) != at]:
            causes = [
                Cause(
                    code="conflict",
                    message=f"{name} is {_spoken(_place(known, connection, name))}",
                    source=f"mapping.{name}",
                )
                for name in moved
            ]
            raise Conflict(
                f"{', '.join(moved)}: moved in the meantime",
                source="mapping",
                causes=causes,
                suggestion="check their present places, then move them again",
            )
        before = {name: known[name].partition for name, to in moves.items() if known[name].partition != to}
        for name, was in before.items():
            _leave(connection, name, was)
            connection.execute(update(detector).where(detector.c.name == name).values(partition=moves[name] or None))
            layout.record(
                connection, "move", by=by, now_ns=now_ns, partition=moves[name], system=name, detail={"from": was}
            )
        return before

    @reading
    def history(self, connection: Connection, detector: str = "", *, limit: int = 100) -> tuple[LayoutChange, ...]:
        """Changes of one detector or of all, newest first."""
        mine = layout_change.c.system == detector
        theirs = or_(
            *(
                layout_change.c.what == what
                for what in ("create_detector", "delete_detector", "move", "rename_detector")
            )
        )
        return layout.changes(connection, mine if detector else theirs, limit)


def _known(connection: Connection, names: Pairs[str, str] | list[str]) -> dict[str, Detector]:
    known = layout.detectors(connection)
    if missing := [name for name in names if name not in known]:
        raise NotFound(
            f"there is no detector {', '.join(missing)}", source="mapping", suggestion="check the list of detectors"
        )
    return {name: known[name] for name in names}


def _place(known: Pairs[str, Detector], connection: Connection, name: str) -> str | None:
    one = known.get(name) or layout.detectors(connection).get(name)
    return one.partition if one else None


def _spoken(place: str | None) -> str:
    return "deleted" if place is None else f"in {place}" if place else "unmapped"


def _leave(connection: Connection, name: str, partition: str) -> None:
    for table in (partition_wanted, partition_excluded):
        connection.execute(delete(table).where(table.c.partition == partition, table.c.system == name))
