"""Keeps the history file unchanged while a backup copies it.

DuckDB changes its file only when it moves the journal into it (a checkpoint). To the journal it only appends. So
without checkpoints, both cut to their lengths at one moment are the history at that moment; writing continues.
Another process must make the copy: if this one closed the file a second time, it would lose its lock on it (POSIX).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import duckdb

from countingroom.core.history_copy import CopyAnswer, CopyQuery

_NEVER = "1000 TB"
_SETTING = "checkpoint_threshold"


class FileHold:
    """Of one open file. Its methods are called with the lock of the store, between two transactions."""

    def __init__(self) -> None:
        self._id = ""
        self._usual = ""

    @property
    def holds(self) -> bool:
        """Whether no checkpoint may be made now."""
        return bool(self._id)

    def answer(self, writer: duckdb.DuckDBPyConnection, path: Path, query: CopyQuery) -> CopyAnswer:
        """Begin a copy, go on with it, or end it."""
        if query.ended:
            return self._end(writer, query.id)
        if self._id == query.id:
            return CopyAnswer()
        if self._id:
            return CopyAnswer(refused="another backup is copying the history")
        return self._begin(writer, path, query.id)

    def forget(self) -> None:
        """The file was opened again: what was copied may not belong together."""
        self._id = ""

    def _begin(self, writer: duckdb.DuckDBPyConnection, path: Path, id: str) -> CopyAnswer:
        with suppress(duckdb.TransactionException):  # a query is open: more of it is in the journal
            writer.execute("CHECKPOINT")
        self._usual = writer.execute(f"SELECT current_setting('{_SETTING}')").fetchall()[0][0]
        writer.execute(f"SET GLOBAL {_SETTING} = '{_NEVER}'")
        self._id = id
        journal = path.with_name(f"{path.name}.wal")
        tables = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"
        sequence, stored_ns = writer.execute("SELECT sequence, stored_ns FROM progress").fetchall()[0]
        return CopyAnswer(
            path=str(path.resolve()),
            file_bytes=path.stat().st_size,
            journal_bytes=journal.stat().st_size if journal.exists() else 0,
            sequence=sequence,
            stored_ns=stored_ns,
            rows={
                name: writer.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]  # noqa: S608 (a table of ours)
                for (name,) in writer.execute(tables).fetchall()
            },
        )

    def _end(self, writer: duckdb.DuckDBPyConnection, id: str) -> CopyAnswer:
        if self._id != id:
            return CopyAnswer(refused="the history did not keep its file unchanged all the time")
        self._id = ""
        writer.execute(f"SET GLOBAL {_SETTING} = '{self._usual}'")
        return CopyAnswer()
