"""The log of a child process: a file of limited size, filled from a pipe by a thread.

The size and the number of lines each second are limited while the child runs. Characters on which a terminal acts are
written as escapes. The child never waits for its log: the
thread reads without pause, and what it cannot write, because there is too much or the disk is full, it drops.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from countingroom.core.line_limit import LINES_PER_S, LONGEST, LineLimit
from countingroom.core.plain_text import readable_line

LOG_BYTES = 5_000_000
_PIPE_BYTES = 1 << 20
_READ_BYTES = 1 << 18


class LogFile:
    """A log of at most twice `most_bytes`: the file, and its predecessor with `.old` in its name."""

    def __init__(self, path: Path, *, most_bytes: int = LOG_BYTES, lines_per_s: int = LINES_PER_S) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._lines_per_s = lines_per_s
        self._lock = threading.Lock()
        self._unwritten = 0

    def pipe(self) -> tuple[int, threading.Thread]:
        """The write end of a new pipe, which the caller closes, and the thread that reads the pipe to its end."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        ours, theirs = os.pipe()
        with suppress(OSError, AttributeError):  # a larger pipe absorbs bursts, but is not needed
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        thread = threading.Thread(target=self._fill, args=(ours,), name=f"log {self.path.name}", daemon=True)
        thread.start()
        return theirs, thread

    def _fill(self, source: int) -> None:
        limit = LineLimit(self._lines_per_s)
        try:
            while data := os.read(source, _READ_BYTES):
                self._write(limit.take(data, time.monotonic()))
            self._write(limit.rest())
        finally:
            os.close(source)

    def _write(self, lines: Iterable[bytes]) -> None:
        """Append lines. Without room on the disk they are dropped, and counted in the log later."""
        # Programs may write any bytes. Escape sequences would act on the terminal of a person who reads the log.
        data = b"".join(readable_line(line.rstrip(b"\r"))[:LONGEST] + b"\n" for line in lines)
        if not data:
            return
        with self._lock:
            try:
                handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                with os.fdopen(handle, "ab", buffering=0) as file:
                    if self._unwritten:
                        file.write(f"... {self._unwritten} bytes could not be written here\n".encode())
                        self._unwritten = 0
                    file.write(data)
                    size = file.tell()
                if size > self._most_bytes:
                    self.path.replace(self.path.with_suffix(".old.log"))
            except OSError:
                self._unwritten += len(data)
