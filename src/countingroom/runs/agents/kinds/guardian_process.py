"""The process of the guardian, run as a file with the standard library alone. See `guardian.py`.

`guard LOCK`: waits for the lock (`/dev/null`: for none), says `ready`, and reads lines from its input: `+ PID MARK`
for a program that was begun, `- PID` for one that has ended. At the end of the input, which is the death of the agents,
it ends what is left:
SIGTERM, and SIGKILL two seconds later. `drain`: reads its input to the end in a process of its own.
"""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

MARK = "COUNTINGROOM_PROGRAM"
"""Environment variable by which a program and all its children are found, also those that left its process group."""
ASKED_S = 2.0
LOOK_S = 0.02


def family(programs: dict[int, str]) -> list[int]:
    """The processes that live and belong to these programs."""
    marks = {f"{MARK}={mark}".encode() for mark in programs.values()}
    found: list[int] = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit() or int(place.name) == os.getpid():
            continue
        try:
            given = set((place / "environ").read_bytes().split(b"\0"))
            state = (place / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if marks & given and state != b"Z":
            found.append(int(place.name))
    return found


def send(number: int, programs: dict[int, str], processes: list[int]) -> None:
    """Send a signal to the process groups of the programs, and to each process by itself."""
    for group in programs:
        try:
            os.killpg(group, number)
        except OSError:
            continue
    for process in processes:
        try:
            os.kill(process, number)
        except OSError:
            continue


def end(programs: dict[int, str]) -> None:
    """End these programs with all that they began."""
    if not programs:
        return
    send(signal.SIGTERM, programs, family(programs))
    until = time.monotonic() + ASKED_S
    while time.monotonic() < until and family(programs):
        time.sleep(LOOK_S)
    while left := family(programs):
        send(signal.SIGKILL, programs, left)
        time.sleep(LOOK_S)


def guard(lock: str) -> None:
    """Guard programs until the input ends."""
    # Only the end of the input ends it: a signal that is meant for the agents must not leave their programs unguarded.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with Path(lock).open("w") as locked:
        if lock != os.devnull:
            fcntl.flock(locked, fcntl.LOCK_EX)  # an earlier guardian still ends its programs
        os.write(1, b"ready\n")
        programs: dict[int, str] = {}
        for line in sys.stdin:
            sign, pid, *mark = line.split()
            if sign == "+":
                programs[int(pid)] = mark[0]
            else:
                programs.pop(int(pid), None)
        end(programs)


def drain() -> None:
    """Become a process that reads the input to its end; the caller goes on at once."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.execv("/bin/cat", ["cat"])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        guard(sys.argv[2])
    else:
        drain()
