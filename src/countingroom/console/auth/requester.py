"""Law: who asks is known once, at the door, and travels with the request; no handler reads a cookie."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import HTTPConnection

from countingroom.core.accounts import Session
from countingroom.core.policy import LOCAL, Principal, Role

AT_HOME_MARK = "console"
"""What a page puts into the header X-Countingroom where nobody is logged in."""


class Requester(Struct, frozen=True, kw_only=True):
    """Who asks, and by what right."""

    principal: Principal
    session: Session | None = None
    """None: there is no login, or nobody is logged in."""
    csrf_token: str = AT_HOME_MARK
    """What a page of theirs must show in X-Countingroom; no other site can know it."""
    secret: str = ""
    """What proves the session."""

    @property
    def name(self) -> str:
        """The user token of what they ask for; empty: a stranger."""
        return self.principal.name

    @property
    def is_page(self) -> bool:
        """Whether the proof is a cookie, which a browser sends by itself."""
        return self.session is not None and not self.session.is_token

    @property
    def is_program(self) -> bool:
        """Whether the proof is a token, which no browser sends by itself."""
        return self.session is not None and self.session.is_token


LOCAL_VISITOR = Requester(principal=LOCAL)
STRANGER = Requester(principal=Principal(name="", role=Role.VIEWER))


def requester(connection: HTTPConnection) -> Requester:
    """Who this request is of."""
    found: Requester = connection.scope["visitor"]
    return found
