"""Refuses a backup that would fill a disk, before it begins and while it goes on.

The limit is the free space below which the experiment is not ready: a backup must not use up that space.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from countingroom.core.errors import RequestError

VERY_LOW = 0.05
"""Part of a disk that stays free, as in `bus/server/disk_watch.py`."""
_LOOK_BYTES = 16 << 20

Usage = Callable[[Path], "tuple[int, int, int]"]
"""Total, used and free bytes of the disk of a folder."""


class DiskFull(RequestError):
    """There is not enough room."""

    code = "disk_full"
    suggestion = "write it to another disk with --to, or make room: countingroom backup list shows old ones"


_INTO = "make room on this disk, or give a folder on another one with --into"


def check(folder: Path, needed: int, what: str, usage: Usage = shutil.disk_usage, *, is_restore: bool = False) -> None:
    """DiskFull where so many bytes more would leave less than 5 % of the disk."""
    total, _, free = usage(folder)
    left = free - needed
    if left < total * VERY_LOW:
        raise DiskFull(
            f"{what} needs {megabytes(needed)}, and the disk of {folder} has {megabytes(free)} free, of which "
            f"{megabytes(round(total * VERY_LOW))} must stay free",
            source="restore" if is_restore else "backup",
            suggestion=_INTO if is_restore else DiskFull.suggestion,
            evidence={"needed_bytes": needed, "free_bytes": free, "total_bytes": total},
        )


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


class CheckedFile:
    """A file that is written, with a look at the disk after each 16 MiB. `OSError` for no space becomes DiskFull."""

    def __init__(self, file: IO[bytes], folder: Path, usage: Usage = shutil.disk_usage) -> None:
        self._file = file
        self._folder = folder
        self._usage = usage
        self._next = 0
        self.written = 0

    def write(self, data: bytes) -> int:
        """Write all of it."""
        if self.written >= self._next:
            check(self._folder, 0, "the backup", self._usage)
            self._next = self.written + _LOOK_BYTES
        try:
            self._file.write(data)
        except OSError as error:
            raise no_space(error, self._folder) from error
        self.written += len(data)
        return len(data)

    def flush(self) -> None:
        """For what writes into it."""
        self._file.flush()


def no_space(error: OSError, folder: Path, *, is_restore: bool = False) -> Exception:
    """The error of a write: DiskFull where the disk has no space, a RequestError otherwise."""
    source, option = ("restore", "--into") if is_restore else ("backup", "--to")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        suggestion = _INTO if is_restore else DiskFull.suggestion
        return DiskFull(f"the disk of {folder} is full: {error.strerror}", source=source, suggestion=suggestion)
    where = f" ({error.filename})" if error.filename and Path(str(error.filename)) != folder else ""
    return RequestError(
        f"{folder} cannot be written: {error.strerror or error}{where}",
        source=source,
        code="not_writable",
        suggestion=f"choose a folder that the account of the experiment may write with {option}",
    )
