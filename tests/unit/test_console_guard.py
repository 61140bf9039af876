"""Nothing another site made a browser send reaches a handler; every answer carries the strict policy."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from countingroom.console.middleware.origin import DOCUMENT_BYTES, MOST_BYTES, OriginMiddleware, check_request
from countingroom.core.clock import SystemClock
from tests.console.stage import Stage, served, stage

HOST = {"host": "127.0.0.1:8080"}
JSON = {"content-type": "application/json", "content-length": "2"}
PAGE = HOST | JSON | {"origin": "http://127.0.0.1:8080", "x-countingroom": "console"}


def verdict(kind: str, method: str, headers: dict[str, str]) -> tuple[int, str] | None:
    told = check_request(kind, method, Headers(headers))
    return (told[0], told[1].code) if told else None


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "localhost:99", "[::1]:8080", "LOCALHOST:8080"])
def test_loopback_names_pass(host: str) -> None:
    assert verdict("http", "GET", {"host": host}) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example:8080", "localhost.evil.example", "10.0.0.3"]
)
def test_any_other_host_is_refused_for_pages_and_websockets(host: str) -> None:
    assert verdict("http", "GET", {"host": host}) == (421, "forged_host")
    assert verdict("websocket", "", {"host": host}) == (421, "forged_host")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080", ""]
)
def test_a_page_of_another_origin_may_neither_act_nor_listen(origin: str) -> None:
    assert verdict("http", "POST", PAGE | {"origin": origin}) == (403, "forged_origin")
    assert verdict("websocket", "", HOST | {"origin": origin}) == (403, "forged_origin")


def test_own_pages_act_and_listen() -> None:
    assert verdict("http", "POST", PAGE) is None
    assert verdict("websocket", "", HOST | {"origin": "http://127.0.0.1:8080"}) is None


def test_a_program_sends_no_origin_and_passes_but_a_browser_that_hides_it_does_not() -> None:
    assert verdict("http", "POST", HOST | JSON) is None
    assert verdict("http", "POST", HOST | JSON | {"sec-fetch-site": "cross-site"}) == (403, "forged_origin")
    assert verdict("websocket", "", HOST | {"sec-fetch-site": "same-site"}) == (403, "forged_origin")


def test_a_body_is_small_and_json() -> None:
    assert verdict("http", "POST", HOST | {"content-type": "text/plain", "content-length": "2"}) == (415, "not_json")
    assert verdict("http", "POST", HOST | JSON | {"content-length": str(MOST_BYTES + 1)}) == (413, "too_large")
    assert verdict("http", "POST", HOST | {"transfer-encoding": "chunked"}) == (411, "length")
    assert verdict("http", "POST", HOST | {"content-length": "0"}) is None
    assert verdict("http", "DELETE", PAGE) == (405, "method")


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("experiment/commands/import", DOCUMENT_BYTES, 200),
        ("experiment/commands/import", DOCUMENT_BYTES + 1, 413),
        ("partitions/A/start", MOST_BYTES + 1, 413),
    ],
)
async def test_a_document_of_configurations_may_be_longer(path: str, length: int, status: int) -> None:
    answered: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answered.append(200)

    async def send(message: Message) -> None:
        answered.extend([message["status"]] if "status" in message else [])

    async def receive() -> Message:
        return {"type": "http.request"}

    headers = HOST | JSON | {"content-length": str(length)}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await OriginMiddleware(app)(
        {"type": "http", "method": "POST", "path": f"/api/v1/{path}", "headers": raw}, receive, send
    )
    assert answered == [status]


@given(st.dictionaries(st.sampled_from(["host", "origin", "sec-fetch-site", "content-length"]), st.text(max_size=40)))
def test_no_header_breaks_the_guard(headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    for kind, method in (("http", "GET"), ("http", "POST"), ("websocket", "")):
        check_request(kind, method, Headers(raw=raw))


async def test_a_forged_websocket_is_closed_before_it_is_accepted() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(*_: object) -> None:
        pytest.fail("the application was reached")

    scope = {"type": "websocket", "headers": [(b"host", b"evil.example")]}
    await OriginMiddleware(never)(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "forged_host"}]


@pytest.fixture
async def web() -> AsyncGenerator[tuple[Stage, httpx.AsyncClient]]:
    async with stage(SystemClock()) as here, served(here) as (_, client):
        yield here, client


async def test_every_answer_carries_the_strict_policy(web: tuple[Stage, httpx.AsyncClient]) -> None:
    for path in ("/", "/api/v1/devices", "/nothing", "/static/js/main.js", "/healthz"):
        answer = await web[1].get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_forged_command_never_reaches_the_bus(web: tuple[Stage, httpx.AsyncClient]) -> None:
    here, client = web
    url = "/api/v1/devices/caen/commands/hv_off"
    assert (await client.post(url, json={}, headers={"origin": "http://evil.example"})).status_code == 403
    assert (await client.post(url, json={}, headers={"host": "evil.example"})).status_code == 421
    assert (await client.post(url, json={}, headers={"origin": "http://127.0.0.1:8080"})).status_code == 403
    assert here.asked == []
    headers = {"origin": "http://127.0.0.1:8080", "x-countingroom": "console"}
    assert (await client.post(url, json={}, headers=headers)).status_code == 202
    assert here.asked[0][1].origin == "console 127.0.0.1"


async def test_no_page_holds_inline_script_or_style(web: tuple[Stage, httpx.AsyncClient]) -> None:
    for path in ("/", "/devices/caen", "/trends", "/events"):
        text = (await web[1].get(path)).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick=" not in text
        assert text.count("<script") == text.count("<script src=") + text.count('<script type="module" src=') + 1
