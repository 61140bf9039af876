"""Leases are renewed by a process of their own: a busy holder keeps them, one that hangs or dies does not."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import psutil
import pytest
import pytest_asyncio

from countingroom.app.child_process import launch
from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.login import BusLogin
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.renewal_messages import TICK_AGE_S, RenewerSettings
from countingroom.bus.nats.renewal_page import SharedPage
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.errors import ConfigurationError, Conflict, LinkError
from countingroom.core.subjects import LEASE_BUCKET
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "lease_child.py"
NAME = "partition.A"
AT_ONCE_S = 20.0
"""On a busy machine too; much less than the leases last that are free at once."""


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path, description=BusSection())
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def client(server: EmbeddedServer) -> AsyncGenerator[NatsBus]:
    bus = await nats.connect(server.url_with_login(), name="test", launch_renewer=launch)
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def holder(
    server: EmbeddedServer, ttl_s: float, shared: Path | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """A process that holds the lease. `shared`: the socket of a shared process that renews it."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHILD), server.url_with_login(), NAME, str(ttl_s), *([str(shared)] if shared else [])),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert (await says(child)).startswith("held ")
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def says(child: asyncio.subprocess.Process) -> str:
    assert child.stdout
    async with asyncio.timeout(PATIENCE_S):
        return (await child.stdout.readline()).decode()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def handed_over(bus: NatsBus, name: str = NAME) -> None:
    """Wait until the process renews the lease."""
    await until(lambda: bus._renewal is not None and bus._renewal.until(name) is not None)


async def taken_s(bus: NatsBus, ttl_s: float) -> float:
    """Seconds until this client has the lease."""
    begin = time.monotonic()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(Conflict, LinkError):
                await bus.acquire(NAME, ttl_s=ttl_s, holder="second")
                return time.monotonic() - begin
            await asyncio.sleep(0.01)


def renewer(parent: int) -> psutil.Process:
    """The process that renews the leases of another one."""
    (found,) = (
        one
        for one in psutil.Process(parent).children(recursive=True)
        if one.status() != psutil.STATUS_ZOMBIE and "countingroom.bus.nats.renewer" in " ".join(one.cmdline())
    )
    return found


async def test_a_holder_whose_loop_is_busy_for_longer_than_the_lease_keeps_it(server: EmbeddedServer) -> None:
    async with client(server) as bus, client(server) as other:
        lease = await bus.acquire(NAME, ttl_s=1, holder="first")
        await handed_over(bus)
        for _ in range(2):
            time.sleep(TICK_AGE_S / 2)  # the loop is blocked; it may have run half a second before
            assert not lease.lost
            assert await held_by(other) == "first"
        assert not lease.lost


async def held_by(bus: NatsBus) -> str:
    """The holder, as soon as the link is up: the server cuts off a client whose loop is blocked for so long."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(LinkError):
                return (await bus.holders())[NAME]
            await asyncio.sleep(0.02)


async def test_a_holder_that_hangs_loses_the_lease_and_knows_it_when_it_goes_on(server: EmbeddedServer) -> None:
    async with client(server) as other, holder(server, 1) as child:
        os.kill(child.pid, signal.SIGSTOP)
        assert await taken_s(other, 60) > TICK_AGE_S - 1
        os.kill(child.pid, signal.SIGCONT)
        assert await says(child) == "lost\n"
        assert (await other.holders())[NAME] == "second"


async def renew_late(bus: NatsBus, data: bytes) -> None:
    """Write the lease as a renewal does, also where such a renewal, or the end of the lease, comes in between."""
    while True:
        last = await bus._store.last(LEASE_BUCKET, NAME)
        expected = last.revision if last else 0
        with suppress(Conflict):
            await bus._store.write(LEASE_BUCKET, NAME, data, expected=expected, headers={"Nats-TTL": "60s"})
            return


async def held_late(bus: NatsBus, data: bytes) -> None:
    """Renew late, until another client finds the lease held. The end of the old key, which the server notes late too,
    may come after the renewal and remove it."""
    for _ in range(10):
        await renew_late(bus, data)
        try:
            taken = await bus.acquire(NAME, ttl_s=1, holder="first")
        except Conflict:
            return
        await taken.release()
    raise AssertionError("the lease that was renewed late is free each time")


async def test_a_lease_that_was_lost_while_the_server_stood_still_is_taken_again_at_once(
    server: EmbeddedServer,
) -> None:
    async with client(server) as bus, client(server) as other:
        lease = await bus.acquire(NAME, ttl_s=1, holder="first")
        await handed_over(bus)
        assert server.pid
        os.kill(server.pid, signal.SIGSTOP)
        await lease.wait_lost()
        os.kill(server.pid, signal.SIGCONT)
        await until(lambda: bus.connected and other.connected)
        # The server may apply a renewal late, or not; here it does.
        await held_late(other, lease._key.data)
        again = await bus.acquire(NAME, ttl_s=5, holder="first")
        assert again.token > lease.token
        assert lease.lost
        with pytest.raises(Conflict):
            await bus.acquire(NAME, ttl_s=5, holder="first")


async def test_the_leases_of_a_killed_holder_are_free_at_once(server: EmbeddedServer) -> None:
    async with client(server) as other, holder(server, 60) as child:
        process = renewer(child.pid)
        child.kill()
        assert await taken_s(other, 60) < AT_ONCE_S
        await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lease_is_kept_when_the_process_that_renews_it_dies_or_hangs(
    server: EmbeddedServer, number: signal.Signals
) -> None:
    async with client(server) as bus, client(server) as other:
        lease = await bus.acquire(NAME, ttl_s=60, holder="first")
        await handed_over(bus)
        former = renewer(os.getpid())
        former.send_signal(number)
        await until(lambda: bus._renewal is not None and bus._renewal.until(NAME) is None)
        await handed_over(bus)
        assert renewer(os.getpid()).pid != former.pid
        assert not lease.lost
        with pytest.raises(Conflict, match="first"):
            await other.acquire(NAME, ttl_s=60, holder="second")
        await lease.release()
        assert await taken_s(other, 60) < AT_ONCE_S


async def test_without_a_process_that_renews_the_event_loop_does(server: EmbeddedServer) -> None:
    def find_login() -> BusLogin:
        if logins:
            return logins.pop()
        raise ConfigurationError("the passwords cannot be read", source="bus")

    logins = [server.login()]
    bus = await nats.connect(server.url, name="test", login=find_login, launch_renewer=launch)
    try:
        lease = await bus.acquire(NAME, ttl_s=1, holder="first")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await lease.wait_lost()
        logins += [server.login(), server.login()]
        await handed_over(bus)
        assert not lease.lost
    finally:
        await bus.close()


async def test_the_process_says_in_one_line_that_it_is_refused(server: EmbeddedServer) -> None:
    page = SharedPage()
    settings = RenewerSettings(url=server.url, name="x", login=BusLogin(user="runs", password="no"), page=page.path)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "countingroom.bus.nats.renewer"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await child.communicate(msgspec.json.encode(settings) + b"\n")
    page.close()
    assert (child.returncode, said) == (1, b"")
    assert b"refuses the user runs" in errors and b"Traceback" not in errors


async def test_a_lease_that_is_lost_and_taken_again_at_once_is_kept(server: EmbeddedServer) -> None:
    async with client(server) as bus:
        first = await bus.acquire(NAME, ttl_s=1, holder="first")
        await handed_over(bus)
        time.sleep(TICK_AGE_S + 1.5)  # the loop is blocked for too long
        assert first.lost
        await taken_s(bus, 1)
        await handed_over(bus)
        assert list((await bus.holders()).values()) == ["second"]


async def test_of_two_candidates_over_a_restart_of_the_server_one_has_it(server: EmbeddedServer) -> None:
    async with client(server) as bus, client(server) as other:
        lease = await bus.acquire(NAME, ttl_s=5, holder="first")
        await handed_over(bus)
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        end = time.monotonic() + 6.5
        while time.monotonic() < end:
            with pytest.raises((Conflict, LinkError)):
                await other.acquire(NAME, ttl_s=3, holder="second")
            await asyncio.sleep(0.01)
        assert not lease.lost
        assert (await other.holders())[NAME] == "first"
        await lease.release()
        taken = await other.acquire(NAME, ttl_s=3, holder="second")
        assert taken.token > lease.token
