"""Users, login sessions and audit entries as values. They never contain a password or a token."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.policy import EVERYWHERE, Principal, Role, role_on
from countingroom.core.values import Scalar

FIRST_ADMINISTRATOR = "admin"
"""Name of the account that is made where there is none."""

TOKEN_ORIGIN = "token"  # noqa: S105 - the name of the kind, not a secret
"""`Session.origin` of a program's token."""


class User(Struct, frozen=True, kw_only=True):
    """A person with an account."""

    name: str
    full_name: str = ""
    roles: dict[str, Role] = {}
    """Target or pattern of targets (`*`, `partition.mCBM`, `device.caen*`, `_experiment`) -> role."""
    created_ns: int
    created_by: str
    disabled: bool = False
    has_password: bool = False
    """False until the user has opened the first login link."""
    failures: int = 0
    """Kept for programs of earlier versions; wrong passwords are counted by the console."""
    locked_until_ns: int = 0
    """Kept for programs of earlier versions; an account is never locked as a whole."""

    def role(self, target: str) -> Role:
        """The highest role with a pattern that matches the target; VIEWER without one."""
        return role_on(self.roles, target)

    @property
    def principal(self) -> Principal:
        """The user as the policy takes it."""
        return Principal(name=self.name, role=self.roles.get(EVERYWHERE, Role.VIEWER), roles=self.roles)


class Session(Struct, frozen=True, kw_only=True):
    """One login, kept by the server."""

    id: str
    """For lists and revoking; not the secret in the cookie."""
    user: str
    created_ns: int
    last_seen_ns: int
    expires_ns: int
    revoked_ns: int | None = None
    revoked_by: str = ""
    origin: str = ""
    """The client's address."""
    agent: str = ""
    """The `User-Agent` that the client sent; of a token its purpose."""

    scope: dict[str, Role] | None = None
    """Target or pattern of targets -> the highest role that a token may use there; None: everything its user may."""

    @property
    def is_token(self) -> bool:
        """Whether it belongs to a program, which sends a header with each request, not to a browser with a cookie."""
        return self.origin == TOKEN_ORIGIN


class ProvenSession(Struct, frozen=True, kw_only=True):
    """A valid session with its user, and the digest of its secret."""

    digest: str
    session: Session
    user: User


def principal_of(user: User, session: Session) -> Principal:
    """The user, with the rights that this session may use."""
    return msgspec.structs.replace(user.principal, scope=session.scope)


def why_over(user: User, session: Session, *, now_ns: int, idle_s: float) -> Cause | None:
    """Why this session is over; None while it is valid. The token of a program has no idle limit."""
    if user.disabled:
        return _over(f"the account {user.name} is disabled", "ask an administrator to enable it")
    if session.revoked_ns is not None:
        return _over(f"{session.revoked_by} ended this session", "log in again")
    if now_ns >= session.expires_ns:
        return _over("this session has expired", "log in again")
    if not session.is_token and now_ns - session.last_seen_ns >= idle_s * 1e9:
        return _over("this session was idle for too long", "log in again")
    return None


def _over(message: str, suggestion: str) -> Cause:
    return Cause(code="login_over", message=message, source="login", suggestion=suggestion)


class Outcome:
    """The usual outcomes of an audited action; other words are allowed."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One requested action and its outcome."""

    sequence: int = 0
    """Assigned when the entry is written."""
    time_ns: int
    who: str
    what: str
    """The action: `login`, `move`, `start`."""
    target: str = ""
    arguments: dict[str, Scalar] = {}
    """Never a password or a token."""
    origin: str = ""
    """The client's address, or `cli`."""
    outcome: str
    cause: Cause | None = None
