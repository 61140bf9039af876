"""Law: nothing reaches a handler, HTTP or websocket alike, that another site could have made a browser send.

Without a login whoever is on this machine may act, and with one a browser shows its cookie by itself, so everything a
browser could be tricked into is refused here, before routing:
- Host must be a name this console goes by, loopback ones if nothing else is said (a name that somebody's DNS turned to
  127.0.0.1 is not);
- Origin, which browsers always send with a POST or a websocket, must be this very host; where it is missing the sender
  is no browser page (CLI, script), unless Sec-Fetch-Site says it is one from elsewhere;
- a POST with an Origin must carry the header `X-Countingroom`, which no form and no foreign page can add without a
  preflight that is never answered (what it must say depends on the login, see door.py); a POST is JSON and small.
Every answer carries a strict Content-Security-Policy: no inline script or style, no eval, no other host.
"""

from __future__ import annotations

from collections.abc import Callable, Set

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from countingroom.console.middleware.rejection import turn_away
from countingroom.core.errors import Cause

CSRF_HEADER = "x-countingroom"
MOST_BYTES = 65_536
DOCUMENT_BYTES = 1_048_576
"""Of a document of configurations, and of a tag of some thousand systems."""
_DOCUMENTS = "/api/v1/experiment/commands/"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_SAFE = frozenset({"GET", "HEAD"})
_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
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


def judge(
    scope_type: str, method: str, headers: Headers, *, names: Set[str] = LOOPBACK_NAMES, most: int = MOST_BYTES
) -> tuple[int, Cause] | None:
    """Why this request is refused, with the HTTP status; None where it may pass. Pure.

    `names`: what we go by. `most`: bytes of a body.
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
    return _judge_post(headers, most, from_page=origin is not None) if scope_type == "http" else None


def _judge_post(headers: Headers, most: int, *, from_page: bool) -> tuple[int, Cause] | None:
    if from_page and not headers.get(CSRF_HEADER):
        return 403, _refused(
            "no_token", "a page's request must carry the header X-Countingroom", "use the console's own pages"
        )
    length = headers.get("content-length", "")
    if not length.isdigit():
        return 411, _refused("length", "the request must say how long it is", "send a Content-Length")
    if int(length) > most:
        return 413, _refused("too_large", f"a request here has at most {most} bytes", "send less at once")
    if int(length) and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return 415, _refused("not_json", "the body of a request is JSON", "send Content-Type: application/json")
    return None


def _refused(code: str, message: str, suggestion: str) -> Cause:
    return Cause(code=code, message=message, source="console.guard", suggestion=suggestion)


class OriginMiddleware:
    """ASGI middleware; the outermost. `refused` is told of everything that is turned away."""

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
        """Judge, then pass on with the headers of every answer set; or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        most = DOCUMENT_BYTES if scope.get("path", "").startswith(_DOCUMENTS) else MOST_BYTES
        verdict = judge(scope["type"], scope.get("method", ""), Headers(scope=scope), names=self._names, most=most)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-store")
            await send(message)

        if verdict is None:
            await self._app(scope, receive, sealed)
            return
        status, cause = verdict
        self._refused(scope, cause)
        await turn_away(scope, receive, sealed, cause, status)
