"""Fills an empty database from the description, as one change. Later starts only add missing detectors.

A detector that the description renames is not added: applying the description renames the one that is there.
"""

from __future__ import annotations

from sqlalchemy import Connection

from countingroom.core.apply_description.contents import described_by
from countingroom.core.placement import Seed
from countingroom.storage import importing, layout
from countingroom.storage.applying import record_applied


def seed(connection: Connection, given: Seed, *, by: str, now_ns: int) -> bool:
    """Fill the database. Returns whether it was empty (without partitions and detectors)."""
    known = layout.detectors(connection)
    if known or layout.partitions(connection):
        renamed = {new for new, old in given.renames.systems.items() if old in known}
        news = {name: "" for name in given.detectors if name not in known and name not in renamed}
        layout.create_detectors(connection, news, by=by, now_ns=now_ns)
        return False
    importing.put(connection, given.configurations, by=by, comment="first start", now_ns=now_ns)
    for one in given.partitions:
        layout.create_partition(connection, one.name, one.template, one.title, by=by, now_ns=now_ns)
    layout.create_detectors(connection, given.detectors, by=by, now_ns=now_ns)
    for one in given.partitions:
        if one.tag:
            layout.select_configurations(connection, one.name, one.tag, one.systems, by=by, now_ns=now_ns)
    record_applied(connection, described_by(given), by=by, now_ns=now_ns)
    return True
