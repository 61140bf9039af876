"""Starts the child processes of supervisor.py: by the fork server if one runs, otherwise by exec."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from countingroom.app.fork_server import ForkRequest, ForkServerSetup
from countingroom.core.clock import timeout
from countingroom.core.temporary_folder import TemporaryFolder

LINE_LIMIT = 1 << 24
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""Environment of each child, unless the user has set these. They save memory: no child computes with matrices, and a
heap for each thread is of no use to processes that wait most of the time."""
PID_S = 20.0
"""Time for the fork server to import its modules and to start a process."""
KILLED_S = 30.0
"""Time for a process to end after SIGKILL."""
END_S = 5.0
"""Time for the fork server to end, before it is killed."""
_log = logging.getLogger(__name__)


class ChildProcess(Protocol):
    """A running child with pipes for input and output, as asyncio's `Process`. Its group has its own process id."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> asyncio.StreamWriter | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def returncode(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


Launch = Callable[[Sequence[str], int | None], Awaitable[ChildProcess]]
"""Starts a command, with the file descriptor of its standard error or None for the parent's."""


async def launch(
    command: Sequence[str],
    errors: int | None = None,
    inherited: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """Start a command by exec. `inherited`: further file descriptors that it keeps. `environment`: in place of that of
    this process."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        pass_fds=inherited,
        env=ENVIRONMENT | (os.environ if environment is None else dict(environment)),
        limit=LINE_LIMIT,
        process_group=0,  # Ctrl-C then reaches only the parent, which stops its children in order
    )


async def end(process: ChildProcess, stop_s: float) -> None:
    """Close its input, send SIGTERM, wait, then kill the whole process group."""
    if process.stdin:
        process.stdin.close()
    if process.returncode is None:
        process.terminate()
    try:
        # Not asyncio.timeout: before Python 3.11.3 it ends as a cancellation inside a task that is being cancelled, and
        # the child was left running.
        async with timeout(stop_s):
            await process.wait()
    except TimeoutError:
        kill_group(process)
        try:
            async with timeout(KILLED_S):
                await process.wait()
        except TimeoutError:  # it waits inside the kernel, for a disk that does not answer
            _log.warning("the process %d has not ended %g s after SIGKILL", process.pid, KILLED_S)


def kill_group(process: ChildProcess) -> None:
    """Send SIGKILL to the process and to all processes of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@asynccontextmanager
async def fork_server(modules: Sequence[str] = (), description: Path | None = None) -> AsyncGenerator[Path]:
    """A running fork server that imports these modules and reads this description; its socket."""
    folder = TemporaryFolder("fork")
    try:
        path = folder.path / "fork"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(128)
            server = await launch([sys.executable, "-m", "countingroom.app.fork_server"], inherited=[listener.fileno()])
            setup = ForkServerSetup(
                socket=listener.fileno(), modules=tuple(modules), description=str(description or "")
            )
            if server.stdin:
                server.stdin.write(msgspec.json.encode(setup) + b"\n")
        try:
            yield path
        finally:
            if server.stdin:
                server.stdin.close()  # the server then ends, and the processes that it started go on
            try:
                async with timeout(END_S):
                    await server.wait()
            except TimeoutError:
                server.kill()
                await server.wait()
    finally:
        folder.remove()


def launch_by(path: Path) -> Launch:
    """Starts Python modules by the fork server that listens at `path`, and other commands by exec. If the server does
    not answer, for example because it was killed, the child is started by exec: slower, and with more memory."""

    async def start(command: Sequence[str], errors: int | None) -> ChildProcess:
        if tuple(command[:2]) == (sys.executable, "-m"):
            try:
                return await _fork(path, command[2], command[3:], errors)
            except (OSError, ValueError, TimeoutError) as error:
                _log.warning("the fork server at %s does not answer (%s): %s started by exec", path, error, command[2])
        return await launch(command, errors)

    return start


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Start(Struct):
    pid: int


class _End(Struct):
    status: int


class ForkedProcess:
    """A process that the fork server has started. It is no child of this one: the server reports its end."""

    def __init__(
        self, pid: int, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader, server: _Connection
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        # Not the pid: after the end of the process the kernel may give the same number to another one.
        self._handle = os.pidfd_open(pid)
        self._end = asyncio.create_task(self._wait(server), name=f"end of {pid}")

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._end.result() if self._end.done() else None

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self._end.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def wait(self) -> int:
        """Wait for the end. Returns the exit status."""
        # Shielded: several tasks wait for this end, and the cancellation of one must not cancel it for the others.
        return await asyncio.shield(self._end)

    async def _wait(self, server: _Connection) -> int:
        reader, writer = server
        try:
            return msgspec.json.decode(await reader.readline(), type=_End).status
        except (OSError, msgspec.DecodeError):
            # The fork server was killed. Its processes go on; their ends can be seen, but not their exit statuses.
            await self._no_longer_there()
            return -signal.SIGKILL
        finally:
            os.close(self._handle)
            writer.close()

    async def _no_longer_there(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._handle)


async def _fork(path: Path, module: str, arguments: Sequence[str], errors: int | None) -> ForkedProcess:
    """A process of the fork server. Its input is a socket and its output a pipe, each with asyncio's streams."""
    loop = asyncio.get_running_loop()
    ours, input_end = socket.socketpair()
    read_end, output_end = os.pipe()
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
        request = msgspec.json.encode(ForkRequest(module=module, arguments=tuple(arguments)))
        socket.send_fds(connection, [request], [input_end.fileno(), output_end, 2 if errors is None else errors])
        connection.setblocking(False)
        server = await asyncio.open_unix_connection(sock=connection)
        async with timeout(PID_S):
            pid = msgspec.json.decode(await server[0].readline(), type=_Start).pid
    except BaseException:
        # Also when cancelled: the process sees the closed input as the end of its parent, and ends.
        connection.close()
        ours.close()
        os.close(read_end)
        raise
    finally:
        input_end.close()
        os.close(output_end)
    ours.setblocking(False)
    _, stdin = await asyncio.open_connection(sock=ours)
    stdout = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(read_end, "rb"))
    return ForkedProcess(pid, stdin, stdout, server)
