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
_LOGIN_PATHS = (
    *("/login", "/link", "/api/v1/login", "/api/v1/link"),
    *("/acknowledge", "/api/v1/look_at_link", "/api/v1/acknowledge_by_link"),
)
"""Paths on which a session begins, or a secret in the body stands for one."""


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
        exchange = _Exchange(send)

        async def record() -> None:
            exchange.is_recorded = True
            if is_action:
                await self._audit.answered(scope, content, exchange.status, exchange.refusal)
            elif exchange.status == HTTPStatus.FORBIDDEN:
                self._audit.denied(scope, exchange.refusal)

        async def send_recorded(message: Message) -> None:
            if exchange.is_released:
                await send(message)
            elif exchange.takes(message):
                await record()
                await exchange.release()

        try:
            if malformed is None:
                await self._app(scope, replay(body, receive) if is_action else receive, send_recorded)
            else:
                await reject(scope, replay(b"", receive), send_recorded, malformed, HTTPStatus.BAD_REQUEST)
        finally:
            if not exchange.is_recorded:  # it failed, or its client has left, before there was a whole answer
                await record()


class _Exchange:
    """The messages of an answer, held back until the action is recorded.

    A refusal is held until its end, because its cause belongs into the entry; it is small. Another answer is held at
    its start.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: list[Message] = []
        self.status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        self.refusal = b""
        self.is_recorded = False
        self.is_released = False

    def takes(self, message: Message) -> bool:
        """Take a message of the answer. Whether the action can be recorded now."""
        self._held.append(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return self.status < HTTPStatus.BAD_REQUEST
        if self.status >= HTTPStatus.BAD_REQUEST:
            self.refusal += message.get("body", b"")
        return not message.get("more_body", False)

    async def release(self) -> None:
        """Send what is held."""
        self.is_released = True
        held, self._held = self._held, []
        for message in held:
            await self._send(message)
