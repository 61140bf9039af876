"""A running program: its process group, its output as a bounded log, and the JSON lines in its output.

A line that is a JSON object may have `progress` (0 to 1), `comment`, `counters`, `versions` and `error`. The program
ends when this process ends, even by kill -9. Processes that it leaves running are ended with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import psutil
from msgspec import Struct

from countingroom.bus.server.process import end_with
from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.line_limit import LineLimit
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.process_groups import end_group
from countingroom.core.results import LOG_BYTES
from countingroom.core.umask import umask_of_users
from countingroom.core.values import Scalar

T = TypeVar("T")
NUMBER = "COUNTINGROOM_RESULT"
"""Variable with the number of the result."""
OUTPUT = "COUNTINGROOM_OUTPUT"
"""Variable with the output folder. By it remaining processes of a program are found too."""
_TAIL = 1 << 18
_CHUNK = 1 << 16
_DRAIN_S = 0.5
"""Time to read the last lines where a child of the program keeps the output open."""
_SHOWN = 500
"""Letters of a line that are shown."""
MOST_SAID = 100
"""Counters and versions that a program may have."""


class _Line(Struct):
    """The known keys of a line of output."""

    progress: float | None = None
    comment: str = ""
    counters: dict[str, Scalar] = {}
    versions: dict[str, str] = {}
    error: str = ""


class ResultLog:
    """The log of a result: the beginning of the output, and its end where it is longer than LOG_BYTES."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO | None = path.open("ab")
        self._room = LOG_BYTES - _TAIL
        self._tail = b""
        self._left_out = 0
        self.bytes = 0
        self.error: OSError | None = None
        """Why the rest is not in the log."""

    def write(self, data: bytes) -> None:
        """Append output."""
        now, rest = data[: self._room], data[self._room :]
        self._room -= len(now)
        if now:
            self._append(now)
        if rest:
            kept = (self._tail + rest)[-_TAIL:]
            self._left_out += len(self._tail) + len(rest) - len(kept)
            self._tail = kept

    def close(self) -> None:
        """Append what was held back for the end."""
        if self._left_out:
            self._append(b"\n... %d bytes are left out here ...\n" % self._left_out)
        if self._tail:
            self._append(self._tail)
            self._tail = b""
        if self._file:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _append(self, data: bytes) -> None:
        if self.error or not self._file:
            return
        try:
            self._file.write(data)
            self._file.flush()
            self.bytes += len(data)
        except OSError as error:
            self.error = error


class Said:
    """The last values that a program reported."""

    def __init__(self) -> None:
        self.progress: float | None = None
        self.comment = ""
        self.last = ""
        self.error = ""
        self.counters: dict[str, Scalar] = {}
        self.versions: dict[str, str] = {}

    def take(self, line: str) -> None:
        """A line of output."""
        if not line:
            return
        try:
            told = decode_json(line, _Line) if line.startswith("{") else None
        except Malformed:
            told = None
        if told is None:
            self.last = line[:_SHOWN]
            return
        if told.progress is not None and told.progress == told.progress:
            self.progress = min(1.0, max(0.0, told.progress))
        self.comment = told.comment[:_SHOWN] or self.comment
        self.error = told.error[:_SHOWN] or self.error
        self.counters = _most({**self.counters, **told.counters})
        self.versions = _most({**self.versions, **told.versions})


class Program:
    """One run of a program."""

    def __init__(self, clock: Clock, log: ResultLog, said: Said, news: asyncio.Event) -> None:
        """`news` is set at each output."""
        self._clock = clock
        self._log = log
        self._said = said
        self._news = news
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(
        self, argv: Sequence[str], *, directory: Path, environment: Mapping[str, str], given: bytes
    ) -> None:
        """Start it; `given`: its input. ConfigurationError where it cannot be started."""
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=directory,
                env={**os.environ, **environment},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                process_group=0,
                umask=umask_of_users(),
                preexec_fn=end_with(os.getpid()),
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigurationError(
                f"{argv[0]} cannot be run in {directory}: {why}",
                source="results.programs",
                suggestion="see its command and directory in the description",
            ) from error
        self._reading = asyncio.create_task(self._read(process), name="output of a program")
        if process.stdin:
            with suppress(OSError):  # the program may close its input without reading it
                process.stdin.write(given)
            process.stdin.close()

    async def wait(self) -> int:
        """Wait for its end; the exit status, or the negative number of the signal that ended it."""
        if self._process is None or self._reading is None:
            raise LookupError("it was not started")
        status = await self._process.wait()
        await asyncio.wait([self._reading], timeout=_DRAIN_S)
        return status

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the program and its children; SIGKILL to what runs after `grace_s`."""
        if self._process is None or self._process.returncode is not None:
            return
        await end_group(self._process.pid, self._clock, grace_s)

    async def close(self) -> None:
        """End what it left running, and the reading of its output."""
        process, reading = self._process, self._reading
        if process:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if reading:
            reading.cancel()
            await asyncio.wait([reading])
        self._log.close()

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        limit = LineLimit()
        stream = process.stdout
        while stream and (data := await stream.read(_CHUNK)):
            self._log.write(data)
            for line in limit.take(data, self._clock.monotonic()):
                self._said.take(line.decode(errors="replace").strip())
            self._news.set()
        for line in limit.rest():
            self._said.take(line.decode(errors="replace").strip())


def end_left(output: Path) -> int:
    """Kill the remaining processes of a program after its watching process was killed. Returns their number."""
    count = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real == os.getuid() and process.environ().get(OUTPUT) == str(output):
                process.kill()
                count += 1
    return count


def _most(values: Mapping[str, T]) -> dict[str, T]:
    """So many of them, and of each text the beginning: they are in the state that is published."""
    first = list(values.items())[:MOST_SAID]
    return {name[:_SHOWN]: cast(T, one[:_SHOWN]) if isinstance(one, str) else one for name, one in first}
