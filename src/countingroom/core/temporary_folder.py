"""Temporary folders of this program: the one place that makes them, and that removes those of killed processes.

A folder `countingroom-KIND-…` has a file that its process keeps locked (`flock`) while it lives. Whenever a process
makes a folder, it removes the folders of the same user with a free lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from countingroom.core.errors import LinkError

PREFIX = "countingroom-"
LOCK = "lock"
LEAST_AGE_S = 10.0
"""A younger folder may be one that its owner has made and not locked yet."""


class TemporaryFolder:
    """One folder, locked by this process until `remove`. Two processes never share one."""

    def __init__(self, kind: str, *, former: Path | None = None) -> None:
        """`former`: the folder of an earlier process of the same experiment, used again unless another process has it
        or it is of another kind. LinkError where the folder cannot be locked; OSError where none can be made."""
        sweep()
        prefix = f"{PREFIX}{kind}-"
        lock = _lock_in(former) if former and former.name.startswith(prefix) else None
        if former and lock is not None:
            self.path = former
        else:
            self.path = Path(tempfile.mkdtemp(prefix=prefix))  # only this user may enter it
            lock = _lock_in(self.path)
            if lock is None:
                raise LinkError(f"cannot lock {self.path}")
        self.lock = lock
        """File descriptor of the locked file."""

    def remove(self) -> None:
        """Remove everything. May be called twice."""
        if self.lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self.lock)
            self.lock = -1


def sweep() -> None:
    """Remove the folders of dead processes of this user. A folder without a lock was made by another program."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if not folder.is_symlink() and folder.is_dir() and _is_left(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _lock_in(folder: Path) -> int | None:
    """The descriptor of the lock of that folder; None where another process or user has it."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        return None
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if _locked(lock):
        return lock
    os.close(lock)
    return None


def _is_left(folder: Path) -> bool:
    about = folder.stat()
    if about.st_uid != os.geteuid() or time.time() - about.st_mtime < LEAST_AGE_S:
        return False
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
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
