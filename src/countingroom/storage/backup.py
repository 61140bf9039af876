"""Backup of a SQLite database in use. The file gets its final name only when the copy is complete and synced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from countingroom.core.errors import LinkError, RequestError


def backup(engine: Engine, path: Path) -> None:
    """Copy a SQLite database while it is in use."""
    if engine.dialect.name != "sqlite":
        raise RequestError(
            "a PostgreSQL database is backed up by its own tools",
            code="not_here",
            source="storage",
            suggestion="use pg_dump, or the server's continuous archiving",
        )
    import sqlite3

    part = path.with_name(f"{path.name}.part")
    raw = engine.raw_connection()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        source: Any = raw.driver_connection
        copy = sqlite3.connect(part)
        try:
            source.backup(copy)
        finally:
            copy.close()
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise LinkError(
            f"the backup cannot be written: {error}",
            code="storage_failed",
            source="storage",
            suggestion="name a file in a directory that can be written, with room for the database",
        ) from error
    finally:
        raw.close()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
