"""Law: nobody comes in unrecognised, and whoever asks for something is written down with what came of it.

Inside the guard, before routing: who is it (reception.py); does a page of theirs show its mark; then the request goes
on with its visitor. What may be done is decided behind (permits.py), and written down by scribe.py.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countingroom.console.auth.requester import AT_HOME_MARK, STRANGER, Requester
from countingroom.console.auth.sessions import SessionService
from countingroom.console.middleware.audit import RequestAudit
from countingroom.console.middleware.origin import CSRF_HEADER
from countingroom.console.middleware.rejection import turn_away
from countingroom.console.responses import status_of
from countingroom.core.errors import CountingRoomError, Denied

_OPEN = ("/static/", "/healthz", "/readyz")
"""Nobody is asked who they are."""
_FOR_STRANGERS = ("/login", "/link", "/api/v1/login", "/api/v1/link")
"""Where somebody becomes known."""


class SessionMiddleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, sessions: SessionService, audit: RequestAudit) -> None:
        self._app = app
        self._sessions = sessions
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Recognise, then pass on; or turn away."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["visitor"] = STRANGER
        try:
            if not scope["path"].startswith(_OPEN):
                await self._recognise(scope)
        except CountingRoomError as error:
            self._audit.refused(scope, error.cause)
            await turn_away(scope, receive, send, error.cause, status_of(error))
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
            if scope["path"] not in _FOR_STRANGERS:
                raise
            found = STRANGER
        scope["visitor"] = found
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        by_browser = found.is_page or ("origin" in headers and not found.is_program)
        if is_post and by_browser:
            csrf_token = AT_HOME_MARK if scope["path"] in _FOR_STRANGERS else found.csrf_token
            if not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), csrf_token.encode()):
                raise Denied(
                    "the request does not carry the mark of a page of this login",
                    code="wrong_mark",
                    source="console.door",
                    suggestion="load the page again",
                )

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every action, and every look that was denied."""
        is_action, heard = scope["method"] == "POST", _Heard()

        async def overheard() -> Message:
            message = await receive()
            if is_action:
                heard.asked += message.get("body", b"")
            return message

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                heard.status = message["status"]
            elif heard.status >= HTTPStatus.BAD_REQUEST:
                heard.answered += message.get("body", b"")
            await send(message)

        try:
            await self._app(scope, overheard, told)
        finally:
            if is_action or heard.status == HTTPStatus.FORBIDDEN:
                self._audit.answered(scope, heard.asked, heard.status, heard.answered)


class _Heard:
    """What passes through the door: a request is small, and so is a refusal."""

    asked = b""
    answered = b""
    status: int = HTTPStatus.INTERNAL_SERVER_ERROR
