"""The folder of a simulated serial line: its link, and the record of the terminal in its lock."""

from __future__ import annotations

import os
from pathlib import Path

from countingroom.core.errors import LinkError
from countingroom.core.simulated_line import KIND, LINK, record
from countingroom.core.temporary_folder import TemporaryFolder


class LineFolder:
    """One folder, locked by this process from `take` to `remove`. Two experiments never share one."""

    def __init__(self, former: str) -> None:
        """`former`: the link of an earlier process of the same experiment, to be used again; or empty."""
        self._former = former
        self._folder: TemporaryFolder | None = None

    def take(self) -> None:
        """Make the folder and lock it. The former one is used again unless another process has it."""
        if self._folder is None:
            self._folder = TemporaryFolder(KIND, former=Path(self._former).parent if self._former else None)

    def link(self, terminal: int) -> str:
        """Let the link lead to this terminal; the address for the driver."""
        folder, number = self._taken(), os.fstat(terminal)
        link = folder.path / LINK
        link.unlink(missing_ok=True)
        _write(folder, record(number.st_rdev, number.st_ino))
        link.symlink_to(os.ttyname(terminal))
        return str(link)

    def unlink(self) -> None:
        """The terminal is about to be closed: remove the link first, because its number is used again by others."""
        if self._folder is not None:
            (self._folder.path / LINK).unlink(missing_ok=True)
            _write(self._folder, "")

    def remove(self) -> None:
        """Remove everything. May be called twice."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()

    def _taken(self) -> TemporaryFolder:
        if self._folder is None:
            raise LinkError("the folder of the line is not there")
        return self._folder


def _write(folder: TemporaryFolder, text: str) -> None:
    os.truncate(folder.lock, 0)
    os.pwrite(folder.lock, text.encode(), 0)
