"""The faults of the drill. Each is a context manager: the fault begins with the block and ends with it."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import nats
import psutil
from msgspec import Struct
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from countingroom.app.watchdog import HUNG_S
from countingroom.bus.server.credentials import SUPERVISOR, of_running
from tests.drill.report import CONTROL_S
from tests.system.running import Running, until

ROLES = ("devices", "runs", "agents", "history", "console", "simulators", "bus")
POISON = (b"\x81\xa1\x7a", b"\x91" * 2000, b"\xc0", b"\xff" * 64, b"\x93\xcf" + b"\xff" * 8, b"")
"""Bytes that are no message of any kind, or that nest too deeply."""
SUBJECTS = (
    "presence.x.y",
    "pulse.TRD",
    "readings.chiller",
    "events.runs.mCBM",
    "command.local.runs.mCBM",
    "command.local.devices.chiller",
    "command.local.systems.TRD",
    "query.history",
    "agent.TRD.step",
    "$KV.state.partition.mCBM.x",
    "$KV.state.system.TRD.x",
    "$KV.state.device.x",
)
HALF_SENT = 1100
VIEWER_SOCKETS = 270
FROZEN_S = 5.0

Fault = Callable[[Running], AbstractContextManager[None]]


class Drill(Struct, frozen=True, kw_only=True):
    """A fault by its name, and the states in which it is played."""

    name: str
    fault: Fault
    states: tuple[str, ...]
    control_s: float = CONTROL_S
    """A stop or an abort that is not done after this time counts as refused."""


def killed(role: str) -> Fault:
    """A process that is killed; the supervisor starts it again."""

    @contextmanager
    def fault(running: Running) -> Iterator[None]:
        process(running, role).kill()
        yield

    return fault


def frozen(role: str) -> Fault:
    """A process that stands still for FROZEN_S, as on a machine that swaps."""

    @contextmanager
    def fault(running: Running) -> Iterator[None]:
        one = process(running, role)
        one.send_signal(signal.SIGSTOP)
        end = threading.Timer(FROZEN_S, one.send_signal, [signal.SIGCONT])
        end.start()
        yield
        end.join()

    return fault


def hung(role: str) -> Fault:
    """A process that stands still for ever; the supervisor kills it and starts it again."""

    @contextmanager
    def fault(running: Running) -> Iterator[None]:
        one = process(running, role)
        one.send_signal(signal.SIGSTOP)
        yield
        until(lambda: not one.is_running() or one.status() == psutil.STATUS_ZOMBIE, f"{role} is killed")

    return fault


@contextmanager
def poisoned(running: Running) -> Iterator[None]:
    """Bytes that are no message, on subjects of every kind."""
    asyncio.run(_publish(running.data))
    yield


async def _publish(folder: Path) -> None:
    url, login = of_running(folder, SUPERVISOR)
    client = await nats.connect(url, user=login().user, password=login().password)
    try:
        for subject in SUBJECTS:
            for data in POISON:
                await client.publish(subject, data)
        await client.flush()
    finally:
        await client.close()


@contextmanager
def half_sent(running: Running) -> Iterator[None]:
    """Requests that a stranger begins and never ends."""
    url = httpx_address(running.url)
    with ExitStack() as stack:
        for _ in range(HALF_SENT):
            one = stack.enter_context(socket.socket())
            one.settimeout(2.0)
            try:
                one.connect(url)
                one.sendall(b"POST /api/v1/partitions/mCBM/commands/stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
            except OSError:
                break  # it is closed or refused, as it should be
        yield


@contextmanager
def many_viewers(running: Running) -> Iterator[None]:
    """A viewer with more live feeds than anybody may have."""
    with ExitStack() as stack:
        for _ in range(VIEWER_SOCKETS):
            try:
                stack.enter_context(connect(running.url.replace("http", "ws") + "/api/v1/live", open_timeout=2.0))
            except (OSError, WebSocketException):  # refused, as it should be
                break
        yield


@contextmanager
def few_descriptors(running: Running) -> Iterator[None]:
    """A console that may open no more files than it has open."""
    console = process(running, "console")
    before = console.rlimit(resource.RLIMIT_NOFILE)
    console.rlimit(resource.RLIMIT_NOFILE, (console.num_fds() + 8, before[1]))
    try:
        with half_sent(running):
            yield
    finally:
        console.rlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def little_memory(running: Running) -> Iterator[None]:
    """A history that may take no more memory than it has."""
    history = process(running, "history")
    history.rlimit(resource.RLIMIT_AS, (history.memory_info().vms + (1 << 20),) * 2)
    yield


@contextmanager
def full_disk(running: Running) -> Iterator[None]:
    """A file that takes all the room beside the data. The folder of the data must be a small file system of its own."""
    if not running.data.is_mount():
        raise RuntimeError(f"{running.data} is no file system of its own")
    filler = running.data / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
    try:
        until(lambda: running.http.get("/readyz").status_code == 503, "readiness tells of the full disk")
        yield
    finally:
        filler.unlink()


def process(running: Running, role: str) -> psutil.Process:
    """The process of a role, or the bus."""
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [running.server() if role == "bus" else running.role(role)]
        return True

    until(look, f"{role} runs")
    return found[0]


def httpx_address(url: str) -> tuple[str, int]:
    """Host and port of `http://HOST:PORT`."""
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


ALL_STATES = ("Idle", "configuring", "Recording", "stopping")
DRILLS = (
    *(Drill(name=f"{role} killed", fault=killed(role), states=ALL_STATES) for role in ROLES),
    *(Drill(name=f"{role} frozen", fault=frozen(role), states=("Recording",)) for role in ROLES),
    *(
        Drill(name=f"{role} hung", fault=hung(role), states=("Recording",), control_s=HUNG_S + CONTROL_S)
        for role in ROLES
        if role != "bus"
    ),
    Drill(name="unreadable messages", fault=poisoned, states=ALL_STATES),
    Drill(name=f"{HALF_SENT} half-sent requests", fault=half_sent, states=("Recording",)),
    Drill(name=f"{VIEWER_SOCKETS} live feeds", fault=many_viewers, states=("Recording",)),
    Drill(name="console without descriptors", fault=few_descriptors, states=("Recording",)),
    Drill(name="history without memory", fault=little_memory, states=("Recording",)),
)
DISK = Drill(name="full disk", fault=full_disk, states=("Idle", "Recording"))
SHORT = ("runs killed", "unreadable messages", f"{VIEWER_SOCKETS} live feeds")
"""The drills of the short form, each in one state."""
