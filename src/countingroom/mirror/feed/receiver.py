"""The receiver of the feed, outside: one address that takes batches with the right token, and answers one number.

It reads nothing for the sender, sends nothing to the inside and knows nothing of it. An answer to a wrong request says
what is wrong with it in one word.
"""

from __future__ import annotations

import hmac
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec

from countingroom.core.clock import Clock, within
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Malformed
from countingroom.core.mirror.feed import MOST_BYTES, PATH, read_batch
from countingroom.mirror.feed.intake import NO_KIND
from countingroom.mirror.feed.target import UNKNOWN_KIND, FeedTarget

_log = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
BODY_S = 30.0
"""A request has come as a whole within this time."""
LEAST_TOKEN = 16


class Refusal(Exception):
    """The answer to a request that is not taken."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FeedReceiver:
    """An ASGI application."""

    def __init__(self, target: FeedTarget, token: str, clock: Clock) -> None:
        """`token`: what the sender must give."""
        self._target = target
        self._token = token.encode()
        self._clock = clock
        self._is_told = False

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # answered as 403
            return
        if scope["type"] != "http":
            return
        try:
            status, answer = await self._answer(scope, receive)
        except Refusal as refusal:
            status, answer = refusal.status, msgspec.json.encode({"error": refusal.code})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> tuple[int, bytes]:
        if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
            return 200, b'{"status":"alive"}'
        if scope["path"] != PATH:
            raise Refusal(404, "not_found")
        if scope["method"] != "POST":
            raise Refusal(405, "post_only")
        headers = {name.lower(): value for name, value in scope["headers"]}
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            if not self._is_told:
                self._is_told = True
                _log.warning("the feed: a request without the right token was refused; further ones are not told")
            raise Refusal(401, "token")
        try:
            async with within(self._clock, BODY_S):
                body = await _body(receive)
        except TimeoutError:
            raise Refusal(408, "too_slow") from None
        match headers.get(b"content-encoding", b"").lower():
            case b"gzip":
                body = _unpacked(body)
            case b"" | b"identity":
                pass
            case _:
                raise Refusal(415, "encoding")
        try:
            batch = read_batch(body)
        except Malformed as error:
            _log.warning("the feed: what was sent is no batch: %s", error)
            raise Refusal(400, "malformed") from error
        try:
            return 200, msgspec.json.encode(await self._target.take(batch))
        except CountingRoomError as error:
            if error.cause.code == NO_KIND:
                _log.warning("the feed: %s; update this receiver", error.cause.message)
                raise Refusal(UNKNOWN_KIND, NO_KIND) from error
            _log.warning("the feed: a batch could not be stored: %s", error.cause)
            raise Refusal(503, "store") from error


async def _body(receive: Receive) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "disconnected")
        piece = message.get("body", b"")
        size += len(piece)
        if size > MOST_BYTES:
            raise Refusal(413, "too_large")
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


def _unpacked(body: bytes) -> bytes:
    """The data of a gzip file; no more than a batch may have."""
    unpacker = zlib.decompressobj(31)
    try:
        data = unpacker.decompress(body, MOST_BYTES)
    except zlib.error as error:
        raise Refusal(400, "malformed") from error
    if unpacker.unconsumed_tail or (len(data) >= MOST_BYTES and not unpacker.eof):
        raise Refusal(413, "too_large")
    if not unpacker.eof or unpacker.unused_data:  # cut off, or with something behind it
        raise Refusal(400, "malformed")
    return data
