"""A guardian ends the programs that are under way when the process of the agents is killed, with all their children.

Without it a program went on after a kill -9 of its agent, and the next configure started a second copy beside it.
One guardian, a small process, serves all agents of a process. It learns of a program from the program itself, before
its first instruction, so that the agents can be killed at no moment unseen. The next guardian waits until this one has
ended what was left. What an ended program left running is not touched.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from countingroom.bus.server.process import end_with
from countingroom.core.clock import timeout
from countingroom.runs.agents.kinds import guardian_process

READY_S = 10.0
"""Time in which the guardian of an earlier process must have ended its programs."""


class Guardian:
    """The guardian of the programs of one process. Its own process is started with the first program."""

    def __init__(self, lock: Path | None = None) -> None:
        """`lock`: the file by which the guardians of successive processes wait for one another; None: they do not."""
        self._lock = lock
        self._starting = asyncio.Lock()
        self._pipe: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self) -> tuple[dict[str, str], Callable[[], None] | None]:
        """What a program needs: its environment, and what it does before its first instruction."""
        mark = uuid4().hex
        if sys.platform != "linux":
            return {}, None
        async with self._starting:
            pipe = self._pipe = self._pipe or await self._start()
        line_end = f" {mark}\n".encode()

        def tell() -> None:
            with suppress(OSError):  # the guardian itself was killed
                os.write(pipe, b"+ %d" % os.getpid() + line_end)

        return {guardian_process.MARK: mark}, tell

    def over(self, pid: int) -> None:
        """A program has ended."""
        if self._pipe is not None:
            with suppress(OSError):
                os.write(self._pipe, f"- {pid}\n".encode())

    async def close(self) -> None:
        """Let the guardian end, and wait for it."""
        if self._pipe is not None and self._process:
            os.close(self._pipe)
            self._pipe = None
            with suppress(TimeoutError):
                async with timeout(READY_S):
                    await self._process.wait()

    async def _start(self) -> int:
        if self._lock:
            self._lock.parent.mkdir(parents=True, exist_ok=True)
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *_command("guard", str(self._lock or os.devnull)),
                stdin=theirs,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._process = process
        with suppress(TimeoutError):
            async with timeout(READY_S):
                await process.stdout.readline() if process.stdout else None
        return ours


async def drain(output: int) -> None:
    """Read the output of what a program left running, in a process of its own, until it ends or closes its output.

    Without a reader it would die at its next line. `output` is closed.
    """
    os.set_blocking(output, True)
    pid = _start_drain(output)
    ended, end = asyncio.Event(), os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(end, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(end)
        os.close(end)
        _reap(pid)


def _start_drain(output: int) -> int:
    # Not a process of asyncio: that must end before its loop, and this one outlives the agent.
    command = _command("drain")
    try:
        return os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output, 0)])
    finally:
        os.close(output)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-I", "-S", guardian_process.__file__, *words]


def alone() -> Callable[[], None] | None:
    """What a program without a guardian does before its first instruction: it ends with its parent."""
    return end_with(os.getpid())
