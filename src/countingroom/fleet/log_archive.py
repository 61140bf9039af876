"""Keeps the end of the log of a container that is removed: why one ended is often asked only after it was replaced."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from countingroom.core.fleet.specs import InstanceId
from countingroom.core.times import format_time
from countingroom.fleet.engines.port import LogLine

MOST_KEPT = 4000
"""Lines of each instance, of all its earlier containers together."""
_LONGEST = 2000


class LogArchive:
    """The logs of one node, a file for each instance below a folder. Its methods wait for the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def keep(self, id: InstanceId, lines: Sequence[LogLine], container: str) -> None:
        """Append what a container has written. A full disk loses it."""
        if not lines:
            return
        end_ns = lines[-1].time_ns
        ended = LogLine(end_ns, f"── end of the log of {container}, {format_time(end_ns)} ──")
        with self._lock:
            all_of_it = [*self._read(id), *lines, ended][-MOST_KEPT:]
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self._file(id)
            new = file.with_name(f"{file.name}.new")
            text = "".join(f"{line.time_ns} {line.text[:_LONGEST]}\n" for line in all_of_it)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
                opened.write(text)
            new.replace(file)

    def last(self, id: InstanceId, most: int, since_ns: int = 0) -> list[LogLine]:
        """The last lines of earlier containers of an instance."""
        with self._lock:
            found = [line for line in self._read(id) if line.time_ns >= since_ns]
        return found[-most:] if most > 0 else []

    def _read(self, id: InstanceId) -> list[LogLine]:
        try:
            text = self._file(id).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        found: list[LogLine] = []
        for line in text.split("\n"):
            time_ns, _, rest = line.partition(" ")
            if time_ns.isdigit():
                found.append(LogLine(int(time_ns), rest))
        return found

    def _file(self, id: InstanceId) -> Path:
        return self._folder / f"{id.service}.{id.index}.log"
