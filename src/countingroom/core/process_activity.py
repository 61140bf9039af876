"""What the kernel tells about another process: whether it is stopped, sleeps or waits for a processor; its CPU time.

From it a supervisor sees why a process does not answer: one that hangs can be ended soon, one that merely waits for a
processor of a busy machine must not. Linux only; elsewhere the activity is unknown.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

STOPPED = "T"
"""Stopped by a signal, SIGSTOP for example; no load brings a process into this state."""
ASLEEP = "S"
"""Its first thread waits for something, and not for a processor or a disk."""
_STATE, _USER, _SYSTEM = 0, 11, 12
"""Fields of /proc/PID/stat behind the name of the program (proc(5))."""


class ProcessActivity(Struct, frozen=True, kw_only=True):
    """One look at a process."""

    state: str
    """Of its first thread, one letter as in proc(5)."""
    thread_s: float
    """CPU time of its first thread, s. The event loop runs in that thread."""
    process_s: float
    """CPU time of all its threads, s."""


def activity_of(pid: int, proc: Path = Path("/proc")) -> ProcessActivity | None:
    """The present activity of a process; None where the system does not tell it, or the process is gone."""
    try:
        process = _fields(proc / str(pid) / "stat")
        thread = _fields(proc / str(pid) / "task" / str(pid) / "stat")
        return ProcessActivity(state=thread[_STATE], thread_s=_cpu_s(thread), process_s=_cpu_s(process))
    except (OSError, ValueError, IndexError):
        return None


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal; False where the system does not tell it."""
    activity = activity_of(pid)
    return activity is not None and activity.state == STOPPED


def _fields(file: Path) -> list[str]:
    # The name of the program stands in brackets, and may itself have spaces and brackets.
    return file.read_text(errors="replace").rpartition(")")[2].split()


def _cpu_s(fields: list[str]) -> float:
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK")
