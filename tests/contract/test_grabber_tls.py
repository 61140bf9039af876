"""Certificates of an upstream: its own is verified, and ours is shown."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from countingroom.app.mirror import upstream_plan
from countingroom.core.errors import LinkError
from countingroom.mirror.upstream_section import UpstreamSection
from tests.container_engines import make_certificates

_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"messages": []}'


@pytest_asyncio.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    make_certificates(tmp_path)
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.pem")
    secure.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    secure.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secure)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def _asked(address: str, folder: Path, tls: dict[str, Any]) -> list[str]:
    section = UpstreamSection.model_validate({"url": address, "set": "production", "timeout": 10, "tls": tls})
    link = upstream_plan("farm", section, folder).link
    try:
        return await link.ask("{}", "")
    finally:
        await link.close()


async def test_with_our_certificate_and_its_authority_it_answers(address: str, tmp_path: Path) -> None:
    tls = {"ca": "ca.pem", "certificate": "client.pem", "key": "client.key"}
    assert await _asked(address, tmp_path, tls) == []


@pytest.mark.parametrize("tls", [{"certificate": "client.pem", "key": "client.key"}, {"ca": "ca.pem"}])
async def test_without_one_of_both_nothing_is_read(address: str, tmp_path: Path, tls: dict[str, str]) -> None:
    with pytest.raises(LinkError) as refused:
        await _asked(address, tmp_path, tls)
    assert refused.value.cause.code == "not_reached"
