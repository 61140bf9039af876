"""Rows of partitions and detectors. Each change writes its entry of the change log in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from countingroom.core.errors import Conflict, NotFound
from countingroom.core.placement import UNMAPPED, Detector, LayoutChange, PartitionRecord
from countingroom.core.values import Scalar
from countingroom.storage import checked, rows
from countingroom.storage.tables import detector, layout_change, partition, partition_excluded, partition_wanted
from countingroom.storage.tags import missing_configurations


def record(
    connection: Connection,
    what: str,
    *,
    by: str,
    now_ns: int,
    partition: str = "",
    system: str = "",
    detail: Mapping[str, Scalar] | None = None,
) -> None:
    """Add an entry to the change log."""
    change = {"time_ns": now_ns, "who": by, "what": what, "partition": partition, "system": system}
    connection.execute(insert(layout_change).values(**change, detail=dict(detail or {})))


def changes(connection: Connection, where: ColumnElement[bool], limit: int) -> tuple[LayoutChange, ...]:
    """Changes, newest first."""
    query = select(layout_change).where(where)
    return rows.every(connection, query.order_by(layout_change.c.sequence.desc()).limit(limit), LayoutChange)


def detectors(connection: Connection) -> dict[str, Detector]:
    """All detectors, by name."""
    found = connection.execute(select(detector).order_by(detector.c.name)).mappings()
    return {row["name"]: rows.value(row, Detector, partition=row["partition"] or UNMAPPED) for row in found}


def partitions(connection: Connection, names: Sequence[str] | None = None) -> tuple[PartitionRecord, ...]:
    """Partitions with their detectors and selection, by name. NotFound if one of `names` does not exist."""
    inside: dict[str, list[str]] = {}
    for row in connection.execute(select(detector.c.name, detector.c.partition).order_by(detector.c.name)):
        inside.setdefault(row[1] or UNMAPPED, []).append(row[0])
    excluded: dict[str, list[str]] = {}
    for row in connection.execute(select(partition_excluded).order_by(partition_excluded.c.system)).mappings():
        excluded.setdefault(row["partition"], []).append(row["system"])
    found = {
        row["name"]: rows.value(
            row, PartitionRecord, detectors=inside.get(row["name"], []), excluded=excluded.get(row["name"], [])
        )
        for row in connection.execute(select(partition).order_by(partition.c.name)).mappings()
    }
    if names is None:
        return tuple(found.values())
    for name in names:
        if name not in found:
            raise NotFound(
                f"there is no partition {name}",
                source="partitions",
                suggestion=f"choose one of {', '.join(found)}" if found else "create it",
            )
    return tuple(found[name] for name in names)


def create_partition(connection: Connection, name: str, template: str, title: str, *, by: str, now_ns: int) -> None:
    """Create a partition without detectors. Conflict if the name is taken."""
    if connection.scalar(select(partition.c.name).where(partition.c.name == checked.name(name, "partition"))):
        raise Conflict(f"there is a partition {name} already", source="partitions", suggestion="take another name")
    made = PartitionRecord(name=name, title=title, template=template, created_by=by, created_ns=now_ns)
    connection.execute(insert(partition).values(**rows.columns(made, "detectors", "excluded")))
    detail = {"template": template, "title": title}
    record(connection, "create_partition", by=by, now_ns=now_ns, partition=name, detail=detail)


def create_detectors(
    connection: Connection, places: Mapping[str, str], *, type: str = "", by: str, now_ns: int
) -> None:
    """Create detectors (name -> partition, or empty). Conflict if a name is taken; NotFound for a missing partition."""
    there = set(connection.scalars(select(detector.c.name)))
    for name in places:
        if checked.name(name, "detector") in there:
            raise Conflict(
                f"there is already a detector {name} already", source="mapping", suggestion="take another name"
            )
    partitions(connection, sorted({place for place in places.values() if place}))
    if not places:
        return
    stamp = {"type": type, "created_by": by, "created_ns": now_ns}
    connection.execute(
        insert(detector), [{"name": name, "partition": place or None, **stamp} for name, place in places.items()]
    )
    change = {"time_ns": now_ns, "who": by, "what": "create_detector", "detail": {"type": type}}
    connection.execute(
        insert(layout_change), [{**change, "partition": place, "system": name} for name, place in places.items()]
    )


def select_configurations(
    connection: Connection, name: str, tag: str, systems: Mapping[str, str], *, by: str, now_ns: int
) -> None:
    """Select these configurations (system -> tag) and no others. NotFound if one does not exist."""
    partitions(connection, [name])
    if causes := missing_configurations(connection, systems):
        raise NotFound(
            f"{name} cannot select configurations that do not exist",
            source=f"partitions.{name}",
            causes=causes,
            suggestion="save them, or select others",
        )
    connection.execute(update(partition).where(partition.c.name == name).values(tag=tag))
    connection.execute(delete(partition_wanted).where(partition_wanted.c.partition == name))
    if systems:
        wanted = [{"partition": name, "system": one, "configuration": chosen} for one, chosen in systems.items()]
        connection.execute(insert(partition_wanted), wanted)
    detail = {"tag": tag, **{f"system.{one}": chosen for one, chosen in systems.items()}}
    record(connection, "select", by=by, now_ns=now_ns, partition=name, detail=detail)
