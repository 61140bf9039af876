"""The site as an ASGI application: finds the route of a request, keeps answers, and sends the live news.

A request whose answer is kept costs a look into a table; ETag and Cache-Control let browsers and proxies carry the
load. An error says nothing of the inside: its message is one of the site's own, or none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, CountingRoomError, NotFound, RequestError
from countingroom.site.answer_cache import AnswerCache
from countingroom.site.answers import PreparedAnswer, SiteAnswer, as_json
from countingroom.site.asset_files import AssetFiles
from countingroom.site.error_page import ErrorPage
from countingroom.site.live import LiveNews
from countingroom.site.route_table import SiteRoutes, plain_path

_log = logging.getLogger(__name__)
_STATIC = b"/static/"
_LIVE = b"/live"
_LATER = "try again later, or tell those who run this site"
_UNAVAILABLE = "the records of this site cannot be read at the moment"
Scope = Mapping[str, Any]


class SiteApplication:
    """Answers GET and HEAD."""

    def __init__(
        self,
        routes: SiteRoutes,
        cache: AnswerCache,
        live: LiveNews,
        files: AssetFiles,
        error_page: ErrorPage,
        clock: Clock,
    ) -> None:
        self._routes = routes
        self._cache = cache
        self._live = live
        self._files = files
        self._error_page = error_page
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # answered as 403
            return
        if scope["type"] != "http":
            return
        if_none_match = accept_encoding = b""
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                if_none_match = value
            elif name == b"accept-encoding":
                accept_encoding = value
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        path = path.partition(b"?")[0]
        method = scope["method"]
        if method in ("GET", "HEAD") and path == _LIVE:
            await self._live.serve(receive, send, is_head=method == "HEAD")
            return
        answer = await self.answer(method, path, scope.get("query_string", b""))
        status, headers, body = answer.chosen(if_none_match, accept_encoding)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    async def answer(self, method: str, path: bytes, query: bytes) -> PreparedAnswer:
        """The answer to a request; an error is an answer too."""
        key = (path, query)
        if method in ("GET", "HEAD") and (kept := self._cache.get(key)):
            return kept
        try:
            return await self._made(method, path, query)
        except CountingRoomError as error:
            return self._refused(path, error)
        except Exception:
            _log.exception("%s failed", path[:200])
            failed = Cause(code="internal", message="this page could not be made", source="site", suggestion=_LATER)
            return self._failed(path, 500, failed)

    async def _made(self, method: str, path: bytes, query: bytes) -> PreparedAnswer:
        if method not in ("GET", "HEAD"):
            raise RequestError("this site is only read", source="site", code="method", suggestion="use GET")
        if path.startswith(_STATIC):
            return self._files.answer(path[len(_STATIC) :].decode("ascii", "replace"))
        text = plain_path(path)
        route, slots = self._routes.find(text)
        question = self._routes.question(route, slots, text, query, self._clock.now_ns() / 1e9)

        async def make() -> PreparedAnswer:
            return PreparedAnswer(await route.answer(question))

        return await self._cache.make((path, query), route.keep_s, make)

    def _refused(self, path: bytes, error: CountingRoomError) -> PreparedAnswer:
        match error:
            case NotFound():
                return self._failed(path, 404, error.cause)
            case RequestError() if error.cause.source == "site":
                return self._failed(path, 405 if error.cause.code == "method" else 400, error.cause)
            case _:
                # Its text may name a file or a host: it goes into the log, not out.
                _log.warning("%s: %s", path[:200], error)
                away = Cause(code="unavailable", message=_UNAVAILABLE, source="site", suggestion=_LATER)
                return self._failed(path, 503, away)

    def _failed(self, path: bytes, status: int, cause: Cause) -> PreparedAnswer:
        headers = {405: {"Allow": "GET, HEAD"}, 503: {"Retry-After": "5"}}.get(status, {})
        if path.startswith(b"/api"):
            shown = {"code": cause.code, "message": cause.message, "suggestion": cause.suggestion}
            answer = as_json({"error": shown}, status=status, max_age_s=0)
        else:
            answer = self._error_page.answer(status, HTTPStatus(status).phrase, cause)
        return PreparedAnswer(
            SiteAnswer(body=answer.body, media_type=answer.media_type, status=status, max_age_s=0, headers=headers)
        )
