"""The journal of the feed: what left in a time range, read from the outbox while its process runs or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from countingroom.core.errors import ConfigurationError
from countingroom.core.mirror.raw_records import Sort


class LeftRecord(Struct, frozen=True, kw_only=True):
    """A record of the journal."""

    sequence: int
    written_ns: int
    """When it was redacted and written."""
    kind: str
    key: str
    at_ns: int
    sort: Sort
    sent: bool
    """Whether the outside has it."""
    body: msgspec.Raw


class Journal(Struct, frozen=True, kw_only=True):
    """What the outbox has of a time range."""

    records: tuple[LeftRecord, ...]
    """The oldest first."""
    more: int
    """Further records that were not asked for."""
    begins_ns: int
    """When the oldest record in the outbox was written: it says nothing of what left before. 0: it is empty."""


def read_journal(path: Path, from_ns: int, to_ns: int, kinds: Sequence[str] = (), *, most: int = 10_000) -> Journal:
    """The records that were written from one time until before another. ConfigurationError where there is no outbox."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)) as file:
            return _read(file, from_ns, to_ns, kinds, most)
    except sqlite3.Error as error:
        raise ConfigurationError(
            f"the outbox {path} cannot be read: {error}",
            source="mirror.feed",
            code="outbox",
            suggestion="name the data folder of the experiment with --data; the feed makes it when it first runs",
        ) from error


def _read(file: sqlite3.Connection, from_ns: int, to_ns: int, kinds: Sequence[str], most: int) -> Journal:
    file.execute("BEGIN")  # one moment for all
    sent = file.execute("SELECT value FROM meta WHERE name = 'sent'").fetchone()
    begins = file.execute("SELECT coalesce(min(written_ns), 0) FROM feed").fetchone()[0]
    only = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
    which = f"FROM feed WHERE written_ns >= ? AND written_ns < ?{only}"
    values = (from_ns, to_ns, *kinds)
    (number,) = file.execute(f"SELECT count(*) {which}", values).fetchone()
    rows = file.execute(
        f"SELECT sequence, written_ns, kind, key, at_ns, sort, body {which} ORDER BY sequence LIMIT ?", (*values, most)
    )
    records = tuple(_records(rows, sent[0] if sent else 0))
    return Journal(records=records, more=number - len(records), begins_ns=begins)


def _records(rows: sqlite3.Cursor, sent: int) -> Iterator[LeftRecord]:
    for sequence, written_ns, kind, key, at_ns, sort, body in rows:
        yield LeftRecord(
            sequence=sequence,
            written_ns=written_ns,
            kind=kind,
            key=key,
            at_ns=at_ns,
            sort=Sort(sort),
            sent=sequence <= sent,
            body=msgspec.Raw(body or b"null"),
        )
