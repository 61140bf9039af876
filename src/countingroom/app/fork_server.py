"""A process that starts other Python processes by fork, with the modules already imported.

Each role of an experiment is a process of its own. Started one by one, each takes a second of CPU to import its modules
and holds them in its own memory. This process imports them once. Its forks start in milliseconds and share the memory
of what is only read.

`up` starts it as a fork of itself, so that the two share their modules as well (forked_server.py), or as

    python -m countingroom.app.fork_server

with a `ForkServerSetup` as JSON in its first line of input. A client makes one connection for each process and sends
one JSON object, `{"module": ..., "arguments": [...]}`, together with three file descriptors for standard input, output
and error. It receives the line `{"pid": ...}`, and when that process has ended the line `{"status": ...}`, negative for
a signal. The server ends when its standard input ends. The processes that it started go on: each ends when its own
standard input does. child_process.py is the client.

The server starts no thread, because a fork copies only the thread that calls it: a lock that another thread holds would
stay locked for ever in the copy. So no module that it imports may start one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from setproctitle import setproctitle

from countingroom.app.common_start import prepare_common_start
from countingroom.app.memory_gaps import fill_gaps
from countingroom.core.errors import CountingRoomError
from countingroom.experiment import load_once

FILE_DESCRIPTORS = 3
REQUEST_S = 5.0
"""Time for a client to send its request, and to take an answer."""
_REQUEST_BYTES = 1 << 20


class ForkRequest(Struct, frozen=True, kw_only=True):
    """A process to start: `python -m MODULE ARGUMENTS...`."""

    module: str
    arguments: tuple[str, ...] = ()


class ForkServerSetup(Struct, frozen=True, kw_only=True):
    """The first line of input. Not arguments: a fork has no more room for its command line than the server's own."""

    socket: int
    """File descriptor, inherited, of a Unix socket that listens."""
    modules: tuple[str, ...] = ()
    """What it imports."""
    description: str = ""
    """A description that it reads once. The validators of its models are then built for all: 11 MiB a process."""


class ForkServer:
    """Accepts requests, forks, and reports the end of each process."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._clients: dict[int, socket.socket] = {}
        """Process id -> the connection that waits for its end."""

    def serve(self) -> ForkRequest | None:
        """Serve until standard input ends: None. In a process that was forked: the request that it has to run."""
        with selectors.DefaultSelector() as ready:
            wakeup, woken = os.pipe()
            os.set_blocking(woken, False)
            # Without a handler of its own Python writes no byte into the wake-up pipe for this signal.
            signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
            signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
            for source in (0, wakeup, self._listener.fileno()):
                ready.register(source, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fd == wakeup:
                        os.read(wakeup, 4096)
                        self._report_ends()
                    elif key.fd == 0:
                        if not os.read(0, 4096):
                            return None
                    elif request := self._accept():
                        os.close(wakeup)
                        os.close(woken)
                        return request

    def _accept(self) -> ForkRequest | None:
        """Fork for one client. Returns the request in the new process, None in the server."""
        client, _ = self._listener.accept()
        client.settimeout(REQUEST_S)
        given: list[int] = []
        try:
            data, given, _, _ = socket.recv_fds(client, _REQUEST_BYTES, FILE_DESCRIPTORS)
            request = msgspec.json.decode(data, type=ForkRequest)
            pid = os.fork()
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            sys.stderr.write(f"fork server: no process started: {error}\n")
            _close(given)
            client.close()
            return None
        if not pid:
            client.close()
            self._become_child(given)
            return request
        _close(given)
        self._clients[pid] = client
        with contextlib.suppress(OSError):
            client.sendall(msgspec.json.encode({"pid": pid}) + b"\n")
        return None

    def _become_child(self, given: Sequence[int]) -> None:
        """Turn a copy of the server into a process as `exec` would start it."""
        os.setpgid(0, 0)  # Ctrl-C then reaches only the parent, which stops its children in order
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._listener.close()
        for client in self._clients.values():
            client.close()
        for number, descriptor in enumerate(given):
            os.dup2(descriptor, number)
        _close(given)

    def _report_ends(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if client := self._clients.pop(pid, None):
                    with contextlib.suppress(OSError), client:
                        client.sendall(msgspec.json.encode({"status": os.waitstatus_to_exitcode(status)}) + b"\n")


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    """Import the modules and serve. In a forked process: run its module as the main program."""
    run(msgspec.json.decode(sys.stdin.buffer.readline(), type=ForkServerSetup))


def run(setup: ForkServerSetup) -> None:
    """Import and serve, as `main`. Ends the process where the input has ended; returns in a forked process only."""
    with socket.socket(fileno=setup.socket) as listener:
        prepare_common_start()
        prepare(setup.modules, setup.description)
        request = ForkServer(listener).serve()
    if request is None:
        os._exit(0)  # no clean-up: libraries that are imported and not used complain of it
    setproctitle(" ".join([sys.executable, "-m", request.module, *request.arguments]))
    sys.argv = [request.module, *request.arguments]
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise  # a text: the interpreter prints it
        _end(ended.code or 0)
    _end(0)


def _end(status: int) -> None:
    """End this process without freeing its memory object by object: the kernel would first copy nearly all of what it
    shares with its server, which takes 0.1 s of processor time. What was registered for the end is done before.

    Where threads are left the interpreter ends it, as it waits for them."""
    if any(not one.daemon for one in threading.enumerate() if one is not threading.main_thread()):
        sys.exit(status)
    run_registered: Callable[[], None] = getattr(atexit, "_run_exitfuncs")  # noqa: B009  # it has no public name
    run_registered()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # its reader has ended, or it was closed
            stream.flush()
    os._exit(status)


def prepare(modules: Sequence[str], description: str) -> None:
    """Import these modules, read this description, and make the memory ready to be shared with forks.

    A fork copies each memory page on its first write. So the garbage of the imports is kept, which is little: if it was
    freed, there were more gaps between objects. Those that are there are filled.
    """
    gc.disable()  # the objects of modules stay: looking through them again and again is a fifth of the time
    for module in modules:
        with contextlib.suppress(ImportError):  # the process that needs it will say so
            importlib.import_module(module)
    if description:
        with contextlib.suppress(CountingRoomError):  # the process that runs it will say so
            load_once(Path(description))
    gc.freeze()  # a collection writes to every object that it looks at
    _forget_attributes()
    gc.collect()  # there is nothing left to look at; it empties the lists of free objects
    fill_gaps()
    gc.enable()


def _forget_attributes() -> None:
    """Empty the interpreter's cache of attributes. Its entries hold references to 4,000 names all over the memory, and
    each entry that is replaced in a forked process changes such a count: the kernel then copies a page of memory."""
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear:  # CPython has one of them; which one depends on its version
        clear()


if __name__ == "__main__":
    main()
