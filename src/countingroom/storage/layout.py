"""Law: what becomes of partitions and places is written down in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, insert, select

from countingroom.core.errors import NotFound
from countingroom.core.layout import UNMAPPED, Detector, LayoutChange, PartitionRecord
from countingroom.core.values import Scalar
from countingroom.storage import rows
from countingroom.storage.tables import detector, layout_change, partition, partition_excluded


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
    """Write a change down."""
    change = {"time_ns": now_ns, "who": by, "what": what, "partition": partition, "system": system}
    connection.execute(insert(layout_change).values(**change, detail=dict(detail or {})))


def changes(connection: Connection, where: ColumnElement[bool] | None, limit: int) -> tuple[LayoutChange, ...]:
    """Newest first."""
    query = select(layout_change)
    if where is not None:
        query = query.where(where)
    return rows.every(connection, query.order_by(layout_change.c.sequence.desc()).limit(limit), LayoutChange)


def detectors(connection: Connection) -> dict[str, Detector]:
    """Every detector, by name."""
    found = connection.execute(select(detector).order_by(detector.c.name)).mappings()
    return {row["name"]: rows.value(row, Detector, partition=row["partition"] or UNMAPPED) for row in found}


def partitions(connection: Connection, names: Sequence[str] | None = None) -> tuple[PartitionRecord, ...]:
    """Partitions whole, by name; NotFound for one of `names` that is not there."""
    inside: dict[str, list[str]] = {}
    for one in detectors(connection).values():
        inside.setdefault(one.partition, []).append(one.name)
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
                suggestion=f"there are {', '.join(found)}" if found else "create it",
            )
    return tuple(found[name] for name in names)
