"""A simulated Channel Access server that can be frozen, killed and restarted while its values live on.

The server is a child process (`ioc_server.py`); the values and the physics stay in this process. So a dropped link is a
real one (no process, no port), and the restarted server shows the same hardware.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Scalar
from countingroom.simulators.ioc_server import IocRecord

START_DEADLINE_S = 60.0
_LINE_LIMIT = 1 << 22

PutHandler = Callable[[str, float | int | str], None]


class _Put(Struct, frozen=True, kw_only=True):
    put: tuple[str, float | int | str]


class Ioc:
    """Process variables, served on loopback at a port that stays the same over restarts."""

    def __init__(
        self,
        records: Iterable[IocRecord],
        on_put: PutHandler,
        *,
        again: Mapping[str, Any] | None = None,
        protocol: str = "ca",
    ) -> None:
        """`again`: the keys given at an earlier start; the server takes the port of that start again. `protocol`: `ca`,
        or `pva`, which is then served at the port, and Channel Access at another one."""
        self._protocol = protocol
        self._records = {record.name: record for record in records}
        self._on_put = on_put
        self._values: dict[str, tuple[Scalar, int]] = {r.name: (r.value, 0) for r in self._records.values()}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._frozen = False
        self._changing = asyncio.Lock()
        former = (again or {}).get("address_list") or [":0"]
        self.port = int(str(former[0]).rpartition(":")[2])

    @property
    def address(self) -> str:
        """Its address in the form of `EPICS_CA_ADDR_LIST`."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None

    async def start(self) -> None:
        """Listen, with the present values. LinkError when the server does not come up."""
        async with self._changing:
            if self._process is None:
                await self._begin()

    async def _begin(self) -> None:
        self.port = self.port or _free_port()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "countingroom.simulators.ioc_server",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **_environment(self.port, self._protocol)},
            limit=_LINE_LIMIT,
        )
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 (both are pipes)
        now = [msgspec.structs.replace(r, value=self._start_value(r)) for r in self._records.values()]
        process.stdin.write(msgspec.json.encode({"records": now, "pva": self._protocol == "pva"}) + b"\n")
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                ready = await process.stdout.readline()
        except TimeoutError:
            ready = b""
        if not ready:
            process.kill()
            await process.wait()
            raise LinkError("the simulated IOC did not start", source="simulators.ioc")
        self._process = process
        self._reader = asyncio.create_task(self._read(process), name="ioc puts")
        self._send((name, value, severity) for name, (value, severity) in self._values.items() if severity)

    def _start_value(self, record: IocRecord) -> float | int | str:
        value, _ = self._values[record.name]
        return record.value if value is None or isinstance(value, bool) else value

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Receive the puts of clients. A server that ended by itself is restarted."""
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        decoder = msgspec.json.Decoder(_Put)
        while line := await process.stdout.readline():
            name, value = decoder.decode(line).put
            self._values[name] = (value, 0)
            self._on_put(name, value)
        await process.wait()
        async with self._changing:
            if self._process is process:
                self._process = None
                self._frozen = False
                await self._begin()

    def set(self, values: Mapping[str, Scalar], *, severity: int = 0) -> None:
        """Set values; unchanged ones are not sent. None stands for NaN."""
        known = self._values
        changed = [(n, v, severity) for n, v in values.items() if known[n] != (v, severity)]
        for name, value, _ in changed:
            known[name] = (value, severity)
        self._send(changed)

    def _send(self, values: Iterable[tuple[str, Scalar, int]]) -> None:
        batch: Sequence[Any] = list(values)
        process = self._process
        if batch and process is not None and process.stdin is not None and not self._frozen:
            process.stdin.write(msgspec.json.encode({"set": batch}) + b"\n")

    def freeze(self) -> None:
        """Stop the server process with its sockets open, like a hung IOC."""
        if self._process is not None and not self._frozen:
            self._frozen = True
            self._process.send_signal(signal.SIGSTOP)
            # The signal stops one thread after the other: without the wait a put that follows may still be answered.
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Continue the server, with the present values."""
        if self._process is not None and self._frozen:
            self._frozen = False
            self._process.send_signal(signal.SIGCONT)
            self._send((name, value, severity) for name, (value, severity) in self._values.items())

    async def stop(self) -> None:
        """Kill the server process, as a power cut would."""
        async with self._changing:
            process, self._process = self._process, None
            self._frozen = False
            if process is None:
                return
            if process.returncode is None:
                process.kill()
            await process.wait()
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait([self._reader])
                self._reader = None
            if process.stdin is not None:
                process.stdin.close()


IOC_FAULTS = (
    CommandSpec(name="drop", description="The server process is killed: no process, no port."),
    CommandSpec(name="restore", description="The server is there again, answering, at the same port."),
    CommandSpec(name="freeze", description="The server stops in the middle; its sockets stay open."),
    CommandSpec(name="thaw", description="A frozen server goes on."),
)
"""The faults of every IOC."""


async def provoke(ioc: Ioc, fault: str) -> bool:
    """Provoke one of them; False for another fault."""
    match fault:
        case "drop":
            await ioc.stop()
        case "restore":
            ioc.thaw()
            await ioc.start()
        case "freeze":
            ioc.freeze()
        case "thaw":
            ioc.thaw()
        case _:
            return False
    return True


def _free_port() -> int:
    """A port free for both TCP and UDP on loopback: an IOC takes the same number of both."""
    for _ in range(50):
        with socket.socket(type=socket.SOCK_STREAM) as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port: int = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DeviceError("no port is free for both TCP and UDP", source="simulators.ioc")


def _environment(port: int, protocol: str) -> dict[str, str]:
    if protocol == "pva":
        return _environment(_free_port(), "ca") | {
            "EPICS_PVAS_SERVER_PORT": str(port),
            "EPICS_PVAS_BROADCAST_PORT": str(port),
            "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
            "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
            "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
        }
    return {
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_ADDR_LIST": "127.0.0.1",
        # With real-time scheduling the IOC locks all its pages in memory where it may (root): 150 MiB more.
        "EPICS_ALLOW_POSIX_THREAD_PRIORITY_SCHEDULING": "NO",
    }
