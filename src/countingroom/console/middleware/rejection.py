"""Answers to requests that a middleware refuses: a Cause for programs, a redirect to the login page for browsers."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from countingroom.console.middleware.request_body import drain
from countingroom.core.errors import Cause


async def reject(scope: Scope, receive: Receive, send: Send, cause: Cause, status: int) -> None:
    """Refuse a websocket before it is accepted, redirect a browser to the login, answer a program with the cause."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": cause.code})
        return
    if scope["method"] == "POST":
        await drain(Headers(scope=scope), receive)
    if status == 401 and _wants_page(scope):
        await _answer(send, 303, b"", [(b"location", f"/login?next={quote(scope['path'])}".encode())])
    else:
        body = msgspec.json.encode({"cause": cause})
        await _answer(send, status, body, [(b"content-type", b"application/json")])


def _wants_page(scope: Scope) -> bool:
    is_page = scope["method"] == "GET" and not scope["path"].startswith("/api/")
    return is_page and "text/html" in Headers(scope=scope).get("accept", "")


async def _answer(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
