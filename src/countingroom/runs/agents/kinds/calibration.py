"""Calibration agent: runs an external program while the system records, and keeps its output in one folder per run.

The program writes to a file in that folder, so it does not depend on the agent: a restarted agent finds the program and
continues to read. A line that is a JSON object can have the keys `counters`, `comment` and `error`. When the program
ends by itself, the recording ends: with status 0 as a stop, otherwise in Error. `stop` ends it with SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError, NotAllowed
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.process_groups import end_group, is_alive
from countingroom.core.systems import ACTIVE, RECORDING
from countingroom.core.umask import umask_of_users
from countingroom.core.values import Scalar
from countingroom.runs.agents.kinds import program
from countingroom.runs.agents.kinds.guardian import Guardian
from countingroom.runs.agents.kinds.script import Script, briefed, failed, filled
from countingroom.runs.agents.port import Handle, Recovery, System
from countingroom.runs.agents.reports import counted
from countingroom.runs.sections.agent import CalibrationAgent, ScriptAgent

_log = logging.getLogger(__name__)

_LOOK_S = 0.1
_CHUNK = 1 << 18
"""Bytes of output that are read at once, in the event loop."""
_BEHIND = 1 << 24
_SHOWN = 1000
"""Characters of a line that are shown."""
OUTPUT, ORDER, PROGRAM = "output.jsonl", "order.json", "program.json"
"""Files in the folder of a run: output of the program, its input, and the identity of its process."""


class _Line(Struct):
    """The known keys of a line of output."""

    counters: dict[str, Scalar] = {}
    comment: str = ""
    error: str = ""


class _Job(Struct, kw_only=True):
    """A running program, possibly started by an earlier process of the agent."""

    pid: int
    began: float
    """Start time of the process from the operating system. A process with the same pid and another start time is a
    different one."""
    argv: list[str]
    folder: str
    run: int


class Calibration(System):
    """Runs a program while the system records."""

    def __init__(
        self,
        handle: Handle,
        section: CalibrationAgent,
        clock: Clock,
        *,
        directory: Path,
        results: Path,
        guardian: Guardian | None = None,
    ) -> None:
        super().__init__(handle)
        self._section = section
        self._clock = clock
        self._results = results
        self._directory = directory / section.directory
        steps = ScriptAgent(kind="script", configure=section.configure, directory=section.directory)
        self._script = Script(handle, steps, clock, directory=directory, guardian=guardian)
        self._job: _Job | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._read = 0
        self._last = deque[str](maxlen=5)
        self._stopping = False

    async def configure(self, step: str, parameters: Mapping[str, Scalar]) -> None:
        await self._script.configure(step, parameters)

    async def start(self, run: int) -> None:
        folder = self._results / f"run_{run:06d}"
        words, environment, given = briefed(self.handle, "start")
        own = {key: str(value) for key, value in self._section.environment.items()}
        argv = filled(self._section.command, {**words, "results": str(folder.resolve())})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ORDER).write_bytes(given)
            with (folder / OUTPUT).open("ab") as output, (folder / ORDER).open("rb") as told:
                self._child = subprocess.Popen(  # noqa: ASYNC220, S603  a list of arguments from the description
                    argv,
                    cwd=self._directory,
                    env={**os.environ, **own, **environment, "COUNTINGROOM_RESULTS": str(folder.resolve())},
                    stdin=told,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=umask_of_users(),
                )
        except OSError as error:
            raise ConfigurationError(
                f"{argv[0]} cannot be run in {self._directory}: {error.strerror}",
                source=f"systems.{self.handle.system}",
                suggestion="see the agent's section in the description",
            ) from error
        self._job = _Job(
            pid=self._child.pid, began=_began(self._child.pid), argv=argv, folder=str(folder.resolve()), run=run
        )
        (folder / PROGRAM).write_bytes(msgspec.json.encode(self._job))
        self._read = 0
        self._last.clear()

    async def stop(self) -> None:
        if job := self._job:
            self._stopping = True
            try:
                with suppress(ProcessLookupError):
                    os.killpg(job.pid, signal.SIGTERM)
                while self._runs(job):
                    await self._clock.sleep(_LOOK_S)
                self._over(job)
            except asyncio.CancelledError:
                await end_group(job.pid, self._clock, program.ASKED_S)
                raise
            finally:
                self._stopping = False

    async def abort(self) -> None:
        if job := self._job:
            self._job = None
            await end_group(job.pid, self._clock, program.ASKED_S)
            self._reap()
        await self._script.abort()

    async def reset(self) -> None:
        await self.abort()

    async def recover(self) -> Recovery | None:
        """Recording when its program still runs; otherwise Active with its last configuration."""
        found = self.handle.remembered
        if found is None or not found.run:
            return found
        try:
            said = (self._results / f"run_{found.run:06d}" / PROGRAM).read_bytes()
            job = decode_json(said, _Job)
        except (OSError, Malformed):
            job = None
        if job and self._runs(job):
            self._job = job
            return found
        chart = self.handle.chart
        active = next((state for state in chart.states if chart.to_common(state) == ACTIVE), ACTIVE)
        return Recovery(state=active, tag=found.tag, key=found.key)

    async def live(self) -> None:
        try:
            while True:
                await self._clock.sleep(_LOOK_S)
                if (job := self._job) and not self._stopping and self.handle.common == RECORDING:
                    self._hear(job)
                    if not self._runs(job):
                        self._ended(job)
        finally:
            if self._child and self._child.poll() is None:
                # The program outlives its agent, and the next agent finds it by its process id. `subprocess` warns when
                # it collects a Popen whose child it believes to run, so this one is marked as over.
                self._child.returncode = 0
                self._child = None

    # The program.

    def _runs(self, job: _Job) -> bool:
        if self._child and self._child.pid == job.pid:
            return self._child.poll() is None
        return _began(job.pid) == job.began

    def _ended(self, job: _Job) -> None:
        """Report the end of a program that ended by itself."""
        status = self._over(job)
        try:
            if status:
                self.handle.error(failed(self.handle, f"run {job.run}", job.argv, status, self._last).cause)
            elif self.handle.common == RECORDING:
                self.handle.follow("stop")
        except NotAllowed as error:
            _log.warning("systems.%s: %s", self.handle.system, error.cause)

    def _over(self, job: _Job) -> int:
        """Read the rest of the output; returns the exit status, or 0 when an earlier agent process was its parent."""
        while self._hear(job):
            pass
        self._job = None
        return self._reap()

    def _reap(self) -> int:
        child, self._child = self._child, None
        return (child.wait() if child else 0) or 0

    def _hear(self, job: _Job) -> bool:
        """Read new complete lines of the output; returns whether there may be more.

        A program may write without pause: at most _CHUNK is read at once, and where more than _BEHIND waits, only the
        last of it. All of it stays in the file.
        """
        with (Path(job.folder) / OUTPUT).open("rb") as output:
            waiting = output.seek(0, os.SEEK_END) - self._read
            if waiting > _BEHIND:
                self._read += waiting - _CHUNK
            output.seek(self._read)
            data = output.read(_CHUNK)
        whole, end, _ = data.rpartition(b"\n")
        is_full = len(data) == _CHUNK
        # A line that is longer than a chunk is read in pieces, which are no reports.
        self._read += len(whole) + 1 if end else len(data) if is_full else 0
        if end:
            self._take(line.decode(errors="replace").strip() for line in whole.split(b"\n"))
        return is_full

    def _take(self, lines: Iterable[str]) -> None:
        """Report what the lines say; of many counters and comments the last ones."""
        counters: dict[str, Scalar] = {}
        comment = ""
        for line in lines:
            if line:
                self._last.append(line[:_SHOWN])
            if not line.startswith("{"):
                continue
            try:
                said = decode_json(line, _Line)
            except Malformed:
                continue  # a result in another format: it stays in the file
            counters = counted(counters, said.counters)
            comment = said.comment or comment
            if said.error:
                with suppress(NotAllowed):
                    self.handle.error(said.error[:_SHOWN])
        if counters:
            self.handle.count(counters)
        if comment:
            self.handle.comment(comment)


def _began(pid: int) -> float:
    """Start time of the process with this pid; 0 when it does not run."""
    try:
        process = psutil.Process(pid)
        return process.create_time() if is_alive(process) else 0.0
    except psutil.NoSuchProcess:
        return 0.0
