"""One process renews the leases of several others; each lease is independent of the other processes."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import termios
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import psutil
import pytest
import pytest_asyncio

from countingroom.app.child_process import launch
from countingroom.app.shared_renewer import RENEWER, renewer_at, shared_renewer
from countingroom.bus import nats
from countingroom.bus.login import BusLogin
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.lease import NatsLease
from countingroom.bus.nats.renewal_messages import Free, Keep, RenewerSettings
from countingroom.bus.nats.renewal_page import SharedPage
from countingroom.bus.nats.renewal_process import RenewalChild
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Conflict
from countingroom.core.temporary_folder import TemporaryFolder
from tests.patience import PATIENCE_S
from tests.system.test_lease_renewal import AT_ONCE_S, NAME, handed_over, holder, says, server, taken_s, until

assert server, "a fixture"


def renewers() -> list[psutil.Process]:
    """The processes that renew leases, of this one and of its children."""
    return [
        one
        for one in psutil.Process().children(recursive=True)
        if one.status() != psutil.STATUS_ZOMBIE and RENEWER in one.cmdline()
    ]


@pytest_asyncio.fixture
async def path() -> AsyncIterator[Path]:
    folder = TemporaryFolder("fork")
    async with shared_renewer(launch, folder.path / "leases", SystemClock()):
        yield folder.path / "leases"
    assert renewers() == []
    folder.remove()


async def no_other(command: Sequence[str], errors: int | None) -> RenewalChild:
    raise OSError("the shared process does not listen yet")  # so the role tries again


@asynccontextmanager
async def client(server: EmbeddedServer, path: Path) -> AsyncGenerator[NatsBus]:
    bus = await nats.connect(server.url_with_login(), name="test", launch_renewer=renewer_at(path, no_other))
    try:
        yield bus
    finally:
        await bus.close()


async def test_the_leases_of_a_killed_process_are_free_at_once_and_those_of_others_are_kept(
    server: EmbeddedServer, path: Path
) -> None:
    async with client(server, path) as bus, holder(server, 60, path) as child:
        lease = await bus.acquire("device.x", ttl_s=5, holder="first")
        await handed_over(bus, "device.x")
        assert len(renewers()) == 1
        child.kill()
        assert await taken_s(bus, 60) < AT_ONCE_S
        assert bus._renewal is not None and bus._renewal.until("device.x") is not None
        assert not lease.lost


async def test_a_client_that_goes_takes_no_lease_of_another_with_it(server: EmbeddedServer, path: Path) -> None:
    async with client(server, path) as bus:
        lease = await bus.acquire(NAME, ttl_s=5, holder="first")
        await handed_over(bus)
        async with client(server, path) as other:
            await other.acquire("device.x", ttl_s=60, holder="second")
            await handed_over(other, "device.x")
        await until_free(bus, "device.x")
        assert bus._renewal is not None and bus._renewal.until(NAME) is not None
        assert not lease.lost
        await lease.release()
        assert await bus.holders() == {}


async def until_free(bus: NatsBus, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while name in await bus.holders():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_leases_are_kept_when_the_shared_process_dies_or_hangs(
    server: EmbeddedServer, path: Path, number: signal.Signals
) -> None:
    async with client(server, path) as one, client(server, path) as other:
        leases = [
            await one.acquire(NAME, ttl_s=5, holder="first"),
            await other.acquire("device.x", ttl_s=5, holder="second"),
        ]
        await handed_over(one)
        await handed_over(other, "device.x")
        (former,) = renewers()
        former.send_signal(number)
        await until(lambda: one._renewal is not None and one._renewal.until(NAME) is None)
        await handed_over(one)
        await handed_over(other, "device.x")
        (present,) = renewers()
        assert present.pid != former.pid
        assert not any(lease.lost for lease in leases)
        with pytest.raises(Conflict, match="first"):
            await other.acquire(NAME, ttl_s=5, holder="second")


async def test_a_process_that_hangs_loses_its_lease_and_no_other(server: EmbeddedServer, path: Path) -> None:
    async with client(server, path) as bus, holder(server, 1, path) as child:
        lease = await bus.acquire("device.x", ttl_s=5, holder="first")
        os.kill(child.pid, signal.SIGSTOP)
        await taken_s(bus, 60)
        os.kill(child.pid, signal.SIGCONT)
        assert await says(child) == "lost\n"
        assert not lease.lost
        assert (await bus.holders()) == {NAME: "second", "device.x": "first"}


async def test_what_is_no_order_ends_only_its_own_connection(server: EmbeddedServer, path: Path) -> None:
    async with client(server, path) as bus:
        lease = await bus.acquire(NAME, ttl_s=5, holder="first")
        await handed_over(bus)
        for junk in (b"\n", b"{}\n", b"x" * (1 << 21), b""):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(junk)
            writer.write_eof()
            async with asyncio.timeout(PATIENCE_S):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()
        assert bus._renewal is not None and bus._renewal.until(NAME) is not None
        assert not lease.lost


async def test_the_leases_of_a_process_that_is_killed_before_it_has_read_all_are_free_at_once(
    server: EmbeddedServer, path: Path
) -> None:
    page = SharedPage()
    async with client(server, path) as bus:
        # Neither renewed nor over within this test.
        lease = await bus.acquire(NAME, ttl_s=3600, holder="first")
        assert isinstance(lease, NatsLease)
        await handed_over(bus)
        page.tick = now = SystemClock().monotonic()
        reader, writer = await asyncio.open_unix_connection(path)
        settings = RenewerSettings(url=server.url_with_login(), name="test", login=BusLogin(), page=page.path)
        keep = Keep(name=NAME, data=lease._key.data, ttl_s=3600, revision=lease.token, until=now + 3600, slot=1)
        writer.write(b"".join(msgspec.json.encode(line) + b"\n" for line in (settings, keep)))
        async with asyncio.timeout(PATIENCE_S):
            # `Ready` is read, so `Freed` for a key that it does not keep stands unread in the buffer of the socket.
            assert await reader.readline()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(msgspec.json.encode(Free(name="none")) + b"\n")
        await until(lambda: _unread(writer) > 0)
        writer.transport.abort()
        # Left alone, the key would be there for more than 10 s.
        assert await taken_s(bus, 60) < 8.0
    page.close()


def _unread(writer: asyncio.StreamWriter) -> int:
    """Bytes that stand in the buffer of a socket."""
    count = array.array("i", [0])
    fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.FIONREAD, count)
    return count[0]


async def test_without_the_shared_process_a_role_has_its_own(server: EmbeddedServer, tmp_path: Path) -> None:
    started = renewer_at(tmp_path / "none", launch)
    bus = await nats.connect(server.url_with_login(), name="test", launch_renewer=started)
    try:
        await bus.acquire(NAME, ttl_s=5, holder="first")
        await handed_over(bus)
        assert len(renewers()) == 1
    finally:
        await bus.close()
