"""Refuses a history file that is damaged. A file that is there is never taken for a new one."""

from __future__ import annotations

from pathlib import Path

from countingroom.core.errors import ConfigurationError

_MAGIC = b"DUCK"
_AT = 8
"""Where it stands in the file, after a checksum."""


def check(path: Path) -> None:
    """ConfigurationError when the file is there and is no DuckDB database, or when only its journal is there."""
    journal = path.with_name(f"{path.name}.wal")
    try:
        with path.open("rb") as file:
            head = file.read(_AT + len(_MAGIC))
    except FileNotFoundError:
        if journal.exists() and journal.stat().st_size:
            raise damaged(path, f"is missing, and its journal {journal.name} is there") from None
        return
    except OSError as error:
        raise damaged(path, f"cannot be read: {error}") from error
    if not head:
        raise damaged(path, "is empty: 0 bytes")
    if head[_AT:] != _MAGIC:
        raise damaged(path, "is not a DuckDB database")


def damaged(path: Path, why: str) -> ConfigurationError:
    """The error for a file that cannot be used as a history."""
    return ConfigurationError(
        f"the history file {path} {why}; it is left as it is",
        source="history",
        code="damaged",
        suggestion=f"move {path.name} and {path.name}.wal away, then put a backup in its place; without a backup a new "
        "history begins at the next start, with the readings that the bus still has",
    )
