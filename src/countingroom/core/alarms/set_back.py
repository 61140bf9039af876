"""Keeps the requested lengths of shelves and suppressions when the wall clock is set back. Pure.

The due date of an alarm that is out of service is a date, and stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from countingroom.core.alarms.chart import AlarmRecord


def set_back(record: AlarmRecord, by_ns: int) -> AlarmRecord:
    """The record with its ends moved back by `by_ns`; the same object if it has no such end."""
    shelf, ends_ns = record.shelf, record.suppression_ends_ns
    if shelf is None and ends_ns is None:
        return record
    if shelf is not None:
        shelf = replace(shelf, since_ns=shelf.since_ns - by_ns, until_ns=shelf.until_ns - by_ns)
    return replace(record, shelf=shelf, suppression_ends_ns=None if ends_ns is None else ends_ns - by_ns)
