"""The process that runs one instance of the process engine, as a file with the standard library alone.

It outlives the keeper: it reads its order as JSON from standard input, leaves the session of its parent, starts the
program and says `ready`, or why the program could not be started. It starts the program again after it ended
(`restart`), keeps its output within bounds, and tells its state in a file. The lock shows that it lives. SIGTERM ends
the program and the runner, SIGUSR1 starts a waiting program now.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from typing import Any

MARK = "COUNTINGROOM_INSTANCE"
"""Environment variable by which what a killed runner left behind is found."""
LOG_BYTES = 4 << 20
"""Of each of the two files of the log."""
LINE_BYTES = 2000
LOOK_S = 0.02
MARK_NS = 100_000_000
"""Between two times in `times`: (place in the log, ns since the epoch), 16 bytes each."""


class Runner:
    """Runs the program of one order."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.folder = Path(order["folder"])
        self.state: dict[str, Any] = {"runner": os.getpid(), "pid": 0, "running": False, "since_ns": 0}
        self.state |= {"status": None, "crashes": 0, "last": ""}
        self.log = open_log(self.folder, "log")
        self.times = open_log(self.folder, "times")
        self.marked_ns = 0
        self.rest = b""
        """The line that is not complete yet."""
        self.is_told = False
        self.is_ending = False
        self.is_urged = False
        self.wake, self.waker = os.pipe()
        for one in (self.wake, self.waker):
            os.set_blocking(one, False)
        signal.set_wakeup_fd(self.waker)
        signal.signal(signal.SIGTERM, self.end)
        signal.signal(signal.SIGUSR1, self.urge)

    def end(self, *_: object) -> None:
        self.is_ending = True

    def urge(self, *_: object) -> None:
        self.is_urged = True

    def tell(self, **changed: object) -> None:
        """Write the state and tell the keeper, where there is one."""
        self.state.update(changed)
        new = self.folder / "state.new"
        with contextlib.suppress(OSError):
            new.write_text(json.dumps(self.state))
            new.replace(self.folder / "state.json")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.setblocking(False)
            told.sendto(b"changed", self.order["news"].encode())

    def answer(self, said: str) -> None:
        """Tell the keeper, once, whether the program was started. Where it was not, this process ends."""
        if self.is_told:
            return
        self.is_told = True
        os.write(1, f"{said}\n".encode())
        null = os.open(os.devnull, os.O_RDWR)
        for one in (0, 1, 2):
            os.dup2(null, one)
        self.is_ending = self.is_ending or said != "ready"

    def run(self) -> None:
        """Until the program needs no further start, or SIGTERM."""
        crashes = 0
        while not self.is_ending:
            began = time.monotonic()
            status = self.once(crashes)
            if self.is_ending:
                break
            is_good = time.monotonic() - began >= self.order["steady_s"]
            crashes = 1 if is_good else crashes + 1
            self.tell(running=False, pid=0, since_ns=time.time_ns(), status=status, crashes=crashes)
            restart = self.order["restart"]
            if restart == "never" or (restart == "on-failure" and status == 0):
                break
            self.pause(min(self.order["first_s"] * 2.0 ** min(crashes, 20), self.order["longest_s"]))
        if self.is_ending:
            self.tell(running=False, pid=0, since_ns=time.time_ns())

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.is_ending and not self.is_urged and (left := until - time.monotonic()) > 0:
            select.select([self.wake], [], [], left)
            self.drain_wake()
        self.is_urged = False

    def drain_wake(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self.wake, 1024)

    def once(self, crashes: int) -> int:
        """The exit status of one run of the program; as a shell has it where it cannot be started."""
        environment = {**self.order["environment"], MARK: str(self.folder)}
        try:
            program = subprocess.Popen(  # noqa: S603 - the command of the description, without a shell
                self.order["command"],
                cwd=self.order["directory"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            wrong = f"{error.filename or self.order['command'][0]}: {error.strerror}"
            self.answer(wrong)
            self.write(f"{wrong}\n".encode())
            self.state["last"] = wrong
            return 127
        self.tell(running=True, pid=program.pid, since_ns=time.time_ns(), crashes=crashes)
        self.answer("ready")
        stdout = program.stdout
        if stdout is None:
            raise RuntimeError("the program has no output")
        output = stdout.fileno()
        os.set_blocking(output, False)
        exited = os.pidfd_open(program.pid)
        try:
            self.watch(program, output, exited)
        finally:
            os.close(exited)
            stdout.close()
            end_family(self.folder)
        status = program.wait()
        return 128 - status if status < 0 else status

    def watch(self, program: subprocess.Popen[bytes], output: int, exited: int) -> None:
        """Keep the output until the program has ended; end it where this process is to end."""
        kill_at = None
        waited = [self.wake, output, exited]
        while exited in waited:
            if self.is_ending and kill_at is None:
                kill_at = time.monotonic() + self.order["grace_s"]
                with contextlib.suppress(OSError):
                    os.killpg(program.pid, signal.SIGTERM)
            left = None if kill_at is None else kill_at - time.monotonic()
            if left is not None and left <= 0:
                with contextlib.suppress(OSError):
                    os.killpg(program.pid, signal.SIGKILL)
                left = None
                kill_at = float("inf")
            if left is not None and left > 3600:
                left = None
            found, _, _ = select.select(waited, [], [], left)
            if self.wake in found:
                self.drain_wake()
            if output in found and not self.keep(output):
                waited.remove(output)
            if exited in found:
                waited.remove(exited)
        while output in waited and select.select([output], [], [], 0)[0] and self.keep(output):
            pass

    def keep(self, output: int) -> bool:
        """Keep what can be read of the output; False at its end."""
        try:
            data = os.read(output, 1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.write(data)
        *lines, self.rest = (self.rest + data)[-LINE_BYTES:].split(b"\n")
        whole = [line for line in (*lines, self.rest) if line.strip()]
        if whole:
            self.state["last"] = whole[-1].decode(errors="replace")
        return True

    def write(self, data: bytes) -> None:
        """Append to the log. A full disk loses lines of the log, and nothing else."""
        with contextlib.suppress(OSError):
            if self.log.tell() > LOG_BYTES:
                self.log.close()
                self.times.close()
                for name in ("log", "times"):
                    (self.folder / name).replace(self.folder / f"{name}.1")
                self.log = open_log(self.folder, "log")
                self.times = open_log(self.folder, "times")
                self.marked_ns = 0
            now_ns = time.time_ns()
            if not 0 <= now_ns - self.marked_ns < MARK_NS:
                self.marked_ns = now_ns
                self.times.write(struct.pack("<QQ", self.log.tell(), now_ns))
            self.log.write(data)


def open_log(folder: Path, name: str) -> FileIO:
    """The log or its times, to append to."""
    return FileIO(folder / name, "ab")


def family(folder: Path) -> list[int]:
    """The processes that a program of this folder began and that live."""
    mark = f"{MARK}={folder}".encode()
    found: list[int] = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        try:
            given = (place / "environ").read_bytes().split(b"\0")
            state = (place / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if mark in given and state != b"Z":
            found.append(int(place.name))
    return found


def end_family(folder: Path) -> None:
    """Kill what is left of a program: it must not run beside the next one."""
    for pid in family(folder):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    order = json.loads(sys.stdin.read())
    folder = Path(order["folder"])
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    end_family(folder)
    if os.fork():
        os._exit(0)  # the parent of the runner is init now, and waits for it
    os.setsid()
    Runner(order).run()


if __name__ == "__main__":
    main()
