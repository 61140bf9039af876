"""Live news for open pages: one look at the store a second for all viewers, and Server-Sent Events, encoded once.

A page gets the changed texts of the page Now (`cells`), the runs that changed (`changed`), and when each source was
last heard (`fresh`). A viewer that missed a message is told to read its page again (`page`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.retry import edge_log
from countingroom.site.answers import SECURITY, Headers

_log = logging.getLogger(__name__)
_TICK_S = 1.0
_QUIET_S = 10.0
"""After so long without news viewers get a message all the same: a proxy would end a silent connection."""
MOST_VIEWERS = 1500
"""Of the 2,048 connections that a process takes, so that pages can always be asked for."""
_HEADERS: Headers = [
    *SECURITY,
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the news back until its buffer is full
]
_FULL: Headers = [*SECURITY, (b"retry-after", b"30"), (b"content-length", b"0")]


class News(Struct, frozen=True, kw_only=True):
    """What changed since the last look."""

    number: int
    """Of the version of the store."""
    runs: tuple[int, ...] = ()
    """Whose documents changed."""
    fresh: Mapping[str, int] = {}
    """Kind of source -> ms since 1970 when it was last heard."""


class PageCells(Struct, frozen=True):
    """The page Now as texts that may change, and what holds them."""

    cells: Mapping[str, str]
    shape: str
    """Of the rest of the page; another one: the page is read again."""


Look = Callable[[], Awaitable[News | None]]
"""Reads the store; None: nothing is new."""


class LiveNews:
    """Sends the news to every viewer."""

    def __init__(self, clock: Clock, look: Look, now_page: Callable[[], Awaitable[PageCells]]) -> None:
        self._clock = clock
        self._look = look
        self._now_page = now_page
        self._cells: PageCells | None = None
        self._number = 0
        self._message = b""
        self._waiting: asyncio.Future[None] | None = None
        self.viewers = 0
        self._report = edge_log(_log, "the store is not read", "the store is read again")

    async def run(self) -> None:
        """Look until cancelled."""
        told_s = self._clock.monotonic()
        while True:
            news = None
            try:
                news = await self._look()
                if news is not None:
                    await self.tell(news)
            except CountingRoomError as error:  # of the store, whichever question it was
                self._report.failed(error.cause)
            else:
                self._report.worked()
            if news is not None:
                told_s = self._clock.monotonic()
            elif self._clock.monotonic() - told_s >= _QUIET_S:
                told_s = self._clock.monotonic()
                self._send(b": quiet\n\n")
            await self._clock.sleep(_TICK_S)

    async def tell(self, news: News) -> None:
        """Encode the news once, and wake the viewers. LinkError where the store does not answer: then pages are told to
        be read again with the next news."""
        if not self.viewers:
            self._cells = None
            self._number += 1  # a viewer that reconnects has missed something
            return
        parts = [_event("changed", {"version": news.number, "runs": news.runs})] if news.runs else []
        before, self._cells = self._cells, None
        self._cells = page = await self._now_page()
        if before is None or before.shape != page.shape:
            parts.append(_event("page", {"version": news.number}))
        elif cells := {key: text for key, text in page.cells.items() if before.cells.get(key) != text}:
            parts.append(_event("cells", cells))
        parts.append(_event("fresh", news.fresh))
        self._send(b"".join(parts))

    def _send(self, message: bytes) -> None:
        self._number += 1
        self._message = message + b"id: %d\n\n" % self._number
        waiting, self._waiting = self._waiting, None
        if waiting:
            waiting.set_result(None)

    async def serve(self, receive: Any, send: Any, *, is_head: bool) -> None:
        """Send to one viewer until it leaves."""
        is_full = self.viewers >= MOST_VIEWERS
        headers = _FULL if is_full else _HEADERS
        await send({"type": "http.response.start", "status": 503 if is_full else 200, "headers": headers})
        if is_full or is_head:
            await send({"type": "http.response.body", "body": b""})
            return
        self.viewers += 1
        leaves = asyncio.ensure_future(_left(receive))
        try:
            await self._serve(send, leaves)
        finally:
            self.viewers -= 1
            leaves.cancel()

    async def _serve(self, send: Any, leaves: asyncio.Future[None]) -> None:
        seen = self._number
        await send(_body(b"retry: 3000\n\n"))
        while not leaves.done():
            if seen == self._number:
                self._waiting = self._waiting or asyncio.get_running_loop().create_future()
                await asyncio.wait((self._waiting, leaves), return_when=asyncio.FIRST_COMPLETED)
            if leaves.done():
                return
            message = self._message if seen == self._number - 1 else _event("page", {})
            seen = self._number
            await send(_body(message))


async def _left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(message: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": message, "more_body": True}


def _event(name: str, content: object) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))
