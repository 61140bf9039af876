"""Connections that begin a TLS handshake and do not finish it take no files from others."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

from countingroom.app.tls_handshakes import TlsHandshakes
from tests.patience import PATIENCE_S


async def test_half_handshakes_are_bounded_and_a_finished_one_is_not_counted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    handshakes = TlsHandshakes(4)
    handshakes.limit(asyncio.get_running_loop())
    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=trusting, server_hostname="localhost", local_addr=("127.0.0.1", 0)
        )
        half: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        for _ in range(6):
            half.append(await asyncio.open_connection("127.0.0.1", port))
            half[-1][1].write(b"\x16\x03\x01")
        for one, _ in half[:2]:  # the oldest are closed
            with suppress(ConnectionResetError):
                assert await one.read() == b""
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        assert len(handshakes) == 4
        for _, one in (*half, (reader, writer)):
            one.close()
        while len(handshakes):
            await asyncio.sleep(0.01)
    server.close()
