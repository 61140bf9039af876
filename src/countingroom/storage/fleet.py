"""The revisions of the fleet, and what its keeper remembers."""

from __future__ import annotations

import msgspec
from sqlalchemy import Column, Connection, Integer, Table, func, insert, select, update

from countingroom.core.errors import Conflict, NotFound
from countingroom.core.fleet.record import FleetRecord
from countingroom.core.fleet.specs import Revision
from countingroom.storage import rows
from countingroom.storage.columns import Json, metadata, ns, text
from countingroom.storage.repository import Repository, reading, writing

MOST_LISTED = 1000

fleet_revision = Table(
    "fleet_revision",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    text("by"),
    ns("time_ns"),
    text("comment"),
    Column("content", Json, nullable=False),
)
"""Append-only. `content` is the whole `Revision`."""

fleet_record = Table(
    "fleet_record",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    ns("changed_ns"),
    Column("content", Json, nullable=False),
)
"""One row. `version` counts its changes: a keeper that lost its lease must not write over the next one."""


class FleetRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A revision in a list."""

    number: int
    by: str
    time_ns: int
    comment: str


class FleetRecords(Repository):
    """Repository of the fleet."""

    @reading
    def revisions(self, connection: Connection) -> tuple[FleetRevision, ...]:
        """The newest revisions, the newest first, without their content."""
        t = fleet_revision.c
        query = select(t.number, t.by, t.time_ns, t.comment).order_by(t.number.desc()).limit(MOST_LISTED)
        return rows.every(connection, query, FleetRevision)

    @reading
    def revision(self, connection: Connection, number: int) -> Revision:
        """One revision. Raises NotFound."""
        query = select(fleet_revision.c.content).where(fleet_revision.c.number == number)
        found = connection.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound(f"there is no revision {number} of the fleet", source="fleet", suggestion="list them")
        return msgspec.convert(found, Revision)

    @writing
    def add(self, connection: Connection, revision: Revision) -> Revision:
        """Keep a revision under the next number."""
        last = connection.execute(select(func.max(fleet_revision.c.number))).scalar_one()
        made = msgspec.structs.replace(revision, number=(last or 0) + 1, time_ns=self.clock.now_ns())
        content = msgspec.to_builtins(made)
        values = {"number": made.number, "by": made.by, "time_ns": made.time_ns, "comment": made.comment}
        connection.execute(insert(fleet_revision).values(**values, content=content))
        return made

    @reading
    def record(self, connection: Connection) -> tuple[int, FleetRecord]:
        """(version, memory of the keeper); version 0: not stored yet."""
        found = connection.execute(select(fleet_record.c.version, fleet_record.c.content)).first()
        return (0, FleetRecord()) if found is None else (found.version, msgspec.convert(found.content, FleetRecord))

    @writing
    def save(self, connection: Connection, record: FleetRecord, version: int) -> int:
        """Save over this version; the new version. Conflict where another keeper has saved meanwhile."""
        values = {
            "version": version + 1,
            "changed_ns": self.clock.now_ns(),
            "content": msgspec.to_builtins(record),
        }
        if version == 0:
            present = connection.execute(select(fleet_record.c.version)).scalar_one_or_none()
            if present is not None:
                raise _other(present)
            connection.execute(insert(fleet_record).values(id=1, **values))
        else:
            change = update(fleet_record).where(fleet_record.c.version == version).values(**values)
            if connection.execute(change).rowcount != 1:
                raise _other(version)
        return version + 1


def _other(version: int) -> Conflict:
    return Conflict(
        f"another process has changed what is remembered of the fleet (version {version})",
        source="fleet",
        code="other_keeper",
        suggestion="wait: this process stands by then",
    )
