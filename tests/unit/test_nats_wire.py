"""A refused login is told as refused, also after later attempts fail in another way."""

from __future__ import annotations

import asyncio
import json

import pytest

from countingroom.bus import nats
from countingroom.core.errors import ConfigurationError, Denied

_INFO = {"server_id": "S", "version": "2.15.1", "proto": 1, "host": "127.0.0.1", "max_payload": 1 << 20}


async def test_a_refusal_is_told_when_later_attempts_are_cut_short() -> None:
    attempts = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.write(b"INFO " + json.dumps(_INFO).encode() + b"\r\n")
        await reader.readuntil(b"PING\r\n")
        if attempts == 1:
            writer.write(b"-ERR 'Authorization Violation'\r\n")
            await writer.drain()
            writer.close()
        else:
            writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Denied):
            await nats.connect(f"nats://127.0.0.1:{port}", name="test", user="board", password="rosebud", timeout_s=1)
    assert attempts > 1


@pytest.mark.parametrize("url", ["nats://[::1", "nats://bus.example:99999999"])
async def test_an_address_that_is_none_is_a_mistake_and_not_a_link(url: str) -> None:
    with pytest.raises(ConfigurationError, match="not the address of a bus"):
        await nats.connect(url, name="test", timeout_s=1)
