# ruff: noqa: S608 (what is put into statements are names of tables and integers of our own)
"""The format of a DuckDB history file: a file of an earlier version is converted in place, a newer one is refused.

Format 1 (no table `format`): the times of device, reception and message as they are. Format 2: as differences from
`time_ns`, which DuckDB stores in few bits or none, and the table `latest`. Rows are moved a step at a time: each step
is one transaction, so a process that is killed goes on where it was, and the room of moved rows is used for the next.
"""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb

from countingroom.core.errors import ConfigurationError
from countingroom.history import duckdb_sql as sql

VERSION = 2
_STEP = 1_000_000
"""Rows that are moved in one transaction."""
_log = logging.getLogger(__name__)


def version(file: duckdb.DuckDBPyConnection) -> int:
    """The format of an open file; 0: the file is new."""
    tables = _tables(file)
    if "format" in tables and (rows := file.execute("FROM format").fetchall()):
        return int(rows[0][0])
    return 1 if tables & {"raw_recent", "earlier_raw_recent"} else 0


def is_halfway(file: duckdb.DuckDBPyConnection) -> bool:
    """Whether the conversion of the file has begun and not ended."""
    return bool(_tables(file) & _earlier().keys())


def _tables(file: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for (name,) in file.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall()}


def check(path: Path) -> int:
    """The format of the file; 0 if there is no file. ConfigurationError if the format is newer than this version of the
    product can read. A file that cannot be opened counts as present format; the later opening gives the reason."""
    if not path.exists():
        return 0
    try:
        with duckdb.connect(path, read_only=True) as file:
            found = version(file)
    except duckdb.Error:
        return VERSION
    refuse_newer(path, found)
    return found


def refuse_newer(path: Path, found: int) -> None:
    """ConfigurationError where the format is newer than VERSION."""
    if found > VERSION:
        raise ConfigurationError(
            f"the history file {path} has format {found}, made by a later version of countingroom; this version reads "
            f"formats up to {VERSION}. It is left as it is",
            source="history",
            code="newer_format",
            suggestion=f"install the version that wrote it, or move {path.name} away and put a backup in its place",
        )


def halfway(path: Path) -> ConfigurationError:
    """The error for a file that cannot be only read, because its conversion has not ended."""
    return ConfigurationError(
        f"the history file {path} is half converted from an earlier version",
        source="history",
        code="half_converted",
        suggestion="start the history once, which ends the conversion: countingroom serve EXPERIMENT.yaml history",
    )


def convert(writer: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Bring a file of format 1 to VERSION, with lines about the progress in the log."""
    if not is_halfway(writer):
        writer.begin()
        for statement in (*sql.add_columns(), *(f"DROP VIEW IF EXISTS {table}" for table in sql.SAMPLES)):
            writer.execute(statement)
        for moved, table in _earlier().items():
            writer.execute(f"ALTER TABLE {table} RENAME TO {moved}")
        writer.execute(sql.SCHEMA)
        writer.commit()
    left = {moved: _count(writer, moved) for moved in _earlier()}
    total = sum(left.values())
    _log.warning("%s is of an earlier version: %d readings are converted, in place; it can be interrupted", path, total)
    done = told = 0
    for moved, table in _earlier().items():
        while rows := _step(writer, moved, table):
            done += rows
            if (percent := 100 * done // max(1, total)) >= told + 5:
                told = percent
                _log.warning("%s: %d %% of the readings are converted", path, percent)
    writer.begin()
    for moved in _earlier():
        writer.execute(f"DROP TABLE {moved}")
    for statement in (*sql.fill_latest(), f"INSERT INTO format VALUES ({VERSION})"):
        writer.execute(statement)
    writer.commit()
    writer.execute("CHECKPOINT")
    _log.warning("%s: all readings are converted", path)


def sources(file: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Tables of samples of a file of format 1 -> what to read in their place, where it is opened for reading only."""
    found = file.execute("SELECT table_name, column_name FROM duckdb_columns()").fetchall()
    return {
        table: f"({sql.converted(table, {column for owner, column in found if owner == table})})"
        for table in _earlier().values()
    }


def _earlier() -> dict[str, str]:
    """Name of a table of the earlier format during the conversion -> its present name."""
    return {f"earlier_{table}_{part}": f"{table}_{part}" for table in sql.SAMPLES for part in ("settled", "recent")}


def _count(writer: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(writer.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _step(writer: duckdb.DuckDBPyConnection, moved: str, table: str) -> int:
    """Move the first rows; how many."""
    first = f"SELECT rowid FROM {moved} LIMIT {_STEP}"
    rows, last = writer.execute(f"SELECT count(*), max(rowid) FROM ({first})").fetchall()[0]
    if not rows:
        return 0
    writer.begin()
    writer.execute(f"INSERT INTO {table} BY NAME {sql.converted(moved)} WHERE rowid <= {last}")
    writer.execute(f"DELETE FROM {moved} WHERE rowid <= {last}")
    writer.commit()
    writer.execute("CHECKPOINT")
    return int(rows)
