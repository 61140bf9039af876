"""Whose connection ended is told by name; the store of a server from before it could tell is taken over."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.disconnects import read
from countingroom.bus.server.configuration import ACCOUNT, NAMELESS
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.subjects import DEPARTURES
from tests.patience import PATIENCE_S

CHILD = """
import asyncio, sys
from countingroom.bus import nats
async def main():
    bus = await nats.connect(sys.argv[1], name="agent.sts.b1")
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
async def server(tmp_path: Path):
    server = EmbeddedServer(tmp_path, description=BusSection())
    await server.start()
    yield server
    await server.stop()


async def test_a_killed_process_is_told_by_the_name_of_its_connection(server: EmbeddedServer) -> None:
    bus = await nats.connect(server.url_with_login(), name="watcher")
    try:
        async with bus.subscribe(DEPARTURES) as departures, asyncio.timeout(PATIENCE_S):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CHILD, server.url_with_login(), stdout=asyncio.subprocess.PIPE
            )
            assert child.stdout
            await child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            async for message in departures:
                left = read(message)
                if left and left.name == "agent.sts.b1":
                    assert left.sure
                    break
            await child.wait()
    finally:
        await bus.close()


async def test_the_store_of_a_server_without_accounts_is_taken_over(tmp_path: Path) -> None:
    async def written(server: EmbeddedServer, value: bytes = b"") -> bytes | None:
        await server.start()
        bus = await nats.connect(server.url_with_login(), name="test")
        try:
            await bus.ensure_bucket("kept")
            if value:
                await bus.put("kept", "a", value)
            entry = await bus.get("kept", "a")
            return entry.data if entry else None
        finally:
            await bus.close()
            await server.stop()

    assert await written(EmbeddedServer(tmp_path, description=BusSection()), b"value") == b"value"
    streams = tmp_path / "store" / "jetstream"
    (streams / ACCOUNT).rename(streams / NAMELESS)
    assert await written(EmbeddedServer(tmp_path, description=BusSection())) == b"value"
