"""Fixtures of the contract suites that more than one file needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from countingroom.storage.database import Database
from tests.container_engines import EngineServer, docker_server, podman_server
from tests.contract.series_servers import InfluxServer, VictoriaMetricsServer
from tests.contract.storage.postgres import Postgres
from tests.contract.storage.stand import Stand
from tests.slurm_server import SlurmServer, slurm_server
from tests.ssh_node import SshServer, ssh_server

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)


@pytest.fixture(scope="session")
def postgres(needs: Callable[[str], str]) -> Iterator[Postgres]:
    server = Postgres(needs("initdb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def influxdb_server(needs: Callable[[str], str]) -> Iterator[InfluxServer]:
    server = InfluxServer(needs("influxd"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def victoriametrics_server(needs: Callable[[str], str]) -> Iterator[VictoriaMetricsServer]:
    server = VictoriaMetricsServer(needs("victoria-metrics"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def docker(needs: Callable[[str], str]) -> Iterator[EngineServer]:
    with docker_server(needs) as server:
        yield server


@pytest.fixture(scope="session")
def podman(needs: Callable[[str], str]) -> Iterator[EngineServer]:
    with podman_server(needs) as server:
        yield server


@pytest.fixture(scope="session")
def slurm(needs: Callable[[str], str]) -> Iterator[SlurmServer]:
    with slurm_server(needs) as server:
        yield server


@pytest.fixture(scope="session")
def sshd(needs: Callable[[str], str]) -> Iterator[SshServer]:
    with ssh_server(needs) as server:
        yield server


@pytest_asyncio.fixture(params=["sqlite", "memory", POSTGRESQL])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    async with AsyncExitStack() as stack:
        yield Stand(await _url(request, tmp_path), stack)


@pytest_asyncio.fixture(params=["sqlite", POSTGRESQL])
async def shared_stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """A database that several can open."""
    async with AsyncExitStack() as stack:
        yield Stand(await _url(request, tmp_path), stack)


@pytest_asyncio.fixture(params=["sqlite", POSTGRESQL])
async def empty_stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """A database that several can open, and that has no tables yet."""
    async with AsyncExitStack() as stack:
        yield Stand(await _url(request, tmp_path, is_empty=True), stack)


@pytest_asyncio.fixture(params=[POSTGRESQL])
async def server_stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """A database that is a server."""
    async with AsyncExitStack() as stack:
        yield Stand(await _url(request, tmp_path), stack)


@pytest_asyncio.fixture(params=[POSTGRESQL])
async def stand_pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Stand, Stand]]:
    """Two databases of a server: one with tables, one without."""
    async with AsyncExitStack() as stack:
        first, second = await _url(request, tmp_path), await _url(request, tmp_path, is_empty=True)
        yield Stand(first, stack), Stand(second, stack)


@pytest_asyncio.fixture
async def database(stand: Stand) -> Database:
    return await stand.open()


async def _url(request: pytest.FixtureRequest, tmp_path: Path, *, is_empty: bool = False) -> str:
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.database() if is_empty else await server.migrated()
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'storage.sqlite'}"
