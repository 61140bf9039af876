"""The highest run number that was reserved on this computer, in a file beside the database.

A database that is restored from a backup has forgotten its last runs; the file has not. Its content is one number.
"""

from __future__ import annotations

import os
from pathlib import Path

from countingroom.storage.outbox import sync_folder


class HighestRun:
    """The file `highest-run` of a folder. Its methods wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "highest-run"

    def read(self) -> int:
        """The number; 0: none is known. OSError where the file cannot be read."""
        try:
            text = self._file.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdecimal() and len(text) < 20 else 0

    def write(self, number: int) -> None:
        """Write the number, synced to disk. A reader sees the old number or the new one. OSError."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        half = self._file.with_suffix(".part")
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            # Before the rename: otherwise the file can be empty after a power failure, and run numbers begin again.
            os.fsync(file.fileno())
        half.replace(self._file)
        sync_folder(self._file.parent)
