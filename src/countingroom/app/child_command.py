"""Runs a command of countingroom as a child of this process, beside what the process does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Mapping, Sequence

from countingroom.bus.server.process import end_with
from countingroom.core.clock import timeout

_log = logging.getLogger(__name__)
_END_S = 5.0
"""Time for a command that is ended to remove what it has written."""
_KILLED_S = 1.0
"""Time in which one that is killed is gone, unless it waits for a disk."""
_LONGEST_REASON = 500


async def run_command(words: Sequence[str], *, environment: Mapping[str, str] | None = None, niceness: int = 0) -> str:
    """Why `countingroom WORDS` failed; empty: it did not. It ends with this process, and where this call is cancelled.

    `environment`: in addition to that of this process. What is secret belongs there: all users of the computer see the
    words. `niceness`: added to the priority, as by `nice`."""
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "countingroom", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            preexec_fn=end_with(os.getpid()),
        )
    except OSError as error:
        return f"no process can be started: {error}"
    if niceness:
        with contextlib.suppress(OSError):  # it has ended
            os.setpriority(os.PRIO_PROCESS, child.pid, niceness)
    try:
        _, said = await child.communicate()
    except asyncio.CancelledError:
        await _end(child)
        raise
    if not child.returncode:
        return ""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    _log.warning("countingroom %s failed: %s", " ".join(words[:2]), " ".join(lines))
    return (lines[0] if lines else f"it ended with status {child.returncode}")[:_LONGEST_REASON]


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with timeout(_END_S):
            await child.wait()
    except TimeoutError:  # one that hangs in a call to a disk ends when that answers
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            child.kill()
            async with timeout(_KILLED_S):
                await child.wait()
