"""The embedded server refuses a client without a password, and passwords are for one account of the machine alone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.login import FindBusLogin
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.server.credentials import of_running
from countingroom.bus.server.permissions import granted
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.bus_grants import BusGrants
from countingroom.core.errors import ConfigurationError
from tests.patience import PATIENCE_S
from tests.system.refused_login import is_refused

pytestmark = pytest.mark.server

USERS = [granted(name, BusGrants()) for name in ("console", "runs")]


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(data / "bus", description=BusSection(), users=USERS)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with running(tmp_path) as server:
        yield server


@asynccontextmanager
async def client(url: str, login: FindBusLogin | None = None) -> AsyncIterator[NatsBus]:
    bus = await nats.connect(url, name="test", login=login, timeout_s=PATIENCE_S)
    try:
        yield bus
    finally:
        await bus.close()


async def until_connected(bus: NatsBus) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not bus.connected:
            await asyncio.sleep(0.02)


async def test_a_client_without_a_password_is_refused(server: EmbeddedServer) -> None:
    assert await is_refused(server.url)


@pytest.mark.parametrize(("user", "password"), [("runs", "wrong"), ("house", ""), ("nobody", "x")])
async def test_a_wrong_password_is_refused(server: EmbeddedServer, user: str, password: str) -> None:
    assert await is_refused(server.url, user=user, password=password)


async def test_a_user_connects_with_the_password_in_the_data_folder(server: EmbeddedServer, tmp_path: Path) -> None:
    url, login = of_running(tmp_path, "runs")
    assert url == server.url
    async with client(url, login) as bus:
        assert bus.connected


async def test_an_unknown_user_is_told_so_with_advice(server: EmbeddedServer, tmp_path: Path) -> None:
    _, login = of_running(tmp_path, "cook")
    with pytest.raises(ConfigurationError, match="no user cook"):
        login()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        of_running(tmp_path / "elsewhere", "runs")


async def test_passwords_do_not_show_in_a_traceback(server: EmbeddedServer) -> None:
    assert server.login("runs").password not in repr(server.login("runs"))


async def test_a_killed_server_accepts_its_clients_again(server: EmbeddedServer) -> None:
    async with client(server.url, lambda: server.login("runs")) as bus:
        lost = asyncio.Event()
        bus.on_link(lambda up: None if up else lost.set())
        assert server.pid
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.wait_for(lost.wait(), PATIENCE_S)
        await until_connected(bus)


async def test_a_process_started_by_hand_finds_the_password_of_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        url, login = of_running(tmp_path, "runs")
        before = first.login("runs")
        bus = await nats.connect(url, name="by hand", login=login)
    try:
        async with running(tmp_path) as second:
            assert second.url == url
            assert second.login("runs") != before
            await until_connected(bus)
    finally:
        await bus.close()


async def test_every_file_of_the_server_is_for_its_owner_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    folder = tmp_path / "bus"
    assert folder.stat().st_mode & 0o077 == 0
    for name in ("nats.conf", "credentials.json", "server.json"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name
