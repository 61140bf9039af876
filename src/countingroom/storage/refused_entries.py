"""Entries that the run book has refused for their content, each in a file of its own beside those that wait.

A file `refused-*.json` has the entry and the reason. It stays until a user stores it again or discards it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.core.errors import Cause, LinkError, NotFound
from countingroom.storage.outbox import sync_folder

MOST = 10_000
"""Entries that are kept; further ones are only logged."""

_PREFIX, _SUFFIX = "refused-", ".json"


class RefusedEntry(Struct, frozen=True, kw_only=True):
    """An entry that was set aside."""

    name: str = ""
    """Its name among the others."""
    time_ns: int
    """When it was refused."""
    reason: Cause
    entry: str
    """The entry, as the line of JSON that waited."""


class RefusedEntries:
    """The refused entries in one folder. Its methods wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def count(self) -> int:
        return len(self._paths())

    def add(self, entry: bytes, reason: Cause, time_ns: int) -> Path:
        """Keep an entry, synced to disk; returns its file. LinkError (`full`) where there are too many, or OSError."""
        if self.count() >= MOST:
            raise LinkError(f"{self.folder} has {MOST} refused entries", source="storage", code="full")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{_PREFIX}{time_ns:020d}-{uuid4().hex[:6]}{_SUFFIX}"
        kept = RefusedEntry(time_ns=time_ns, reason=reason, entry=entry.decode(errors="replace"))
        half = path.with_suffix(".part")
        try:
            descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(json.dumps(msgspec.to_builtins(kept), indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)
        sync_folder(self.folder)
        return path

    def list(self) -> tuple[RefusedEntry, ...]:
        """All entries, the oldest first."""
        return tuple(found for path in self._paths() if (found := _read(path)))

    def get(self, name: str) -> RefusedEntry:
        """One entry, by its name or the beginning or end of it; NotFound where none or several have it."""
        found = [one for one in self.list() if one.name.startswith(name) or one.name.endswith(name)]
        if len(found) != 1:
            which = f"{len(found)} refused entries are called" if found else "there is no refused entry"
            raise NotFound(
                f"{which} {name}", source="storage", suggestion="see the names: countingroom run refused list"
            )
        return found[0]

    def remove(self, name: str) -> None:
        """Delete an entry that is stored, or that a user discards."""
        (self.folder / f"{_PREFIX}{name}{_SUFFIX}").unlink(missing_ok=True)
        sync_folder(self.folder)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_PREFIX}*{_SUFFIX}"))


def _read(path: Path) -> RefusedEntry | None:
    name = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        return msgspec.convert({**content, "name": name}, RefusedEntry)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError, msgspec.ValidationError) as error:
        reason = Cause(
            code="unreadable",
            message=f"{path} cannot be read: {error}",
            source="storage",
            suggestion="look at the file, and discard it",
        )
        return RefusedEntry(name=name, time_ns=0, reason=reason, entry="")
