"""The process of the embedded server: a running one is found, ports are chosen, and it ends with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from countingroom.core.clock import timeout
from countingroom.core.errors import ConfigurationError

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG."""


REMEMBERED_FILE = "server.json"
"""Its file in the folder of the server."""


class Remembered(msgspec.Struct, kw_only=True):
    """Name and ports of the server, kept in the data directory from one start to the next."""

    name: str = msgspec.field(default_factory=lambda: f"countingroom-{uuid.uuid4().hex[:8]}")
    port: int = 0
    mqtt_port: int = 0
    first_sequence: int = 0
    """Of the newest bucket in memory."""


def remembered(file: Path) -> Remembered:
    """What the file holds; new where there is none. ConfigurationError when it is damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Remembered)
    except FileNotFoundError:
        return Remembered()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}; it is left as it is",
            source="bus",
            code="damaged",
            suggestion="put a backup in its place, or move it away: the server of the bus then gets another name and, "
            "where the description gives none, other ports",
        ) from error


def end_with(parent: int) -> Callable[[], None] | None:
    """A `preexec_fn` with which the child ends when its parent ends, even by kill -9. Linux only; None elsewhere."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def end_with_parent() -> None:
        prctl(_DEATH_SIGNAL, signal.SIGTERM)
        # The parent may have ended between fork and prctl; then no signal comes any more.
        if os.getppid() != parent:
            os._exit(1)

    return end_with_parent


def running_pid(directory: Path) -> int | None:
    """The id of the process that serves this directory; None when none runs.

    The pid file alone is no proof, because another process may have the id by now; its command line must name the
    directory.
    """
    try:
        pid = int((directory / "nats.pid").read_text())
        process = psutil.Process(pid)
        mine = str(directory / "nats.conf") in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if mine else None


def choose_port(host: str, wanted: int, known: int) -> int:
    """The wanted port if given; else the port of the last start if it is free; else any free port."""
    if wanted:
        return wanted
    for port in dict.fromkeys((known, 0)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigurationError(f"no free port on {host}", source="bus")


async def is_serving(port: int, name: str) -> bool:
    """Whether the server with this name answers on the port, with its streams ready."""
    try:
        async with timeout(2.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                greeting = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return f'"server_name":"{name}"'.encode() in greeting and b'"jetstream":true' in greeting


def move_streams(store: Path, *, former: str, account: str) -> None:
    """Move the stored streams of one account to another, unless that one has streams."""
    streams = store / "jetstream" / former
    if streams.is_dir() and not (store / "jetstream" / account).exists():
        streams.rename(store / "jetstream" / account)
