"""Starts the fork server as a fork of this process, which imports all modules of the server and shares them with it.

Started by exec the server would import once more what this process has: half a second of CPU, and 20 MiB. If it
imported the rest by itself, after the fork, the two would share 12 MiB less: both would write to the same pages.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from setproctitle import setproctitle

from countingroom.app import fork_server
from countingroom.app.child_process import END_S, ENVIRONMENT
from countingroom.app.fork_server import ForkServerSetup
from countingroom.core.temporary_folder import TemporaryFolder

_MALLOC = {"MALLOC_ARENA_MAX": -8, "MALLOC_TRIM_THRESHOLD_": -1}
"""Environment variable -> the parameter of mallopt(3) that does the same in a process that runs already."""


@contextmanager
def forked_server(modules: Sequence[str], description: Path) -> Generator[Path | None]:
    """A running fork server that has imported these modules and read this description; its socket.

    None where this process already has threads: a lock that one of them holds would stay locked in the fork. The caller
    then starts the server by exec. In the fork this function raises SystemExit at the end of each forked process, so
    enter it at a place without cleanup.
    """
    _save_memory()
    fork_server.prepare(modules, str(description))
    if _threads() > 1:
        yield None
        return
    folder = TemporaryFolder("fork")
    parent = os.getpid()
    try:
        path = folder.path / "fork"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)
        lifeline, ours = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            _become_server(listener.detach(), lifeline, modules, description)
            raise SystemExit  # a process that the server has forked is at its end
        listener.close()
        os.close(lifeline)
        try:
            yield path
        finally:
            os.close(ours)  # the server then ends, and the processes that it started go on
            _wait(pid)
    finally:
        if os.getpid() == parent:
            folder.remove()


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _become_server(listener: int, lifeline: int, modules: Sequence[str], description: Path) -> None:
    """Serve, with what an exec would have given: a process group, and no file of the parent."""
    os.setpgid(0, 0)  # Ctrl-C then reaches only the parent, which stops its children in order
    os.dup2(lifeline, 0)
    for descriptor in [int(one.name) for one in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != listener:
            with suppress(OSError):  # the one that has read this folder
                os.close(descriptor)
    setproctitle(f"{sys.executable} -m {fork_server.__name__}")
    fork_server.run(ForkServerSetup(socket=listener, modules=tuple(modules), description=str(description)))


def _save_memory() -> None:
    """Set ENVIRONMENT here and for all forks, unless the user has, before a library is loaded that reads it: OpenBLAS
    starts threads. The C library reads its part at exec only."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it, others do not
    for name, value in ENVIRONMENT.items():
        if name not in os.environ:
            os.environ[name] = value
            if mallopt and name in _MALLOC:
                mallopt(_MALLOC[name], int(value))


def _wait(pid: int) -> None:
    """Wait for the end of the server, and kill it after END_S."""
    ending = os.pidfd_open(pid)
    try:
        if not select.select([ending], [], [], END_S)[0]:
            signal.pidfd_send_signal(ending, signal.SIGKILL)
        os.waitpid(pid, 0)
    finally:
        os.close(ending)
