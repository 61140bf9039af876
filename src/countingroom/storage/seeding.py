"""Fills an empty database from the description, as one change. Later starts only add missing detectors."""

from __future__ import annotations

from sqlalchemy import Connection

from countingroom.core.placement import Seed
from countingroom.storage import importing, layout


def seed(connection: Connection, given: Seed, *, by: str, now_ns: int) -> bool:
    """Fill the database. Returns whether it was empty (without partitions and detectors)."""
    known = layout.detectors(connection)
    if known or layout.partitions(connection):
        news = {name: "" for name in given.detectors if name not in known}
        layout.create_detectors(connection, news, by=by, now_ns=now_ns)
        return False
    importing.put(connection, given.configurations, by=by, comment="first start", now_ns=now_ns)
    for one in given.partitions:
        layout.create_partition(connection, one.name, one.template, one.title, by=by, now_ns=now_ns)
    layout.create_detectors(connection, given.detectors, by=by, now_ns=now_ns)
    for one in given.partitions:
        if one.tag:
            layout.select_configurations(connection, one.name, one.tag, one.systems, by=by, now_ns=now_ns)
    return True
