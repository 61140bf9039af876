"""The supervisor of a child process. It restarts the child after each end; the child never outlives its parent.

All children use one protocol of JSON lines. The first line of input is an object of parameters. The first line of
output is `{"ready": {...}}` or `{"refused": cause}`.
After that line the child may write ticks. A child that began to tick and stops is killed (watchdog.py).
The input ends when the parent ends, also by kill -9, and the child then ends. parent_watch.py is the child's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.app.child_process import ChildProcess, Launch, end, kill_group, launch
from countingroom.app.log_file import LogFile
from countingroom.app.watchdog import LOOK_S, TICK, Watchdog
from countingroom.core.clock import Clock, timeout
from countingroom.core.errors import Cause, CountingRoomError, LinkError
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.process_activity import activity_of
from countingroom.core.reload.messages import ReloadOrder, ReloadReply

FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 30.0
SETTLED_S = 30.0
"""A child that ran longer than this is restarted after the first pause."""
READY_S = 60.0
STOP_S = 5.0
"""Time between SIGTERM and SIGKILL."""
LOGGED_S = 1.0
"""Time for the last lines of an ended child to reach its log."""


class ChildRefused(CountingRoomError):
    """A child cannot start; the cause is in `causes`, where the child reported one."""

    code = "refused_to_start"


class ChildChange(Struct, frozen=True, kw_only=True):
    """The start or the end of a child."""

    name: str
    pid: int
    running: bool
    message: str
    again_in_s: float | None = None
    """Pause before the restart; None when there is none."""
    hangs: bool = False
    """Whether the process exists but does not make progress."""
    planned: bool = False
    """Whether it ended because a restart was requested."""


class _Answer(Struct):
    reply: ReloadReply


class _First(Struct):
    ready: dict[str, Any] | None = None
    refused: Cause | None = None


class Child:
    """One program: started, restarted with exponential back-off, stopped.

    `run` supervises until cancelled. It returns when the first start fails; `ready` then raises the error. After a
    successful first start `ready` returns the facts that the child reported.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        parameters: Callable[[], Mapping[str, Any]],
        clock: Clock,
        launch: Launch = launch,
        log: Path | None = None,
        stop_s: float = STOP_S,
        on_change: Callable[[ChildChange], None] = lambda change: None,
    ) -> None:
        self.name = name
        self._command = tuple(command)
        self._parameters = parameters
        self._clock = clock
        self._launch = launch
        self._log = LogFile(log) if log else None
        self._stop_s = stop_s
        self._on_change = on_change
        self._process: ChildProcess | None = None
        self._last_pid = 0
        self._hung = ""
        """Why the watchdog killed it; empty if it did not."""
        self._first: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._restarts: list[asyncio.Future[None]] = []
        """Futures of requested restarts that are not complete."""
        self._asked: dict[int, asyncio.Future[ReloadReply]] = {}

    @property
    def pid(self) -> int | None:
        """The process id; None while the child is not running."""
        return self._process.pid if self._process else None

    async def ready(self) -> dict[str, Any]:
        """The facts of the first ready message. Raises ChildRefused when the first start fails."""
        # Shielded: if a cancelled waiter cancelled the future, `done()` would say that the first start succeeded, and a
        # child that fails would be restarted again and again.
        return await asyncio.shield(self._first)

    async def run(self) -> None:
        """Restart the child after each end until cancelled, then stop it."""
        pause = FIRST_PAUSE_S
        while True:
            began = self._clock.monotonic()
            try:
                status = await self._live()
            except CountingRoomError as error:
                if not self._first.done():  # a failed first start is not retried: `ready` raises the error
                    self._never(error)
                    return
                reason = error.cause.message
            else:
                reason = self._hung or _ending(status)
                if self._restarts:
                    self._tell(running=False, message=f"{self.name} starts again", pid=self._last_pid, planned=True)
                    continue
                if not self._first.done():
                    self._never(self._never_ready(reason))
                    return
            if self._clock.monotonic() - began > SETTLED_S:
                pause = FIRST_PAUSE_S
            self._tell(running=False, message=f"{self.name} {reason}", pid=self._last_pid, again_in_s=pause)
            await self._clock.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE_S)

    async def ask(self, order: ReloadOrder, within_s: float) -> ReloadReply:
        """The answer of the child to an order. LinkError if it does not run, ends, or does not answer in time."""
        gone = LinkError(f"{self.name} does not answer", source=self.name, suggestion="wait until it runs, and repeat")
        process = self._process
        if process is None:
            raise gone
        self._asked[order.id] = asked = asyncio.get_running_loop().create_future()
        try:
            _pipes(process)[0].write(msgspec.json.encode(order) + b"\n")
            await asyncio.wait([asked], timeout=within_s)
        except OSError as error:
            raise gone from error
        finally:
            del self._asked[order.id]
        if asked.cancelled() or not asked.done():
            raise gone
        return asked.result()

    async def restart(self, within_s: float = READY_S) -> None:
        """End the child and start it again at once. Returns when it is ready. LinkError if it is not ready in time."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._restarts.append(started)
        try:
            async with timeout(within_s):
                if process := self._process:
                    process.terminate()
                    try:
                        async with timeout(self._stop_s):
                            await process.wait()
                    except TimeoutError:
                        kill_group(process)
                await started
        except TimeoutError as error:
            raise LinkError(
                f"{self.name} was not ready again within {within_s:g} s",
                source=self.name,
                suggestion=f"its own words are at the end of {self._log.path}" if self._log else "start it again",
            ) from error
        finally:
            if started in self._restarts:
                self._restarts.remove(started)

    async def _live(self) -> int:
        """Start the process and wait for its end. Returns the exit status."""
        self._hung = ""
        log, logging = self._log.pipe() if self._log else (None, None)
        try:
            process = await self._launch(self._command, log)
            self._last_pid = process.pid
        finally:
            if log is not None:
                os.close(log)
        # This start fulfils the requests up to here. Later ones may want parameters that this process has not got.
        asked = tuple(self._restarts)
        try:
            said = await self._shake_hands(process)
            self._process = process
            if not self._first.done():
                self._first.set_result(said)
            for started in asked:
                if not started.done():
                    started.set_result(None)
            self._restarts = [one for one in self._restarts if one not in asked]
            self._tell(running=True, message=f"{self.name} runs", pid=process.pid)
            if self._restarts:  # requested since it got its parameters, which may be out of date
                return 0
            watchdog = Watchdog(self._clock)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(process, watchdog), name=f"watchdog of {self.name}")
                await self._listen(process, watchdog)
                watching.cancel()
            return await process.wait()
        finally:
            self._process = None
            for asked in self._asked.values():
                asked.cancel()
            await end(process, self._stop_s)
            if logging:
                await asyncio.to_thread(logging.join, LOGGED_S)

    async def _shake_hands(self, process: ChildProcess) -> dict[str, Any]:
        into, out = _pipes(process)
        try:
            into.write(msgspec.json.encode(self._parameters()) + b"\n")
            async with timeout(READY_S):
                line = await out.readline()
            if not line:
                raise self._never_ready(_ending(await process.wait()))
            first = msgspec.json.decode(line, type=_First)
        except TimeoutError:
            raise self._never_ready(f"said nothing for {READY_S:g} s") from None
        except (msgspec.DecodeError, ValueError) as error:
            raise self._never_ready(f"said something else than ready: {error}") from error
        if first.ready is None:
            causes = (first.refused,) if first.refused else ()
            raise ChildRefused(f"{self.name} cannot begin", source=self.name, causes=causes)
        return first.ready

    async def _watch(self, process: ChildProcess, watchdog: Watchdog) -> None:
        """Report a child that makes no progress, and kill it if that lasts."""
        late = False
        while not self._hung:
            await self._clock.sleep(LOOK_S)
            watchdog.look(activity_of(process.pid))
            if watchdog.is_hung:
                self._hung = f"did not run for {watchdog.silent_s:.0f} s and was killed"
                kill_group(process)
            elif watchdog.is_late and not late:
                text = f"{self.name} has not run for {watchdog.silent_s:.0f} s; if that goes on it is started again"
                self._tell(running=True, message=text, pid=process.pid, hangs=True)
            elif late and not watchdog.is_late:
                self._tell(running=True, message=f"{self.name} runs again", pid=process.pid)
            late = watchdog.is_late

    async def _listen(self, process: ChildProcess, watchdog: Watchdog) -> None:
        _, out = _pipes(process)
        while line := await out.readline():
            if line == TICK:
                watchdog.tick()
                continue
            with contextlib.suppress(Malformed):  # a line that is none of ours
                reply = decode_json(line, _Answer).reply
                if (asked := self._asked.get(reply.id)) and not asked.done():
                    asked.set_result(reply)

    def _never(self, error: CountingRoomError) -> None:
        self._first.set_exception(error)
        # Marks the exception as retrieved. When another child failed before, `ready` is never awaited, and the event
        # loop would log "exception was never retrieved".
        self._first.exception()

    def _never_ready(self, reason: str) -> CountingRoomError:
        where = f"its own words are at the end of {self._log.path}" if self._log else ""
        return ChildRefused(f"{self.name} {reason} before it was ready", source=self.name, suggestion=where)

    def _tell(self, *, message: str, **facts: Any) -> None:
        self._on_change(ChildChange(name=self.name, message=message, **facts))


def _pipes(process: ChildProcess) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a child is started with both pipes")
    return process.stdin, process.stdout


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
