"""The cookie of a known device: a browser in which a user has logged in before. It proves no identity.

Attempts from a known device are counted for themselves, so that attackers cannot lock out its user. The signature
is made with the stored hash of the password: a new password makes every device unknown.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from secrets import token_hex

from starlette.datastructures import Headers

LIFE_S = 180 * 86_400
PATH = "/api/v1/login"


def make_token(name: str, kept: str, now_ns: int) -> str:
    """A signed token for this user. `kept`: the stored hash of the password."""
    content = f"{now_ns // 1_000_000_000 + LIFE_S}.{token_hex(8)}"
    return f"{content}.{_signature(name, kept, content)}"


def device_of(token: str, name: str, kept: str, now_ns: int) -> str:
    """The id of the device; empty where the token is not one of this user or has expired."""
    content, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(name, kept, content).encode()):
        return ""
    expires, _, device = content.partition(".")
    return device if now_ns < int(expires) * 1_000_000_000 else ""


def shown_token(headers: Headers, name: str) -> str:
    """The token for this user in the cookies of a request; empty where there is none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    found = cookies.get(_cookie_name(name, headers.get("host", "")))
    return found.value if found else ""


def set_cookie(name: str, token: str, host: str, *, secure: bool) -> str:
    """The header Set-Cookie that makes a browser known. It is sent with a login only."""
    attributes = f"Max-Age={LIFE_S}; Path={PATH}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
    return f"{_cookie_name(name, host)}={token}; {attributes}"


def _cookie_name(name: str, host: str) -> str:
    # One for each user, because several share the computer of a control room, and for each console of a host.
    port = host.rpartition(":")[2]
    user = sha256(name.encode()).hexdigest()[:12]
    return f"countingroom_device{f'_{port}' if port.isdigit() else ''}_{user}"


def _signature(name: str, kept: str, content: str) -> str:
    return hmac.new(kept.encode(), f"device {name} {content}".encode(), "sha256").hexdigest()
