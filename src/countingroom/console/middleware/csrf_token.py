"""Checks the CSRF token: the header `X-Countingroom` that every POST of a page carries.

No form can set the header, and a page of another site only after a preflight, which is never answered. With a login
its value is derived from the secret of the session, which no other page knows.
"""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers

from countingroom.console.auth.requester import NO_LOGIN_CSRF, Requester
from countingroom.core.errors import Denied

CSRF_HEADER = "x-countingroom"


def check_csrf_token(headers: Headers, requester: Requester, *, begins_session: bool) -> None:
    """Denied where a POST of a browser lacks the token. `begins_session`: it is a login, which no session protects."""
    if not (requester.is_page or ("origin" in headers and not requester.is_program)):
        return
    present = headers.get(CSRF_HEADER, "")
    expected = NO_LOGIN_CSRF if begins_session else requester.csrf_token
    if not present:
        raise Denied(
            "a page's request must carry the header X-Countingroom",
            code="no_token",
            source="console.csrf_token",
            suggestion="use the console's own pages",
        )
    if not hmac.compare_digest(present.encode(), expected.encode()):
        raise Denied(
            "the request does not carry the CSRF token of this session",
            code="wrong_mark",
            source="console.csrf_token",
            suggestion="load the page again",
        )
