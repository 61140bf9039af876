"""Stored decisions about partitions: template, excluded systems, lock and selected configurations."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, and_, delete, insert, select, update

from countingroom.core.configurations import ConfigurationRevision
from countingroom.core.errors import Conflict
from countingroom.core.placement import PartitionRecord, Wanted
from countingroom.storage import checked, layout, rows
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.run_tables import run, run_sequence
from countingroom.storage.tables import (
    configuration,
    configuration_revision,
    detector,
    partition,
    partition_excluded,
    partition_wanted,
)


class Partitions(Repository):
    """Repository of partitions."""

    @reading
    def list(self, connection: Connection) -> tuple[PartitionRecord, ...]:
        """All partitions, by name."""
        return layout.partitions(connection)

    @reading
    def get(self, connection: Connection, name: str) -> PartitionRecord:
        """One partition. Raises NotFound."""
        return layout.partitions(connection, [name])[0]

    @writing
    def create(self, connection: Connection, name: str, template: str, title: str, by: str) -> PartitionRecord:
        """Create a partition without detectors. Conflict if the name is taken."""
        now_ns = self.clock.now_ns()
        layout.create_partition(connection, name, template, title, by=by, now_ns=now_ns)
        return layout.partitions(connection, [name])[0]

    @writing
    def delete(self, connection: Connection, name: str, by: str, *, force: bool = False) -> tuple[str, ...]:
        """Delete it. `force` unmaps its detectors first; their names are returned. Its runs stay in the run book, and
        its run sequence ends.

        Raises NotFound; Conflict while a run of it is open, or while it has detectors and `force` is False.
        """
        now_ns = self.clock.now_ns()
        inside = layout.partitions(connection, [name])[0].detectors
        number = connection.scalar(select(run.c.number).where(run.c.partition == name, run.c.end.is_(None)))
        if number:
            raise Conflict(
                f"run {number} of {name} is open", source=f"partitions.{name}", suggestion="stop the run first"
            )
        if inside and not force:
            raise Conflict(
                f"{name} has {len(inside)} detector{'s' if len(inside) > 1 else ''}: {', '.join(inside)}",
                source=f"partitions.{name}",
                suggestion="move them out of it first, or delete it with force",
            )
        for one in inside:
            detail = {"from": name}
            layout.record(connection, "move", by=by, now_ns=now_ns, system=one, detail=detail)
        connection.execute(update(detector).where(detector.c.partition == name).values(partition=None))
        going = (run_sequence.c.partition == name) & (run_sequence.c.end == "")
        connection.execute(update(run_sequence).where(going).values(end="stopped", ended_ns=now_ns))
        connection.execute(delete(partition).where(partition.c.name == name))
        layout.record(connection, "delete_partition", by=by, now_ns=now_ns, partition=name)
        return inside

    @reading
    def wanted(self, connection: Connection, name: str) -> Wanted:
        """The selected configurations of its systems with their present parameters. Raises NotFound."""
        return _wanted(connection, name)

    @writing
    def select(self, connection: Connection, name: str, tag: str, systems: Mapping[str, str], by: str) -> Wanted:
        """Select these configurations (system -> tag) and no others.

        `tag` is their global tag, or `custom` if they were selected one by one. NotFound if one does not exist.
        """
        now_ns = self.clock.now_ns()
        layout.select_configurations(connection, name, tag, systems, by=by, now_ns=now_ns)
        return _wanted(connection, name)

    @writing
    def include(self, connection: Connection, name: str, system: str, included: bool, by: str) -> PartitionRecord:
        """Include or exclude a system. Raises NotFound."""
        now_ns = self.clock.now_ns()
        present = layout.partitions(connection, [name])[0]
        if included == (system not in present.excluded):
            return present
        table = partition_excluded
        if included:
            connection.execute(delete(table).where(table.c.partition == name, table.c.system == system))
        else:
            connection.execute(insert(table).values(partition=name, system=checked.name(system, "system")))
        what = "include" if included else "exclude"
        layout.record(connection, what, by=by, now_ns=now_ns, partition=name, system=system)
        return layout.partitions(connection, [name])[0]

    @writing
    def lock(self, connection: Connection, name: str, locked: bool, by: str) -> PartitionRecord:
        """Lock or unlock the partition. Raises NotFound."""
        now_ns = self.clock.now_ns()
        present = layout.partitions(connection, [name])[0]
        if present.locked == locked:
            return present
        connection.execute(update(partition).where(partition.c.name == name).values(locked=locked))
        layout.record(connection, "lock" if locked else "unlock", by=by, now_ns=now_ns, partition=name)
        return layout.partitions(connection, [name])[0]


def _wanted(connection: Connection, name: str) -> Wanted:
    tag = layout.partitions(connection, [name])[0].tag
    revision = configuration_revision
    query = (
        select(revision)
        .join(configuration, and_(*(configuration.c[key] == revision.c[key] for key in ("system", "tag", "revision"))))
        .join(
            partition_wanted,
            and_(
                partition_wanted.c.system == configuration.c.system,
                partition_wanted.c.configuration == configuration.c.tag,
            ),
        )
        .where(partition_wanted.c.partition == name)
        .order_by(revision.c.system)
    )
    return Wanted(tag=tag, systems={one.system: one for one in rows.every(connection, query, ConfigurationRevision)})
