"""Makes a backup, and writes down what the database had in its moment, read past the product.

The arguments: the file for the rows, then those of `countingroom backup`.
"""

from __future__ import annotations

import pickle
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from countingroom.backup import take
from countingroom.cli.main import run
from countingroom.storage.snapshot import DatabaseSnapshot

Rows = Mapping[str, list[str]]
"""Table -> its rows as texts, sorted."""


def rows_of(database: str) -> Rows:
    """All tables of a SQLite file or of the PostgreSQL database at a URL."""
    if database.startswith("postgresql:"):
        with psycopg.connect(database) as server:
            names = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
            return {name: _sorted(server.execute(f'SELECT * FROM "{name}"'.encode())) for (name,) in names}
    with closing(sqlite3.connect(database)) as file:
        names = file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: _sorted(file.execute(f'SELECT * FROM "{name}"')) for (name,) in names}


def _sorted(rows: Any) -> list[str]:
    return sorted(map(repr, rows))


class WatchedSnapshot(DatabaseSnapshot):
    """Reads the rows while all writers of the database are kept out."""

    file: Path

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._url = url

    def release(self) -> None:
        if self._writer is not None:
            self.file.write_bytes(pickle.dumps(rows_of(self._url.removeprefix("sqlite:///"))))
        super().release()


def main() -> None:
    """Make the backup."""
    WatchedSnapshot.file = Path(sys.argv[1])
    take.DatabaseSnapshot = WatchedSnapshot  # type: ignore[misc]
    raise SystemExit(run(["backup", *sys.argv[2:]]))


if __name__ == "__main__":
    main()
