"""Counts of what the policy kept inside, in the file of the outbox: in one transaction with the records beside it.

An event is counted with its place in the stream, a state when it is not the one that was counted last. So a restart
counts nothing twice. What stands in the file of a state that stays inside is a keyed digest.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from countingroom.core.mirror.feed import WithheldCount
from countingroom.core.mirror.publication import WithheldRecord

_TABLES = (
    "CREATE TABLE IF NOT EXISTS withheld (kind TEXT PRIMARY KEY, records INTEGER NOT NULL, lines INTEGER NOT NULL,"
    " lines_withheld INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS counted (kind TEXT NOT NULL, key TEXT NOT NULL, mark TEXT NOT NULL,"
    " UNIQUE (kind, key))",
)
MOST_COUNTED = 20_000
"""Of so many states it is known what was counted last; of the oldest it is forgotten."""


class WithheldCounts:
    """In the transactions of the outbox. Errors are those of SQLite."""

    def __init__(self, file: sqlite3.Connection) -> None:
        """Adds its tables to a file that does not have them yet."""
        self._file = file
        for statement in _TABLES:
            file.execute(statement)

    def count(self, withheld: Iterable[WithheldRecord]) -> None:
        """Count records that stayed inside."""
        for one in withheld:
            if one.mark:
                where = (one.kind, one.key)
                known = self._file.execute("SELECT mark FROM counted WHERE kind = ? AND key = ?", where).fetchone()
                if known and known[0] == one.mark:
                    continue
                row = (*where, one.mark)
                self._file.execute("INSERT OR REPLACE INTO counted (kind, key, mark) VALUES (?, ?, ?)", row)
                self._file.execute(
                    "DELETE FROM counted WHERE rowid <= (SELECT max(rowid) FROM counted) - ?", (MOST_COUNTED,)
                )
            self.add(one.kind, records=1)

    def add(self, kind: str, *, records: int = 0, lines: int = 0, lines_withheld: int = 0) -> None:
        """Add to the counts of a kind."""
        self._file.execute(
            "INSERT INTO withheld (kind, records, lines, lines_withheld) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind) DO UPDATE SET records = records + excluded.records, lines = lines + excluded.lines,"
            " lines_withheld = lines_withheld + excluded.lines_withheld",
            (kind, records, lines, lines_withheld),
        )

    def all(self) -> tuple[WithheldCount, ...]:
        """The counts since the feed began, by kind."""
        rows = self._file.execute("SELECT kind, records, lines, lines_withheld FROM withheld ORDER BY kind")
        return tuple(
            WithheldCount(kind=kind, records=records, lines=lines, lines_withheld=lines_withheld)
            for kind, records, lines, lines_withheld in rows
        )

    def begin_anew(self) -> None:
        """Of a feed with a new id: what was counted before was told under the old one."""
        self._file.execute("DELETE FROM withheld")
