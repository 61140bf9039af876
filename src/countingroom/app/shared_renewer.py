"""One process that renews the leases of all roles on a host, in place of one for each role: 8 MiB each.

`up` starts it beside the fork server and starts it again when it ends. A role connects to its socket. Where that fails
the role starts a process of its own, as a role does that was started by hand.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from countingroom.app.child_process import Launch
from countingroom.bus.nats.renewal_messages import Abandon
from countingroom.bus.nats.renewal_process import LaunchRenewer, RenewalChild
from countingroom.core.clock import Clock, timeout

RENEWER = "countingroom.bus.nats.renewer"
AGAIN_S = 0.1
WAIT_S = 2.0
"""Time for the process to listen, at its start and when it is started again."""
_LOOK_S = 0.05
_END_S = 3.0
_LINE_LIMIT = 1 << 20
_PEER = struct.Struct("3i")


def socket_beside(fork_server: Path) -> Path:
    """The socket of the process, in the private folder of the fork server."""
    return fork_server.with_name("leases")


@asynccontextmanager
async def shared_renewer(launch: Launch, path: Path, clock: Clock) -> AsyncGenerator[None]:
    """The process, while entered. At the end it has no clients: the roles have ended before."""

    async def supervise() -> None:
        while True:
            child = await launch([sys.executable, "-m", RENEWER, str(path)], None)
            try:
                await child.wait()
            except asyncio.CancelledError:
                if child.stdin:
                    child.stdin.close()  # it then ends after its clients
                with suppress(TimeoutError):
                    async with timeout(_END_S):
                        await child.wait()
                with suppress(ProcessLookupError):
                    child.kill()
                raise
            await clock.sleep(AGAIN_S)

    supervising = asyncio.create_task(supervise(), name="process that renews leases")
    try:
        yield
    finally:
        supervising.cancel()
        await asyncio.wait([supervising])


def renewer_at(path: Path, launch: LaunchRenewer) -> LaunchRenewer:
    """Connects to the process at this socket; where that is not possible, starts another one by `launch`."""

    async def start(command: Sequence[str], errors: int | None) -> RenewalChild:
        with suppress(TimeoutError):
            async with timeout(WAIT_S):
                while True:
                    with suppress(OSError):  # it is started just now
                        return RenewerConnection(*await asyncio.open_unix_connection(path, limit=_LINE_LIMIT))
                    await asyncio.sleep(_LOOK_S)
        return await launch(command, errors)

    return start


class RenewerConnection:
    """The connection to the shared process, as the process of one client alone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stdin = writer
        self.stdout = reader
        peer: socket.socket = writer.get_extra_info("socket")
        pid, _, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        self._handle = os.pidfd_open(pid)
        self._is_abandoned = False

    def kill(self) -> None:
        """Let it forget the leases of this process; the second time, because it does not listen, kill it."""
        if not self._is_abandoned:
            self._is_abandoned = True
            with suppress(OSError, RuntimeError):  # it has ended, or `stdin` is closed
                self.stdin.write(msgspec.json.encode(Abandon()) + b"\n")
        elif self._handle >= 0 and not self.stdout.at_eof():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until it has let this process go."""
        with suppress(OSError, ValueError):
            while await self.stdout.read(1 << 16):
                pass
        self.stdin.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        return 0
