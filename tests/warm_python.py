"""Starts programs of the product as forks of a process that has imported it: the product's own fork server.

An experiment that is started by exec spends 3 s of processor time on imports before it does anything, and the tests
start sixty. What a fork does afterwards is the same, but that its console finds its templates compiled. That the
product also starts by exec is tested where `by_exec` is given.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TextIO

import msgspec

from countingroom.app.child_process import ENVIRONMENT
from countingroom.app.fork_server import ForkRequest, ForkServerSetup
from countingroom.app.up import StartPlan, imported_modules
from countingroom.experiment import load_once

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "examples" / "demo" / "experiment.yaml"
_DEADLINE_S = 60.0
_SERVER_S = 240.0
"""For the server, which may still import all of the product, and compile it first: on a busy machine minutes."""


class Started:
    """A running process, with what tests use of `subprocess.Popen`."""

    def __init__(self, link: socket.socket, stdout: TextIO | None) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._link = link
        self._said = b""
        self.pid = self._read(_SERVER_S)["pid"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.stdout:
            self.stdout.close()
        self.wait(_DEADLINE_S)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status, once it has ended."""
        if self.returncode is None:
            self.returncode = self._read(timeout)["status"]
            self._link.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _read(self, timeout: float | None) -> dict[str, int]:
        end = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._said:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._link], [], [], left)[0]:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            more = self._link.recv(4096)
            assert more, "the fork server of the tests has ended"
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        return json.loads(line)


@functools.cache
def server() -> Path:
    """The socket of a fork server that ends with the last process of this test run."""
    folder, this = Path(tempfile.mkdtemp(prefix="countingroom-tests-")), os.getpid()

    def remove() -> None:
        if os.getpid() == this:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    plan = StartPlan(description=DEMO, experiment=load_once(DEMO), simulate=True, port=0, data=folder)
    modules = (
        "countingroom.cli.up",
        "countingroom.cli.demo",
        "countingroom.app.up",
        *imported_modules(plan),
        "tests.warm_console",
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "fork"))
        listener.listen(128)
        listener.set_inheritable(True)
        lifeline, ours = os.pipe()
        setup = ForkServerSetup(socket=listener.fileno(), modules=modules, description=str(DEMO))
        os.write(ours, msgspec.json.encode(setup) + b"\n")
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "countingroom.app.fork_server"],
            {**ENVIRONMENT, **os.environ, "PYTHONPATH": str(ROOT)},
            file_actions=[(os.POSIX_SPAWN_DUP2, lifeline, 0)],
            setpgroup=0,
        )
        os.close(lifeline)  # `ours` stays open as long as this process and its forks
    return folder / "fork"


def start(
    arguments: Sequence[str],
    *,
    module: str = "countingroom",
    stdout: int = subprocess.PIPE,
    stderr: int = 2,
    environment: Mapping[str, str] | None = None,
) -> Started:
    """`python -m MODULE ARGUMENTS...` in the working folder and with the environment of this process and the variables
    of `environment`. `stdout`, `stderr`: file descriptors, or subprocess.PIPE for `stdout`."""
    state = json.dumps([str(Path.cwd()), {**os.environ, **(environment or {})}])
    request = ForkRequest(module="tests.warm_start", arguments=(state, module, *arguments))
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(_DEADLINE_S)
    link.connect(str(server()))
    said, written = os.pipe() if stdout == subprocess.PIPE else (None, stdout)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        socket.send_fds(link, [msgspec.json.encode(request)], [null, written, stderr])
        return Started(link, os.fdopen(said) if said is not None else None)
    finally:
        os.close(null)
        if said is not None:
            os.close(written)


def put_new_database(data: Path) -> None:
    """Put a database with all tables into this folder of an experiment, unless it has one. The migrations, 0.3 s of
    processor time, run once for all tests."""
    file, made = data / "countingroom.sqlite", server().with_name("new.sqlite")
    if file.exists():
        return
    if not made.exists():
        own = made.with_name(f"new-{os.getpid()}.sqlite")
        assert start((f"sqlite:///{own}",), module="countingroom.storage.new_database", stdout=1).wait(_SERVER_S) == 0
        own.replace(made)
    shutil.copy(made, file)


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`countingroom ARGUMENTS...` until its end, with what it wrote."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        started = start(arguments, stdout=said.fileno(), stderr=errors.fileno(), environment=environment)
        status = started.wait(_DEADLINE_S)
        said.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(arguments, status, said.read(), errors.read())
