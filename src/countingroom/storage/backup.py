"""Backup of a SQLite database in use. The file gets its final name only when the copy is complete and synced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from countingroom.core.errors import LinkError, RequestError


def backup(engine: Engine, path: Path) -> None:
    """Copy a SQLite database as of one moment. RequestError for PostgreSQL, LinkError when it cannot be written."""
    if engine.dialect.name != "sqlite":
        raise RequestError(
            "backup refused: the database is PostgreSQL, which has its own tools for it",
            code="not_here",
            source="storage",
            suggestion="use pg_dump, or the continuous archiving of the server",
        )
    import sqlite3

    part = path.with_name(f"{path.name}.part")
    raw = engine.raw_connection()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)  # it contains password hashes, and sqlite3 would create it readable for other users
        source: Any = raw.driver_connection
        copy = sqlite3.connect(part)
        try:
            source.backup(copy)
        finally:
            copy.close()
        # First the content, then the name, then the directory: after a power cut there is either the old backup or the
        # complete new one. Without the sync of the directory the new name itself could be lost.
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise LinkError(
            f"the backup cannot be written: {error}",
            code="storage_failed",
            source="storage",
            suggestion="choose a writable directory with enough free space for the database",
        ) from error
    finally:
        raw.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
