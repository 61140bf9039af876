"""Finds the session of a request, checks the CSRF token, and records every action in the audit.

Stands inside the origin check and before routing. What the requester may do is decided by route_permissions.py; the
entry of the audit is made by audit.py.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countingroom.console.auth.requester import ANONYMOUS, NO_LOGIN_CSRF, Requester
from countingroom.console.auth.sessions import SessionService
from countingroom.console.middleware.audit import RequestAudit
from countingroom.console.middleware.origin import CSRF_HEADER
from countingroom.console.middleware.rejection import reject
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
            found: Requester = await self._sessions.recognise(headers)
        except Denied:
            if scope["path"] not in _LOGIN_PATHS:
                raise
            found = ANONYMOUS
        scope["requester"] = found
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        by_browser = found.is_page or ("origin" in headers and not found.is_program)
        if is_post and by_browser:
            csrf_token = NO_LOGIN_CSRF if scope["path"] in _LOGIN_PATHS else found.csrf_token
            if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), csrf_token.encode()):
                raise Denied(
                    "the request does not carry the CSRF token of this session",
                    code="wrong_mark",
                    source="console.door",
                    suggestion="load the page again",
                )

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and record every action and every page that was denied."""
        is_action = scope["method"] == "POST"
        exchange = _Exchange()

        async def receive_and_keep() -> Message:
            message = await receive()
            if is_action:
                exchange.asked += message.get("body", b"")
            return message

        async def send_and_keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
            elif exchange.status >= HTTPStatus.BAD_REQUEST:
                exchange.answered += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, receive_and_keep, send_and_keep)
        finally:
            if is_action or exchange.status == HTTPStatus.FORBIDDEN:
                self._audit.answered(scope, exchange.asked, exchange.status, exchange.answered)


class _Exchange:
    """Body of the request, and status and body of a refusal: both are small."""

    asked = b""
    answered = b""
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
