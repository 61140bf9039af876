"""A body that is not plain JSON is refused with its place and recorded; a body that is too large gets its answer."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from countingroom.console.app import create
from countingroom.console.middleware.request_body import DEEPEST, parse_body
from countingroom.core.clock import SystemClock
from tests.console.people import House, house
from tests.console.stage import Stage, stage
from tests.patience import PATIENCE_S

COMMAND = "/api/v1/devices/caen/commands/lv_on"
PLACES = {
    b"[" * 1100: f"byte {DEEPEST}",
    b'{"arguments":' * 500 + b"1" + b"}" * 500: "deeper",
    b"\xef\xbb\xbf{}": "byte 0",
    '{"arguments": {"value": 1}}'.encode("utf-16"): "byte 0",
    b'{"wait_s": NaN}': "byte 11",
    b'{"wait_s": 1e999}': "out of range",
    b'{"channel": "\xff"}': "utf-8",
    b'{"channel": "\\ud800"}': "truncated",
    b'{"channel": "': "truncated",
    b"{} {}": "byte 4",
}
"""Body -> what the refusal says about the place."""


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


@pytest.fixture
async def home(here: Stage) -> AsyncGenerator[House]:
    async with house(here) as standing:
        yield standing


async def test_a_malformed_body_is_refused_with_its_place_and_recorded(here: Stage, home: House) -> None:
    sam = await home.browser("sam")
    for body, place in PLACES.items():
        answer = await sam.post(COMMAND, content=body, headers={"content-type": "application/json"})
        cause = answer.json()["cause"]
        assert (answer.status_code, cause["code"]) == (400, "malformed"), body[:30]
        assert place in cause["message"]
        entry = (await home.record())[0]
        assert (entry.who, entry.what, entry.target, entry.outcome) == ("sam", "lv_on", "device.caen", "refused")
        assert entry.cause is not None
        assert entry.cause.code == "malformed"
    assert here.asked == []
    assert len(await home.record()) == 1 + len(PLACES)


async def test_a_stranger_with_a_malformed_body_gets_the_same_answer(home: House) -> None:
    for path in ("/api/v1/login", "/api/v1/link"):
        answer = await home.client().post(path, content=b"[" * 1100, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["cause"]["code"]) == (400, "malformed")
        assert (await home.record())[0].what == path.rpartition("/")[2]


@given(st.binary(max_size=60) | st.text('[]{}",:\\1aN\u202e \n', max_size=200).map(str.encode))
def test_a_body_is_read_as_the_handlers_read_it_or_refused(body: bytes) -> None:
    content, cause = parse_body(body)
    if cause is None:
        read = json.loads(body) if body else {}
        assert content == (read if isinstance(read, dict) else {})
    else:
        assert content == {}
        assert cause.suggestion


plain = st.text('ab[]{}\\":,ä日\n', max_size=20)


@given(
    st.recursive(
        st.none() | st.floats(allow_nan=False, allow_infinity=False) | plain,
        lambda inner: st.lists(inner) | st.dictionaries(plain, inner),
    )
)
def test_what_a_program_writes_as_json_is_read(value: object) -> None:
    assert parse_body(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))[1] is None


def test_the_greatest_depth_is_exact_for_lists_objects_and_both() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}"), ('[[],{"a":', "}]")):
        levels = DEEPEST // (1 if len(closing) == 1 else 2)
        assert parse_body(f"{opening * levels}1{closing * levels}".encode())[1] is None
        cause = parse_body(f"{opening * levels}[]{closing * levels}".encode())[1]
        assert cause is not None and "deeper than 64 levels (byte " in cause.message


def test_a_text_full_of_brackets_and_quotes_is_not_deep() -> None:
    for text in ("[" * 60_000, '"' * 30_000, "\\" * 30_000):
        assert parse_body(json.dumps({"value": text}).encode()) == ({"value": text}, None)
    assert parse_body(b'"' + b'\\"' * 30_000)[1] is not None


async def test_a_body_that_is_too_large_gets_an_answer_and_no_reset(here: Stage) -> None:
    app = create(here.bus.client(), here.clock, title="t", version="1")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=2))
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        for size in (70_000, 7_000_000):
            assert (await asyncio.to_thread(answer_to_a_body, port, size)).startswith(b"HTTP/1.1 413 ")
        server.should_exit = True


def answer_to_a_body(port: int, size: int) -> bytes:
    """Send the whole body, as most clients do, and only then read."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        head = f"POST {COMMAND} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Connection: close\r\nContent-Length: {size}\r\n\r\n".encode() + b" " * size)
        return connection.recv(1000)
