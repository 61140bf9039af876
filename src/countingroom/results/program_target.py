"""One program of the description as a target of commands: `start` and `stop`, its state, and the end of its result."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from countingroom.bus.command_request import CommandHandler, CommandRequest, Completion, find_handler, from_rows
from countingroom.bus.command_server import CommandServer
from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock, timeout, within
from countingroom.core.commands.results import RESULTS
from countingroom.core.errors import Cause, Conflict, CountingRoomError
from countingroom.core.messages import Command, EventKind
from countingroom.core.policy import Permission
from countingroom.core.results import NewResult, ProgramState, ResultEnd, ResultState, StoredResult, program_key
from countingroom.core.retry import Retry, edge_log
from countingroom.core.values import Scalar
from countingroom.results import collecting, start_checks
from countingroom.results.description import ResultProgram
from countingroom.results.endings import Facts, ending, interrupted, summary
from countingroom.results.program import NUMBER, OUTPUT, Program, ResultLog, Said
from countingroom.results.store import LOG, FileStore

_log = logging.getLogger(__name__)

_WORD = re.compile(r"\{([A-Za-z0-9_\-]+)\}")

_TELL_S = 0.5
"""Between two published states of a running program."""
_LAST_S = 3.0
"""The time to record a result when this process is stopped; the next one does it otherwise."""
_RETRY_S = 2.0
_FAILED = 3
"""Severity of the event of a result that failed."""


class ProgramPlace(Struct, frozen=True, kw_only=True):
    """What all programs use."""

    bus: Bus
    clock: Clock
    store: FileStore
    publisher: Publisher
    directory: Path
    version: str


class _Job(Struct, eq=False, kw_only=True):
    """A running program."""

    result: StoredResult
    program: Program
    log: ResultLog
    said: Said
    news: asyncio.Event
    stop: asyncio.Event
    stopped_by: str = ""
    end: ResultEnd | None = None
    """How it ended, while that is not recorded yet."""


class ProgramTarget:
    """One program, which runs at most once at a time."""

    def __init__(self, name: str, section: ResultProgram, place: ProgramPlace) -> None:
        self.section = section
        self.server: CommandServer | None = None
        self._name = name
        self._place = place
        self._handlers = from_rows(RESULTS, {"start": self._start, "stop": self._stop})
        self._job: _Job | None = None
        self._is_starting = False
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._last: StoredResult | None = None

    @property
    def number(self) -> int:
        """The result that it works on; 0: none."""
        return self._job.result.number if self._job else 0

    # What the command server asks.

    def handler(self, command: Command) -> CommandHandler:
        return find_handler(self._handlers, command, self._name)

    def permission(self, command: Command) -> Permission:
        return RESULTS[command.action].permission

    def present(self, command: Command) -> str:
        return "running" if self._job else "idle"

    def refusal(self, request: CommandRequest) -> Cause | None:
        return None

    async def settle(self) -> Mapping[str, int]:
        self.publish()
        await self._place.publisher.flush()
        revision = self._place.publisher.revision
        return {"state": revision} if revision else {}

    def publish(self) -> None:
        """Publish its state."""
        job, last, section = self._job, self._last, self.section
        state = ProgramState(
            program=self._name,
            title=section.title or self._name,
            role=section.role,
            parameters=dict(section.parameters),
            devices=tuple(section.devices),
            partitions=tuple(section.partitions),
            time_limit_s=section.time_limit,
            last=last.number if last else 0,
            last_state=last.state.value if last else "",
        )
        if job:
            said = job.said
            state = msgspec.structs.replace(
                state,
                result=job.result.number,
                since_ns=job.result.started_ns,
                by=job.result.by,
                progress=said.progress,
                comment=said.comment,
                said=said.last,
                counters=said.counters,
                log_bytes=job.log.bytes,
            )
        self._place.publisher.state(program_key(self._name), state)

    def tell(self, ended: StoredResult) -> None:
        """Record the end of a result as an event, and publish it."""
        self._last = ended
        is_good = ended.state in (ResultState.COMPLETED, ResultState.STOPPED)
        if self.server:
            self.server.record(
                EventKind.NOTE,
                summary(ended.number, ended.state, (*ended.documents, *ended.arrays), ended.problems),
                action="result",
                severity=0 if is_good else _FAILED,
                data={"result": ended.number, "state": ended.state.value},
                cause=None if is_good else ended.cause,
            )
        self.publish()

    # Commands.

    async def _start(self, request: CommandRequest) -> Completion:
        if self._job or self._is_starting:
            raise Conflict(
                f"{self._name} runs already{f', for result {self.number}' if self._job else ''}",
                source=f"results.{self._name}",
                suggestion="wait for its end, or stop it",
                code="runs_already",
            )
        parameters = start_checks.parameters(self._name, self.section, request.text("parameters", ""))
        self._is_starting = True
        try:
            await start_checks.check_needs(self._name, self.section, self._place.bus)
        except BaseException:
            self._is_starting = False
            raise
        return self._begin(request.by, request.text("comment", ""), parameters)

    async def _stop(self, request: CommandRequest) -> Completion:
        job = self._job
        if job is None:
            raise Conflict(
                f"{self._name} does not run", source=f"results.{self._name}", suggestion="there is nothing to stop"
            )
        job.stopped_by = request.by
        job.stop.set()
        return None

    # The program.

    async def _begin(self, by: str, comment: str, parameters: dict[str, Scalar]) -> Mapping[str, Scalar]:
        """Record the result and start the program. Returns the rest of the command."""
        place, section = self._place, self.section
        try:
            new = NewResult(
                program=self._name,
                title=section.title or self._name,
                by=by,
                started_ns=place.clock.now_ns(),
                comment=comment[:2000],
                versions={"countingroom": place.version, **section.versions},
                configuration=self._configuration(parameters),
            )
            result = await place.store.begin(new)
            try:
                self._job = job = await self._started(result, parameters)
            except Exception as error:
                cause = error.cause if isinstance(error, CountingRoomError) else _disk(self._name, error)
                end = ResultEnd(state=ResultState.FAILED, ended_ns=place.clock.now_ns(), cause=cause)
                self.tell(await place.store.end(result.number, end))
                raise
        finally:
            self._is_starting = False
        self._jobs.put_nowait(job)
        return {"result": result.number}

    def _configuration(self, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
        section = self.section
        return {
            "command": list(section.command),
            "directory": section.directory,
            "environment": sorted(section.environment),  # names alone: values may be passwords, and viewers see this
            "parameters": dict(parameters),
        }

    async def _started(self, result: StoredResult, parameters: dict[str, Scalar]) -> _Job:
        place, section = self._place, self.section
        folder = place.store.folder(result.number)
        await asyncio.to_thread(_set_aside, folder)
        output = folder / "output"
        await asyncio.to_thread(output.mkdir, parents=True, exist_ok=True)
        said, news = Said(), asyncio.Event()
        log = ResultLog(folder / LOG)
        words = {"output": str(output), "result": str(result.number), "python": sys.executable}
        words |= {name: _written(value) for name, value in parameters.items()}
        made = Program(place.clock, log, said, news)
        own = {name: _written(value) for name, value in section.environment.items()}
        given = {"result": result.number, "program": self._name, "output": str(output), "parameters": parameters}
        try:
            await made.start(
                [_filled(one, words) for one in section.command],
                directory=place.directory / section.directory,
                environment={**own, OUTPUT: str(output), NUMBER: str(result.number)},
                given=msgspec.json.encode(given),
            )
        except BaseException:
            log.close()
            with suppress(OSError):
                output.rmdir()
            raise
        return _Job(result=result, program=made, log=log, said=said, news=news, stop=asyncio.Event())

    async def run(self) -> None:
        """Watch each program that was started, until cancelled."""
        try:
            while True:
                job = await self._jobs.get()
                await self._watch(job)
        finally:
            if job := self._job:
                await self._give_up(job)

    async def _watch(self, job: _Job) -> None:
        telling = asyncio.create_task(self._tell(job))
        try:
            status, too_long_s = await self._until_ended(job)
            await job.program.close()
        finally:
            telling.cancel()
        await self._record(job, status, too_long_s)
        self._job = None
        self.publish()

    async def _until_ended(self, job: _Job) -> tuple[int, float]:
        """(exit status, the time limit where it was reached)."""
        waiting = asyncio.create_task(job.program.wait())
        stopping = asyncio.create_task(job.stop.wait())
        too_long_s = 0.0
        try:
            try:
                async with within(self._place.clock, self.section.time_limit):
                    await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            except TimeoutError:
                too_long_s = self.section.time_limit
            if not waiting.done():
                await job.program.stop(self.section.grace)
            return await waiting, too_long_s
        finally:
            for one in (waiting, stopping):
                one.cancel()

    async def _tell(self, job: _Job) -> None:
        """Publish what the program says, as it says it."""
        self.publish()
        while True:
            await job.news.wait()
            job.news.clear()
            self.publish()
            await self._place.clock.sleep(_TELL_S)

    async def _record(self, job: _Job, status: int, too_long_s: float) -> None:
        """Keep what the program wrote, and record how it ended."""
        place, said = self._place, job.said
        ended_ns = place.clock.now_ns()
        report = edge_log(_log, f"results: the end of {self._name} waits", f"results: the end of {self._name} is kept")
        retry = Retry(place.clock, report, pause_s=_RETRY_S, longest_s=60.0)
        problems: list[str] = [f"the rest of the log is not kept: {job.log.error.strerror}"] if job.log.error else []
        not_kept = problems[0] if problems else ""
        try:
            found = await retry.run(lambda: self._collected(job.result.number))
            problems += found.problems
            not_kept = not_kept or ("the disk is full" if found.disk_full else "")
        except Exception as error:
            _log.exception("results: the output of %s could not be kept", self._name)
            problems.append(not_kept := collecting.problem_of(error))
        facts = Facts(
            program=self._name,
            status=status,
            stopped_by=job.stopped_by,
            too_long_s=too_long_s,
            error=said.error,
            last=said.last,
            not_kept=not_kept,
        )
        state, cause = ending(facts)
        end = ResultEnd(
            state=state,
            ended_ns=ended_ns,
            cause=cause,
            problems=tuple(problems),
            versions=said.versions,
            counters=said.counters,
        )
        job.end = end
        self.tell(await retry.run(lambda: place.store.end(job.result.number, end)))

    async def _interrupted(self, job: _Job) -> ResultEnd:
        found = await self._collected(job.result.number)
        return ResultEnd(
            state=ResultState.INTERRUPTED,
            ended_ns=self._place.clock.now_ns(),
            cause=interrupted(self._name, "countingroom was stopped"),
            problems=found.problems,
            versions=job.said.versions,
            counters=job.said.counters,
        )

    async def _collected(self, number: int) -> collecting.Collected:
        store = self._place.store
        return await collecting.collect(store, number, store.folder(number) / "output", self.section.collect)

    async def _give_up(self, job: _Job) -> None:
        """This process ends: so does the program. Where its end cannot be recorded in time, the next process does."""
        await job.program.stop(min(self.section.grace, 1.0))
        await job.program.close()
        store, number = self._place.store, job.result.number
        self._job = None
        try:
            async with timeout(_LAST_S):
                self.tell(await store.end(number, job.end or await self._interrupted(job)))
        except (TimeoutError, CountingRoomError, OSError) as error:
            _log.warning("results: the end of result %d is recorded at the next start: %s", number, error)


def _set_aside(folder: Path) -> None:
    """Move an existing folder away. After a restore it belongs to a result that this database does not have, and must
    not become a part of the new result."""
    if folder.exists():
        folder.replace(folder.with_name(f"other-{folder.name}-{uuid4().hex[:8]}"))


def _filled(text: str, words: Mapping[str, str]) -> str:
    """The argument with each `{word}` that is known replaced."""
    return _WORD.sub(lambda found: words.get(found[1], found[0]), text)


def _written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _disk(name: str, error: Exception) -> Cause:
    why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return Cause(
        code="not_started",
        message=f"{name} could not be started: {why}",
        source=f"results.{name}",
        suggestion="see the disk of the data folder and the log of the console",
    )
