"""A stranger's connections and half-sent requests end by themselves, and never cost a user the connection."""

from __future__ import annotations

import asyncio
import inspect
import resource
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from countingroom.app import web_server
from countingroom.app.bounded_protocols import CONTROL_FRAMES, bounded
from countingroom.app.connection_table import (
    ASKING_S,
    ConnectionLimits,
    ConnectionRank,
    ConnectionTable,
    OpenConnection,
    connection_limits,
)
from countingroom.app.file_limit import raise_file_limit
from countingroom.app.listening_socket import listen
from countingroom.console.auth.requester import LOCAL_REQUESTER
from tests.patience import PATIENCE_S

SMALL = ConnectionLimits(everybody=6, address=4, user=2)


class House:
    """A table, and which connections it has closed."""

    def __init__(self, limits: ConnectionLimits = SMALL) -> None:
        self.table = ConnectionTable(limits)
        self.closed: list[str] = []

    def open(
        self, name: str, address: str, user: str = "", *, operates: bool = False, now_s: float = 0.0
    ) -> OpenConnection:
        one = OpenConnection(address, lambda: self.closed.append(name))
        self.table.add(one, now_s=now_s)
        if user:
            self.table.identify(one, user, operates=operates, now_s=now_s)
        return one

    def ask(self, name: str, address: str, *, now_s: float = 0.0, answered: bool = False) -> OpenConnection:
        """A new connection whose first request has arrived."""
        one = self.open(name, address, now_s=now_s)
        self.table.asks(one, now_s=now_s)
        if answered:
            self.table.answered(one, now_s=now_s)
        return one


def test_a_stranger_beyond_the_limit_of_his_address_ends_his_own_oldest_connection() -> None:
    house = House()
    house.open("vera", "a", "vera")
    for number in range(100):
        house.open(f"s{number}", "a")
    assert house.closed == [f"s{number}" for number in range(97)]
    assert len(house.table) == 4


def test_a_connection_answered_without_a_login_gives_way_before_one_that_was_never_answered() -> None:
    house = House()
    house.open("sam", "a")
    again = house.ask("s0", "a", answered=True)
    house.ask("s1", "a", answered=True)
    house.table.asks(again, now_s=0)
    for number in range(2, 50):
        house.ask(f"s{number}", "a", answered=True)
    assert house.closed[:2] == ["s1", "s2"]
    assert "sam" not in house.closed and "s0" not in house.closed


def test_pipelined_requests_of_strangers_keep_no_place() -> None:
    house = House()
    for number in range(4):
        one = house.ask(f"s{number}", "a", answered=True)
        house.table.asks(one, now_s=0)
    for number in range(4):
        house.open(f"n{number}", "a")
    assert house.closed == ["s0", "s1", "s2", "s3"]


def test_a_first_request_keeps_its_connection_for_a_short_time_only() -> None:
    house = House()
    first = house.ask("sam", "a", now_s=1)
    for number in range(50):
        house.open(f"s{number}", "a", now_s=1)
    assert "sam" not in house.closed
    house.table.identify(first, "sam", operates=True, now_s=2)
    slow = House()
    for number in range(4):
        slow.ask(f"s{number}", "a", now_s=number / 10)
    slow.open("n0", "a", now_s=ASKING_S - 0.1)
    assert slow.closed == ["n0"]
    slow.open("n1", "a", now_s=ASKING_S)
    slow.open("n2", "a", now_s=ASKING_S)
    assert slow.closed == ["n0", "s0", "n1"]


def test_a_user_stays_one_whatever_is_answered_later() -> None:
    house = House()
    one = house.open("vera", "a", "vera")
    house.table.asks(one, now_s=1)
    house.table.answered(one, now_s=1)
    assert one.rank is ConnectionRank.VIEWER


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "ask", "answer", "vera", "sam", "remove"]), st.integers(0, 30), st.integers(0, 2)
    ),
    max_size=200,
)


@given(STEPS)
def test_the_limits_hold_and_no_identified_connection_gives_way_before_a_stranger(
    steps: list[tuple[str, int, int]],
) -> None:
    table = ConnectionTable(SMALL)
    ones: list[OpenConnection] = []
    alive: set[OpenConnection] = set()
    over_user = False

    def close(one: OpenConnection) -> None:
        alive.discard(one)
        if one.rank >= ConnectionRank.VIEWER and not over_user:
            same = [other for other in alive if other.address == one.address]
            among = same if len(same) >= SMALL.address - 1 else list(alive)
            assert all(other.rank >= ConnectionRank.ASKING for other in among)

    for now_s, (what, which, place) in enumerate(steps):
        over_user = what in ("vera", "sam")
        if what == "open" or not ones:
            one = OpenConnection(f"a{place}", lambda: None)
            one.close = partial(close, one)
            ones.append(one)
            alive.add(one)
            table.add(one, now_s=now_s)
        else:
            one = ones[which % len(ones)]
            if what == "ask":
                table.asks(one, now_s=now_s)
            elif what == "answer":
                table.answered(one, now_s=now_s)
            elif what == "remove":
                alive.discard(one)
                table.remove(one)
            else:
                table.identify(one, what, operates=what == "sam", now_s=now_s)
        assert len(table) == len(alive) <= SMALL.everybody
        for address in ("a0", "a1", "a2"):
            assert sum(other.address == address for other in alive) <= SMALL.address


def test_viewers_give_way_before_operators_and_operators_to_none() -> None:
    house = House()
    house.open("sam", "a", "sam", operates=True)
    for name in ("v1", "v2", "v3", "v4", "v5"):
        house.open(name, name, name)
    house.open("new", "b")
    assert house.closed == ["v1"]
    full = House(ConnectionLimits(everybody=2))
    for name in ("eve", "sam"):
        full.open(name, name, name, operates=True)
    full.open("stranger", "a")
    assert full.closed == ["stranger"]
    assert len(full.table) == 2


def test_one_user_has_a_limit_over_all_addresses() -> None:
    house = House()
    for number in range(4):
        house.open(f"v{number}", f"a{number}", "vera")
    assert house.closed == ["v0", "v1"]


def test_what_has_ended_is_forgotten() -> None:
    house = House()
    ones = [house.open(f"v{number}", "a", "vera") for number in range(2)]
    for one in (*ones, *ones):
        house.table.remove(one)
    assert len(house.table) == 0
    assert ones[0].rank is ConnectionRank.VIEWER
    for name in ("x", "y"):
        house.open(name, "a", "vera")
    assert house.closed == []


def test_limits_leave_files_for_the_rest_and_a_proxy_is_one_address() -> None:
    assert connection_limits(files=1024) == ConnectionLimits(everybody=768, address=256)
    assert connection_limits(files=1024, behind_proxy=True).address == 768
    assert connection_limits(files=1_000_000).everybody == 2048
    assert connection_limits(files=100) == ConnectionLimits(everybody=64, address=32)


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
        raised = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised
        assert raised == before[1] or raised > 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body, for a known user."""
    if scope["path"] == "/deaf":
        await send({"type": "websocket.accept"})
        await asyncio.Future[None]()
    if scope["path"] == "/known":
        scope["requester"] = LOCAL_REQUESTER
    body = await Request(scope, receive).body()
    await PlainTextResponse("x" * 50_000_000 if scope["path"] == "/large" else str(len(body)))(scope, receive, send)


async def test_an_application_begins_before_it_is_served_and_ends_after_it() -> None:
    """The console follows the bus between the two; without it, it serves an experiment where there is nothing."""
    told: list[str] = []
    served = asyncio.Event()

    async def working(_: Scope, receive: Receive, send: Send) -> None:
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            told.append(kind)
            await send({"type": f"lifespan.{kind}.complete"})

    def serves() -> None:
        told.append("serves")
        served.set()

    listening = listen("127.0.0.1", 0)
    serving = asyncio.ensure_future(web_server.serve(working, listening, serves, has_lifespan=True))
    async with asyncio.timeout(PATIENCE_S):
        await served.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
    assert told == ["startup", "serves", "shutdown"]


@asynccontextmanager
async def site(
    limits: ConnectionLimits,
    monkeypatch: pytest.MonkeyPatch,
    tables: list[ConnectionTable] | None = None,
    *,
    header_s: float = 0.5,
) -> AsyncGenerator[int]:
    """A server with short times. Its table is added to `tables`."""

    def quick(table: ConnectionTable) -> object:
        if tables is not None:
            tables.append(table)
        return bounded(table, header_s=header_s, body_s=0.5, read_s=0.5)

    monkeypatch.setattr(web_server, "bounded", quick)
    listening, ready = listen("127.0.0.1", 0), asyncio.Event()
    port = listening.getsockname()[1]
    serving = asyncio.ensure_future(web_server.serve(app, listening, ready.set, limits=limits))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await ready.wait()
        yield port
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def ask(port: int, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


HEAD = b"HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST / " + HEAD + b"Content-Length: 1000\r\n\r\nhalf",
        b"GET / " + HEAD + b"\r\nGET / HTTP/1.1\r\nHost",
    ],
    ids=["nothing", "half a header", "half a body", "half a second request"],
)
async def test_a_half_sent_request_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(ConnectionLimits(), monkeypatch) as port:
        reader, writer = await ask(port, sent)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    if not await reader.read(65536):
                        break
                    writer.write(b"")
                except ConnectionError:
                    break
        writer.close()


CHUNKED = b"POST / " + HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
HTTP_2 = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


async def answers(port: int, sent: bytes) -> bytes:
    """All that is answered until the server closes."""
    reader, writer = await ask(port, sent)
    async with asyncio.timeout(PATIENCE_S):
        read = await reader.read()
    writer.close()
    return read


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"no valid HTTP"),
        (b"GET / " + HEAD + b"Host: other\r\n\r\n", b"no valid HTTP"),
        (b"GET / " + HEAD + b"A: " + b"a" * 70_000, b"more than 65536 bytes"),
        (b"GET /" + b"a" * 70_000, b"more than 65536 bytes"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 12_000, b"more than 65536 bytes"),
        (b"POST / " + HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"no valid HTTP"),
        (b"\x16\x03\x01\x02\x00", b"no valid HTTP"),
        ((b"GET / " + HEAD + b"\r\n") * 40, b"no valid HTTP"),
        (b"CONNECT other:80 " + HEAD + b"\r\n", b"no valid HTTP"),
        (b"GET / " + HEAD + b"\r\nCONNECT other:80 " + HEAD + b"\r\n", b"no valid HTTP"),
    ],
    ids=[
        "no host",
        "two hosts",
        "long header",
        "long address",
        "trailers",
        "two lengths",
        "TLS",
        "40 at once",
        "for a proxy",
        "for a proxy, second",
    ],
)
async def test_what_is_no_request_or_too_long_is_refused(
    sent: bytes, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(ConnectionLimits(), monkeypatch) as port:
        answer = await answers(port, sent)
    assert b"HTTP/1.1 400" in answer and said in answer


async def test_a_request_for_a_proxy_is_refused_without_recursion(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its limit a recursion ended inside of `close`: the loop kept the file, and the next connection hung."""
    depths: list[int] = []
    refuse = HttpToolsProtocol.send_400_response

    def noting(self: HttpToolsProtocol, msg: str) -> None:
        depths.append(len(inspect.stack(0)))
        refuse(self, msg)

    monkeypatch.setattr(HttpToolsProtocol, "send_400_response", noting)
    async with site(ConnectionLimits(), monkeypatch) as port:
        await answers(port, b"GET /missing HTTP/1.1\r\n\r\n")
        await answers(port, b"CONNECT other:80 " + HEAD + b"\r\n")
    assert len(depths) == 2 and depths[0] == depths[1]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"POST / " + HEAD + b"Content-Length: 5\r\n" + HTTP_2 + b"\r\nhello", [b"5"]),
        (b"POST / " + HEAD + b"Content-Length: 5\r\n" + HTTP_2 + b"\r\nhelloGET / " + HEAD + b"\r\n", [b"5", b"0"]),
        (CHUNKED + b"0\r\nA: b\r\n\r\nGET / " + HEAD + b"\r\n", [b"5", b"0"]),
        ((b"GET / " + HEAD + b"\r\n") * 3, [b"0", b"0", b"0"]),
        (b"POST / " + HEAD + b"Content-Length: 500000\r\n\r\n" + b"a" * 500_000, [b"500000"]),
        (b"GET / HTTP/1.0\r\n\r\n", [b"0"]),
    ],
    ids=["HTTP/2 asked for", "and one more", "trailer", "three at once", "large body", "HTTP/1.0"],
)
async def test_requests_are_answered_in_order(sent: bytes, said: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(ConnectionLimits(), monkeypatch) as port:
        answer = await answers(port, sent)
    assert [one.partition(b"\r\n\r\n")[2] for one in answer.split(b"HTTP/1.1 200 OK")[1:]] == said


async def test_an_answer_that_is_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[ConnectionTable] = []
    async with site(ConnectionLimits(), monkeypatch, tables) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /large " + HEAD + b"\r\n")
            async with asyncio.timeout(PATIENCE_S):
                for wanted in (1, 0):
                    while len(tables[0]) != wanted:
                        await asyncio.sleep(0)


async def test_a_known_user_is_served_beside_a_flood_of_half_sent_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ConnectionLimits(everybody=30, address=20)
    # On a busy machine the flood begins more slowly than a header may come.
    async with site(limits, monkeypatch, header_s=2 * PATIENCE_S) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await ask(port, b"GET /known " + HEAD + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        flood = [await ask(port, b"GET / HTTP/1.1\r\nHost: loc") for _ in range(60)]
        writer.write(b"GET /known " + HEAD + b"\r\n")
        await reader.readexactly(1)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for _, one in (*flood, (reader, writer)):
            one.close()


async def test_a_new_client_is_answered_beside_a_flood_of_complete_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """From one address, 300 connections for 100 places. Each waits for its turn in the kernel, and is answered."""
    async with site(ConnectionLimits(everybody=200, address=100), monkeypatch) as port, asyncio.timeout(PATIENCE_S):
        ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        for one in ones:
            one.setblocking(False)
            one.send(b"GET / " + HEAD + b"\r\n")
        for one in ones:
            answer = await asyncio.get_running_loop().sock_recv(one, 1000)
            assert answer.startswith(b"HTTP/1.1 200")
            one.close()


@pytest.mark.server
async def test_a_websocket_that_sends_without_pause_is_closed_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(ConnectionLimits(), monkeypatch) as port, connect(f"ws://127.0.0.1:{port}/deaf") as client:
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await client.send("{}")
        assert (client.close_code, client.close_reason) == (1008, "more than 64 messages are unread")


def frames(opcode: int, number: int, *, ends: bool) -> bytes:
    """Empty frames of a client."""
    return bytes((ends << 7 | opcode, 0x80, 0, 0, 0, 0)) * number


UPGRADE = (
    b"GET /deaf " + HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.server
@pytest.mark.parametrize(
    ("begin", "frame"),
    [
        (b"", frames(9, 1, ends=True)),
        (b"", frames(10, 1, ends=True)),
        (frames(1, 1, ends=False), frames(0, 1, ends=False)),
    ],
    ids=["pings", "pongs", "fragments"],
)
async def test_frames_without_content_are_bounded(begin: bytes, frame: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """40,000 of them are read at once; one viewer held the loop for 2 s, again and again."""
    parsed: list[int] = []
    parse = WebSocketsSansIOProtocol.data_received

    def noting(self: WebSocketsSansIOProtocol, data: bytes) -> None:
        parsed.append(len(data))
        parse(self, data)

    async with site(ConnectionLimits(), monkeypatch) as port, asyncio.timeout(PATIENCE_S):
        reader, writer = await ask(port, UPGRADE)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", noting)
        writer.write(begin + frame * 20)  # as many are taken
        writer.write(frame * 40_000)
        said = await reader.readuntil(b"too many pings, pongs or fragments")
        writer.close()
    assert b"\x03\xf0" in said, "1008"
    assert sum(parsed) < 2 * CONTROL_FRAMES * len(frame) + 2 * 1024
