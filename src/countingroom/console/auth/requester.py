"""The requester: principal and session of a request. The middleware finds it once; no handler reads a cookie."""

from __future__ import annotations

from msgspec import Struct
from starlette.requests import HTTPConnection

from countingroom.core.accounts import Session
from countingroom.core.policy import LOCAL, Principal, Role

NO_LOGIN_CSRF = "console"
"""The value of the header X-Countingroom for a page without a session."""


class Requester(Struct, frozen=True, kw_only=True):
    """The user or program that sent a request, and how it is authenticated."""

    principal: Principal
    session: Session | None = None
    """None: there is no login, or the request has no session."""
    csrf_token: str = NO_LOGIN_CSRF
    """The value that a page of this session must send in X-Countingroom; no other site can know it."""
    secret: str = ""
    """The secret of the session."""

    @property
    def name(self) -> str:
        """The user name, as in subjects of the bus; empty: not authenticated."""
        return self.principal.name

    @property
    def operates(self) -> bool:
        """Whether the role on some target is higher than that of a viewer."""
        roles = self.principal.roles if self.principal.scope is None else self.principal.scope
        return max(self.principal.role, *roles.values(), Role.VIEWER) > Role.VIEWER

    @property
    def is_page(self) -> bool:
        """Whether it is authenticated by a cookie, which a browser sends by itself."""
        return self.session is not None and not self.session.is_token

    @property
    def is_program(self) -> bool:
        """Whether it is authenticated by a token, which no browser sends by itself."""
        return self.session is not None and self.session.is_token


LOCAL_REQUESTER = Requester(principal=LOCAL)
ANONYMOUS = Requester(principal=Principal(name="", role=Role.VIEWER))


def requester(connection: HTTPConnection) -> Requester:
    """The requester of this request."""
    found: Requester = connection.scope["requester"]
    return found
