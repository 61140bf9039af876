"""Notes when the output of jobs of Slurm was written. A job writes its log by itself: the keeper looks how long it is.

In `times` beside each `log` stand pairs of a place and a time, as the runner of programs writes them: what follows that
place was written at that time. The time is that of the last change of the file: lines between two looks get the later
one, and what was written while no keeper looked gets the time of its last line.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from countingroom.fleet.engines.log_files import cut_log
from countingroom.fleet.engines.process_log import MARK


class LogTimes:
    """The times of the logs of one node. Its methods may be called in several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: dict[Path, int] = {}
        """Folder of an instance -> the length of its log when it was last looked at."""

    def mark(self, folder: Path) -> None:
        """Note when what is new in the log of an instance was written."""
        with self._lock:
            self._mark(folder)

    def cut(self, folder: Path, most: int) -> None:
        """Where the log has more bytes, begin a new one, with times of its own."""
        with self._lock:
            self._mark(folder)
            if cut_log(folder / "log", most):
                (folder / "times").replace(folder / "times.1")
                self._sizes[folder] = 0

    def _mark(self, folder: Path) -> None:
        with suppress(FileNotFoundError):
            found = (folder / "log").stat()
            before = self._sizes.get(folder)
            if before is None:
                before = _last_place(folder / "times")
            if found.st_size < before:  # it was cut by another keeper
                before = 0
            if found.st_size > before:
                with (folder / "times").open("ab") as times:
                    # The second one is for the next keeper, and is followed by another of the same place.
                    times.write(MARK.pack(before, found.st_mtime_ns) + MARK.pack(found.st_size, found.st_mtime_ns))
            self._sizes[folder] = found.st_size


def _last_place(times: Path) -> int:
    """The length of the log when it was last looked at; 0: it never was."""
    with suppress(OSError), times.open("rb") as file:
        whole = os.fstat(file.fileno()).st_size // MARK.size
        if whole:
            file.seek((whole - 1) * MARK.size)
            return int(MARK.unpack(file.read(MARK.size))[0])
    return 0
