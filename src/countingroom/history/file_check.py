"""Reads what a history file of a backup has, to compare it with the original."""

from __future__ import annotations

from pathlib import Path

import duckdb

from countingroom.core.errors import LinkError


def rows(path: Path) -> tuple[dict[str, int], int]:
    """Rows of each table, and the sequence of the last reading. LinkError where the file cannot be opened. Its journal
    goes into it."""
    tables = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
    try:
        with duckdb.connect(path, config={"threads": 1, "memory_limit": "512MB"}) as file:
            sequence = int(file.execute("SELECT sequence FROM progress").fetchall()[0][0])
            names = [name for (name,) in file.execute(tables).fetchall()]
            counts = {name: int(file.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]) for name in names}  # noqa: S608
            return counts, sequence
    except duckdb.Error as error:
        raise LinkError(
            f"the history of the backup cannot be opened: {error}", source="backup", code="damaged"
        ) from error
