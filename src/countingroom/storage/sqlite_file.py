"""Makes the file of a SQLite database, and refuses one that is damaged.

A file that is there is never taken for a new database: SQLite itself starts empty over a file of 0 bytes, and users,
configurations and run book would be gone without a word.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from countingroom.core.errors import ConfigurationError

_HEAD = b"SQLite format 3\0"


def make_or_check(path: Path) -> None:
    """Make an empty database where there is no file. ConfigurationError when the file cannot be made, or is no
    database."""
    try:
        if path.exists():
            _check(path)
            return
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and journal.stat().st_size:
            raise damaged(path, f"is missing, and its journal {journal.name} is there")
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    except OSError as error:
        raise ConfigurationError(
            f"the database cannot be created: {error}",
            source="storage",
            suggestion="choose a file in a directory that is writable for this user",
        ) from error


def damaged(path: Path, why: str) -> ConfigurationError:
    """The error for a file that cannot be used as a database."""
    return ConfigurationError(
        f"the database {path} {why}; it is left as it is",
        source="storage",
        code="damaged",
        suggestion=f"move {path.name} and the files {path.name}-* away, then put a backup in its place (see the page "
        "'Back up the database'); without a backup a new, empty database is made at the next start",
    )


def _check(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(len(_HEAD))
    if not head:
        raise damaged(path, "is empty: 0 bytes")
    if head != _HEAD:
        raise damaged(path, "is not a SQLite database")


def _make(path: Path) -> None:
    # Under another name first: another process that starts at the same time must not find an unfinished file. The file
    # holds password hashes; `mkstemp` makes it readable for this user only, and SQLite gives its WAL the same mode.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(name)) as new:
            new.execute("PRAGMA user_version = 1")  # writes the first page
        with suppress(FileExistsError):  # the other process was faster
            os.link(name, path)
    finally:
        Path(name).unlink()
