"""Reads and checks the body of a request, once: what is checked is what the handler reads and the audit records.

The check is stricter than the parser of the handlers, so that no body can mean one thing here and another there: UTF-8
without a byte order mark, no NaN, no number out of range, and at most 64 levels.
"""

from __future__ import annotations

import re
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from countingroom.core.clock import timeout
from countingroom.core.errors import Cause
from countingroom.core.messages import Malformed, decode_json
from countingroom.core.plain_text import find_hidden, may_hide

SECRET = frozenset({"password", "present", "token", "secret"})
"""Names of values that are never recorded."""
DEEPEST = 64
"""Levels of lists and objects in each other. The deepest request of this API has four."""
_MOST_DRAINED = 33_554_432
_DRAIN_S = 10.0
_LOOKED_AT = 16_384
"""Bytes in which the place of a level that is too deep is looked for."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""The closing quote is optional, so that a match never fails and the scan takes linear time."""
_BRACKET_OR_STRING = re.compile(rb"[\[{\]}]|" + _STRING.pattern, re.DOTALL)
_PAIR = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse_body(body: bytes) -> tuple[dict[str, Any], Cause | None]:
    """(content, None), or ({}, why it is refused, with the place). The content of a body that is no object is {}."""
    try:
        content = decode_json(body or b"{}", object)
    except Malformed as error:
        # Python 3.13 reads deeper than earlier versions, so its decoder may name another fault of such a body.
        too_deep = isinstance(error.__cause__, RecursionError) or _too_deep_at(body) is not None
        return {}, _too_deep(body) if too_deep else _malformed(str(error))
    if _is_too_deep(body):
        return {}, _too_deep(body)
    hidden = find_hidden(content, but=SECRET) if may_hide(body.decode()) else ""
    if hidden:
        return {}, Cause(
            code="hidden_character",
            message=f"{hidden}, a hidden character that changes how a text is shown",
            source="console.request_body",
            suggestion="remove the character and send the request again",
        )
    return (cast(dict[str, Any], content) if isinstance(content, dict) else {}), None


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; None where the client has gone. The origin check has limited its length."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body first."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def drain(headers: Headers, receive: Receive) -> None:
    """Read and forget the rest of a body, within bounds of size and time. Not while the client waits to send it
    (`Expect: 100-continue`)."""
    # Closing a connection on which the client still sends resets it, and the client never sees the answer.
    length = headers.get("content-length", "0")
    if "expect" in headers or not length.isdecimal() or int(length) > _MOST_DRAINED:
        return
    left = _MOST_DRAINED
    try:
        async with timeout(_DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _is_too_deep(body: bytes) -> bool:
    """Whether valid JSON is nested too deeply. Each turn takes away the innermost level."""
    brackets = _STRING.sub(b"", body).translate(None, _NO_BRACKETS)
    for _ in range(DEEPEST):
        if not brackets:
            break
        brackets = _PAIR.sub(b"", brackets)
    return bool(brackets)


def _too_deep_at(body: bytes) -> int | None:
    """Byte of the first level that is too deep, None where the beginning of the body has none."""
    depth = 0
    for found in _BRACKET_OR_STRING.finditer(body[:_LOOKED_AT]):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        if depth > DEEPEST:
            return found.start()
    return None


def _too_deep(body: bytes) -> Cause:
    at = _too_deep_at(body)
    place = "" if at is None else f" (byte {at})"
    return _malformed(f"lists and objects are nested deeper than {DEEPEST} levels{place}")


def _malformed(why: str) -> Cause:
    return Cause(
        code="malformed",
        message=f"the body is not JSON that can be read: {why}",
        source="console.request_body",
        suggestion="correct the body and send it again: JSON in UTF-8 without a byte order mark",
    )
