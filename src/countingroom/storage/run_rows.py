"""Queries of runs: one query for each filter; every run is returned with its notes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, Text, cast, exists, or_, select

from countingroom.core.run_book import Run, RunFilter, RunNote
from countingroom.storage import rows
from countingroom.storage.run_tables import run, run_note

_CHUNK = 500
"""Number of runs whose notes are read with one query. SQLite limits the number of variables of a query."""


def chosen(wanted: RunFilter) -> Select[Any]:
    """The SQL query of a filter."""
    query = select(run)
    if wanted.partition:
        query = query.where(run.c.partition == wanted.partition)
    if wanted.from_ns is not None:
        query = query.where(run.c.asked_ns >= wanted.from_ns)
    if wanted.to_ns is not None:
        query = query.where(run.c.asked_ns < wanted.to_ns)
    if wanted.quality is not None:
        query = query.where(run.c.quality == wanted.quality)
    if wanted.open is not None:
        query = query.where(run.c.end.is_(None) if wanted.open else run.c.end.is_not(None))
    if wanted.flag is not None:
        query = query.where(_is_flagged(wanted.flag))
    if wanted.sequence:
        query = query.where(run.c.sequence == wanted.sequence)
    if wanted.before is not None:
        query = query.where(run.c.number < wanted.before)
    if wanted.text:
        query = query.where(_mentions(wanted.text))
    return query.order_by(run.c.number.desc()).limit(max(0, wanted.limit))


def read_runs(connection: Connection, query: Select[Any]) -> tuple[Run, ...]:
    """The runs of a query with their notes."""
    found = connection.execute(query).mappings().all()
    notes: dict[int, list[RunNote]] = {}
    for at in range(0, len(found), _CHUNK):
        numbers = [row["number"] for row in found[at : at + _CHUNK]]
        asked = select(run_note).where(run_note.c.run.in_(numbers)).order_by(run_note.c.sequence)
        for note in connection.execute(asked).mappings():
            notes.setdefault(note["run"], []).append(rows.value(note, RunNote))
    return tuple(rows.value(row, Run, notes=tuple(notes.get(row["number"], ()))) for row in found)


def _is_flagged(flag: str) -> Any:
    """Flags are JSON text without blanks; a quotation mark inside a text is escaped in it, so this finds keys only."""
    flags = cast(run.c.flags, Text)
    if not flag:
        return flags == "[]"
    return flags != "[]" if flag == "any" else flags.contains(f'"flag":"{flag}"', autoescape=True)


def _mentions(text: str) -> Any:
    lowered = text.lower()
    in_note = exists().where(run_note.c.run == run.c.number, run_note.c.text.icontains(lowered, autoescape=True))
    columns = (run.c.tag, run.c.requested_by, run.c.sequence, cast(run.c.members, Text))
    return or_(*(column.icontains(lowered, autoescape=True) for column in columns), in_note)
