"""The child's side of supervisor.py: reads the parameters, reports readiness, and ends the child with its parent.

The parent holds the other end of the child's standard input. However the parent ends, also by kill -9, the kernel
closes that pipe, and the child reads the end of its input.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from countingroom.app.watchdog import TICK
from countingroom.core.errors import Cause
from countingroom.core.reload.messages import ReloadReply

GRACE_S = 5.0
"""Time for a clean end after the parent's death."""


def parameters() -> dict[str, Any]:
    """The parameters: the first line of standard input, a JSON object."""
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: a buffer would take bytes that the watching thread must read
        if not (more := os.read(0, 65536)):
            break
        line += more
    return msgspec.json.decode(line or b"{}", type=dict[str, Any])


class ParentReport:
    """JSON lines to the parent over the original standard output. Standard output then goes to standard error, so that
    the prints of libraries do not mix with the lines."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        self._is_ready = False

    def ready(self, facts: Mapping[str, Any]) -> None:
        """Report that the child is ready, with facts for the operator."""
        # Together with the first tick, which starts the watchdog: a child that hangs right after `ready` is found too.
        self._stream.write(msgspec.json.encode({"ready": facts}) + b"\n" + TICK)
        # From now on a write must not wait: the pipe of a stopped parent may be full, and the child must go on.
        os.set_blocking(self._stream.fileno(), False)
        self._is_ready = True

    def tick(self) -> None:
        """Report that the event loop runs, once it is ready. Never waits: the pipe of a stopped parent may be full."""
        if self._is_ready:
            with suppress(BrokenPipeError):  # the parent has ended, which the watching thread sees
                self._stream.write(TICK)

    def reply(self, reply: ReloadReply) -> None:
        """Answer an order."""
        with suppress(BrokenPipeError):
            self._stream.write(msgspec.json.encode({"reply": reply}) + b"\n")

    def refused(self, cause: Cause) -> None:
        """Report that the child cannot start."""
        self._stream.write(msgspec.json.encode({"refused": cause}) + b"\n")


def when_parent_ends(stop: Callable[[], object], take: Callable[[bytes], object] = lambda line: None) -> None:
    """Call `stop`, from a thread, when the parent closes the pipe or dies. After GRACE_S end the process by force.
    `take` is called with each further line of the parent, from the same thread.

    A thread, and not a task: an event loop that is blocked, by a driver in a C call for example, would never read the
    end of the input, and the process would outlive its parent.
    """

    def watch() -> None:
        rest = b""
        while more := os.read(0, 65536):
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                with suppress(RuntimeError):  # the event loop has ended: so does the process
                    take(line)
        stop()
        threading.Event().wait(GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
