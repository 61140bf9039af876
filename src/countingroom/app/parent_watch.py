"""Law: the child's side of child.py: parameters in, one word that it is ready, and the end when the parent is gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from countingroom.core.errors import Cause

GRACE_S = 5.0
"""For a clean end after the parent's; then the process is ended where it stands."""


def parameters() -> dict[str, Any]:
    """The parent's first line."""
    line = b""
    while not line.endswith(b"\n"):  # unbuffered: the watching thread reads the same descriptor
        if not (more := os.read(0, 65536)):
            break
        line += more
    return msgspec.json.decode(line or b"{}", type=dict[str, Any])


class Words:
    """What the child says to its parent. What libraries print goes to stderr instead."""

    def __init__(self) -> None:
        self._stream = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def ready(self, said: Mapping[str, Any]) -> None:
        """It begins to serve."""
        self._stream.write(msgspec.json.encode({"ready": said}) + b"\n")

    def refused(self, cause: Cause) -> None:
        """It cannot begin."""
        self._stream.write(msgspec.json.encode({"refused": cause}) + b"\n")


def when_parent_ends(stop: Callable[[], object]) -> None:
    """Call `stop`, from a thread, once the parent closes its end or dies; end by force when that does not help."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()
        threading.Event().wait(GRACE_S)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
