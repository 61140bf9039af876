"""Runs an external program for an agent, without a shell and in its own process group.

A cancelled program is ended together with all its children: first with SIGTERM, then with SIGKILL. Its input is one
JSON object; its output is read line by line, up to a number of lines each second. It also ends when the agent dies,
with all its children where a guardian watches it. What a program leaves running goes on; its output is dropped.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from countingroom.core.clock import Clock
from countingroom.core.errors import ConfigurationError
from countingroom.core.line_limit import LineLimit
from countingroom.core.process_groups import end_group
from countingroom.core.umask import umask_of_users
from countingroom.runs.agents.kinds.guardian import Guardian, alone, drain

ASKED_S = 2.0
"""Time between SIGTERM and SIGKILL."""
_DRAIN_S = 0.2
"""Time to read the last lines when a child keeps the output open."""
_CHUNK = 1 << 18
_PIPE = 1 << 20


async def run(
    argv: Sequence[str],
    clock: Clock,
    *,
    directory: Path,
    environment: Mapping[str, str],
    given: bytes,
    said: Callable[[str], None],
    guardian: Guardian | None = None,
) -> int:
    """Run a program to its end; returns its exit status, or the negative number of the signal that ended it.

    ConfigurationError when it cannot be started.
    """
    marked, first = await guardian.begin() if guardian else ({}, alone())
    async with _heard(said, clock) as (output, reading):
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                cwd=directory,
                env={**os.environ, **environment, **marked},
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                process_group=0,
                umask=umask_of_users(),
                preexec_fn=first,
            )
        except OSError as error:
            raise ConfigurationError(
                f"{argv[0]} cannot be run in {directory}: {error.strerror}", suggestion="see the agent's section"
            ) from error
        finally:
            os.close(output)
        try:
            await _give(process, given)
            status = await process.wait()
            await asyncio.wait([reading], timeout=_DRAIN_S)
            return status
        finally:
            if process.returncode is None:
                await end_group(process.pid, clock, ASKED_S)
                await process.wait()
            if guardian:
                guardian.over(process.pid)


async def _give(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin:
        with suppress(OSError):  # the program may close its input without reading it
            process.stdin.write(given)
            await process.stdin.drain()
        process.stdin.close()


@asynccontextmanager
async def _heard(said: Callable[[str], None], clock: Clock) -> AsyncGenerator[tuple[int, asyncio.Task[None]]]:
    """The write end of a pipe for the output, and the task that reads it.

    The pipe is made here and not by asyncio: a child of the program can keep the output open, and waiting for its end
    would then not return.
    """
    ours, theirs = os.pipe()
    with suppress(OSError, AttributeError):  # a larger pipe is only a help
        fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, _PIPE)
    output = asyncio.StreamReader(limit=_CHUNK)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(output), os.fdopen(ours, "rb")
    )
    reading = asyncio.create_task(_read(output, said, clock), name="output of a program")
    kept = os.dup(ours)
    try:
        yield theirs, reading
    finally:
        is_open = not reading.done()
        transport.close()
        reading.cancel()
        await asyncio.wait([reading])
        if is_open:  # a process that the program left running would die at its next line
            await drain(kept)
        else:
            os.close(kept)


async def _read(output: asyncio.StreamReader, said: Callable[[str], None], clock: Clock) -> None:
    # A program that writes without pause must not be slower for it, so lines beyond the limit are only counted.
    limit = LineLimit()
    while data := await output.read(_CHUNK):
        _say(limit.take(data, clock.monotonic()), said)
    _say(limit.rest(), said)


def _say(lines: Iterable[bytes], said: Callable[[str], None]) -> None:
    for line in lines:
        if text := line.decode(errors="replace").strip():
            said(text)
