"""The folder of a simulated serial line: its lock, its link, and the removal of folders that killed processes left."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from countingroom.core.errors import LinkError
from countingroom.core.simulated_line import FOLDER_PREFIX, LINK, LOCK, record

_LEAST_AGE_S = 10.0
"""A younger folder may be one that its owner has made and not locked yet."""


class LineFolder:
    """One folder, locked by this process from `take` to `remove`. Two experiments never share one."""

    def __init__(self, former: str) -> None:
        """`former`: the link of an earlier process of the same experiment, to be used again; or empty."""
        self._former = former
        self._folder: Path | None = None
        self._lock = -1

    def take(self) -> None:
        """Make the folder and lock it. The former one is used again unless another process has it."""
        if self._folder is not None:
            return
        sweep()
        former = Path(self._former).parent if self._former else None
        if former is not None and former.name.startswith(FOLDER_PREFIX) and self._lock_in(former):
            self._folder = former
            return
        made = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        if not self._lock_in(made):
            raise LinkError(f"cannot lock {made}")
        self._folder = made

    def link(self, terminal: int) -> str:
        """Let the link lead to this terminal; the address for the driver."""
        link, number = self._taken() / LINK, os.fstat(terminal)
        link.unlink(missing_ok=True)
        self._write(record(number.st_rdev, number.st_ino))
        link.symlink_to(os.ttyname(terminal))
        return str(link)

    def unlink(self) -> None:
        """The terminal is about to be closed: remove the link first, because its number is used again by others."""
        if self._folder is not None:
            (self._folder / LINK).unlink(missing_ok=True)
            self._write("")

    def remove(self) -> None:
        """Remove everything. May be called twice."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _taken(self) -> Path:
        if self._folder is None:
            raise LinkError("the folder of the line is not there")
        return self._folder

    def _write(self, text: str) -> None:
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def _lock_in(self, folder: Path) -> bool:
        """Whether this process now has the lock of that folder, which is its own."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return False
        self._lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if _locked(self._lock):
            return True
        os.close(self._lock)
        return False


def sweep() -> None:
    """Remove the folders of this user whose simulators were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):
            if not folder.is_symlink() and _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder: Path) -> bool:
    about = folder.stat()
    if about.st_uid != os.geteuid() or time.time() - about.st_mtime < _LEAST_AGE_S:
        return False
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return _locked(lock)
    finally:
        os.close(lock)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
