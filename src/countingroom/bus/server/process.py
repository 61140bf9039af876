"""Law: where a server of ours stands: its directory, its ports, its process, and whether it answers there."""

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


class Remembered(msgspec.Struct, kw_only=True):
    """What a data directory keeps from one start to the next."""

    name: str = msgspec.field(default_factory=lambda: f"countingroom-{uuid.uuid4().hex[:8]}")
    port: int = 0
    mqtt_port: int = 0


def end_with(parent: int) -> Callable[[], None] | None:
    """For the child, before it becomes the server: end when the parent does, even by kill -9. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def end_with_parent() -> None:
        prctl(_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return end_with_parent


def running(directory: Path) -> int | None:
    """The process that serves this directory."""
    try:
        pid = int((directory / "nats.pid").read_text())
        process = psutil.Process(pid)
        mine = str(directory / "nats.conf") in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if mine else None


def port(host: str, wanted: int, known: int) -> int:
    """The wanted one; or the one of last time, if it is still free; or any free one."""
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


async def serves(port: int, name: str) -> bool:
    """Whether this server, and no other, greets there and its streams are ready."""
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


def adopt(store: Path, *, former: str, account: str) -> None:
    """The streams kept for one account of the server become those of another, where that has none."""
    streams = store / "jetstream" / former
    if streams.is_dir() and not (store / "jetstream" / account).exists():
        streams.rename(store / "jetstream" / account)
