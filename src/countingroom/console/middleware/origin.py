"""Refuses requests that another web site could have made a browser send. Outermost middleware, for HTTP and websockets.

Without a login everything on this machine may act, and with a login a browser sends its cookie by itself. So requests
are refused here, before routing, unless:
- Host is a name of this console, the loopback names by default (protects from DNS rebinding: a foreign name that
  resolves to 127.0.0.1);
- Origin, which browsers always send with a POST or a websocket, is this host; without it the sender is no page (CLI,
  script), unless Sec-Fetch-Site says that it is a page of another site;
- a POST is JSON and small. That a page carries its CSRF token is checked in csrf_token.py.
Every answer carries a strict Content-Security-Policy: no inline script or style, no eval, no other host.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countingroom.console.middleware.rejection import reject
from countingroom.core.errors import Cause
from countingroom.core.results import UPLOAD_BYTES

MOST_BYTES = 65_536
DOCUMENT_BYTES = 1_048_576
"""Of commands of the experiment: the export of two thousand detectors could not be imported with the smaller limit."""
_DOCUMENTS = "/api/v1/experiment/commands/"
_RESULTS = "/api/v1/results"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE = frozenset({"GET", "HEAD"})
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HSTS = "max-age=31536000"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.rsplit(":", 1)[0]


def check_request(
    scope_type: str, method: str, headers: Headers, *, names: Set[str] = LOOPBACK_NAMES, most: int = MOST_BYTES
) -> tuple[int, Cause] | None:
    """Why this request is refused, with the HTTP status; None where it may pass. Pure.

    `names`: host names of this console. `most`: bytes of a body.
    """
    host = headers.get("host", "").lower()
    if _host_name(host) not in names:
        return 421, _refused(
            "forged_host", f"this console does not answer for the host {host!r}", f"open {' or '.join(sorted(names))}"
        )
    if scope_type == "http" and method in _SAFE:
        return None
    if scope_type == "http" and method != "POST":
        return 405, _refused("method", f"{method} is not used here", "use GET or POST")
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
        return 403, _refused("forged_origin", f"a page of {origin} may not act here", "use the console's own pages")
    if origin is None and headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return 403, _refused("forged_origin", "a page of another site may not act here", "use the console's own pages")
    return _check_post(headers, most) if scope_type == "http" else None


def _check_post(headers: Headers, most: int) -> tuple[int, Cause] | None:
    length = headers.get("content-length", "")
    if not length.isdecimal():
        return 411, _refused("length", "the request has no length", "send a Content-Length")
    if int(length) > most:
        return 413, _refused("too_large", f"a request here has at most {most} bytes", "send less at once")
    if int(length) and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, _refused("not_json", "the body of a request is JSON", "send Content-Type: application/json")
    return None


def _refused(code: str, message: str, suggestion: str) -> Cause:
    return Cause(code=code, message=message, source="console.guard", suggestion=suggestion)


def _most_bytes(scope: Scope) -> int:
    path = scope.get("path", "")
    if path == _RESULTS:
        return UPLOAD_BYTES
    return DOCUMENT_BYTES if path.startswith(_DOCUMENTS) else MOST_BYTES


class OriginMiddleware:
    """The outermost ASGI middleware. `refused` is called for every request that is refused."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        names: Set[str] = LOOPBACK_NAMES,
        refused: Callable[[Scope, Cause], None] = lambda scope, cause: None,
    ) -> None:
        self._app = app
        self._names = names
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on and set the headers of the answer; or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        verdict = check_request(
            scope["type"], scope.get("method", ""), Headers(scope=scope), names=self._names, most=_most_bytes(scope)
        )

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                # Not for loopback names: it would hold for every other server of this machine.
                if (
                    scope.get("scheme") == "https"
                    and _host_name(Headers(scope=scope).get("host", "")) not in LOOPBACK_NAMES
                ):
                    answer["Strict-Transport-Security"] = _HSTS
                for name, value in _HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        if verdict is None:
            await self._app(scope, receive, sealed)
            return
        status, cause = verdict
        self._refused(scope, cause)
        await reject(scope, receive, sealed, cause, status)
