# pyright: reportPrivateUsage=false
"""The client of nats-py closes without an error, however its connection has ended, and reads headers as before."""

from __future__ import annotations

import asyncio

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from countingroom.bus.nats.pinned_client import PinnedClient, PinnedTransport
from tests.patience import PATIENCE_S


async def test_a_close_after_a_wait_that_was_cancelled_is_no_error() -> None:
    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stay, "127.0.0.1", 0)
    client = PinnedClient()
    client._transport = transport = PinnedTransport()
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    transport._bare_io_reader = transport._io_reader = reader
    transport._bare_io_writer = transport._io_writer = writer
    waiting = asyncio.create_task(transport.wait_closed())  # as inside `connect`, which ends by its deadline
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    client._status = PinnedClient.CLOSED  # `connect` had begun to close it
    await client.close()
    assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    server.close()
    await server.wait_closed()


async def test_an_attempt_that_fails_in_its_handshake_leaves_no_connection_open() -> None:
    """On a busy machine a greeting comes too late, and a server that just starts closes what it accepted."""
    count = 0
    ended: list[bytes] = []
    last = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        if count == 1:
            writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1024}\r\n')
            while not (await reader.readline()).startswith(b"PING"):
                pass
            writer.write(b"PONG\r\n")
            await writer.drain()
        elif count < 4:
            writer.write(b"too busy\r\n")
            ended.append(await reader.read())
        else:
            last.set()
            await reader.read()
        writer.close()

    async def told(_: Exception) -> None:
        pass

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = PinnedClient()
    async with asyncio.timeout(PATIENCE_S):
        await client.connect(
            f"nats://127.0.0.1:{port}", reconnect_time_wait=0, max_reconnect_attempts=-1, error_cb=told
        )
        await last.wait()
        while ended != [b"", b""]:
            await asyncio.sleep(0.01)
    await client.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0\r\n", " a", "a\t"])
def test_a_subject_that_would_be_another_command_is_refused(subject: str) -> None:
    with pytest.raises(nats.errors.BadSubjectError):
        PinnedClient().send(subject, b"")


async def test_a_message_that_cannot_be_taken_does_not_end_the_reading(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[bytes] = []

    def take(message: Msg) -> None:
        if message.data == b"bad":
            raise ValueError("no")
        taken.append(message.data)

    client = PinnedClient()
    client._takers[1] = take
    await client._ps.parse(b"MSG a 1 3\r\nbad\r\nMSG a 1 r 4\r\ngo")
    await client._ps.parse(b"od\r\n")
    assert taken == [b"good"]
    assert "a message on a could not be taken" in caplog.text


@pytest.mark.parametrize(
    "raw",
    [
        b"Nats-Msg-Id: caen:b:12\r\n\r\n",
        b"KV-Operation: DEL\r\nNats-Msg-Id:x\r\na:\tb \r\n\r\n",
        b"no colon\r\ntwo words: x\r\n: empty\r\n"
        b"\xc2\xb5: y\r\nvalue: \xc2\xb5\xff\r\na\x1cb: x\r\n\x1ca: x\r\n a : x:y\r\n"
        b"a: z",
        b"",
        b"\r\n",
    ],
)
def test_headers_are_read_as_nats_py_reads_them(raw: bytes) -> None:
    found = PinnedClient._parse_header_lines(raw)
    assert found == Client._parse_header_lines(raw)
