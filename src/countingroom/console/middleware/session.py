"""Finds the session of a request, has its CSRF token and its body checked, and records every action in the audit.

Stands inside the origin check and before routing. What the requester may do is decided by route_permissions.py; the
entry of the audit is made by audit.py.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countingroom.console.auth.requester import ANONYMOUS, Requester
from countingroom.console.auth.sessions import SessionService
from countingroom.console.middleware.audit import RequestAudit
from countingroom.console.middleware.csrf_token import check_csrf_token
from countingroom.console.middleware.origin import MOST_BYTES
from countingroom.console.middleware.rejection import reject
from countingroom.console.middleware.request_body import parse_body, read_body, replay
from countingroom.console.responses import status_of
from countingroom.core.errors import CountingRoomError, Denied

_OPEN = ("/static/", "/healthz", "/readyz")
"""Paths without a session."""
_LOGIN_PATHS = ("/login", "/link", "/api/v1/login", "/api/v1/link")
"""Paths on which a session begins."""


class SessionMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, sessions: SessionService, audit: RequestAudit) -> None:
        self._app = app
        self._sessions = sessions
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the requester, then pass on; or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["requester"] = ANONYMOUS
        try:
            if not scope["path"].startswith(_OPEN):
                await self._recognise(scope)
        except CountingRoomError as error:
            self._audit.refused(scope, error.cause)
            await reject(scope, receive, send, error.cause, status_of(error))
            return
        if scope["type"] == "http":
            await self._recorded(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _recognise(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        try:
            found: Requester = await self._sessions.recognise(headers, secure=scope["scheme"] in ("https", "wss"))
        except Denied:
            if scope["path"] not in _LOGIN_PATHS:
                raise
            found = ANONYMOUS
        scope["requester"] = found
        if scope["type"] == "http" and scope["method"] == "POST":
            check_csrf_token(headers, found, begins_session=scope["path"] in _LOGIN_PATHS)

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and record every action and every page that was denied."""
        is_action = scope["method"] == "POST"
        body = await read_body(receive) if is_action else b""
        if body is None:
            return
        # A large document is checked in a thread, so that it delays no other request.
        parsed = await asyncio.to_thread(parse_body, body) if len(body) > MOST_BYTES else parse_body(body)
        content, malformed = parsed
        exchange = _Exchange()

        async def send_and_keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            elif exchange.status >= HTTPStatus.BAD_REQUEST:
                exchange.answered += message.get("body", b"")
            await send(message)

        try:
            if malformed is None:
                await self._app(scope, replay(body, receive) if is_action else receive, send_and_keep)
            else:
                await reject(scope, replay(b"", receive), send_and_keep, malformed, HTTPStatus.BAD_REQUEST)
        finally:
            if is_action or exchange.status == HTTPStatus.FORBIDDEN:
                self._audit.answered(scope, content, exchange.status, exchange.answered)


class _Exchange:
    """Status of the answer, and the body of a refusal, which is small."""

    answered = b""
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
