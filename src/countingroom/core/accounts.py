"""Law: an account is a name and what it is trusted with where; no secret is ever in these values."""

from __future__ import annotations

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.policy import Principal, Role, role_on
from countingroom.core.values import Scalar

EVERYWHERE = "*"
"""The target of a role that holds for every object."""

TOKEN_ORIGIN = "token"  # noqa: S105 - no secret, the word for one
"""`Session.origin` of a program's token."""


class User(Struct, frozen=True, kw_only=True):
    """A person who may log in."""

    name: str
    full_name: str = ""
    roles: dict[str, Role] = {}
    """Target or pattern of targets (`*`, `partition.mCBM`, `device.caen*`, `_experiment`) -> role."""
    created_ns: int
    created_by: str
    disabled: bool = False
    has_password: bool = False
    """False until the first link was used."""
    failures: int = 0
    """Wrong passwords since the last right one."""
    locked_until_ns: int = 0
    """No login before; 0: not locked."""

    def role(self, target: str) -> Role:
        """The highest role whose pattern fits the target; VIEWER where there is none."""
        return role_on(self.roles, target)

    @property
    def principal(self) -> Principal:
        """Who asks, for the policy."""
        return Principal(name=self.name, role=self.roles.get(EVERYWHERE, Role.VIEWER), roles=self.roles)


class Session(Struct, frozen=True, kw_only=True):
    """One login, kept by the server."""

    id: str
    """For lists and revoking; not the secret that proves it."""
    user: str
    created_ns: int
    last_seen_ns: int
    expires_ns: int
    revoked_ns: int | None = None
    revoked_by: str = ""
    origin: str = ""
    """From where: the address."""
    agent: str = ""
    """The browser or program, as it calls itself."""

    @property
    def is_token(self) -> bool:
        """Whether it is a program's, which shows it with every request, not a browser's, which sends it by itself."""
        return self.origin == TOKEN_ORIGIN


def why_over(user: User, session: Session, *, now_ns: int, idle_s: float) -> Cause | None:
    """Why this login no longer holds; None while it does. A program's token does not end by being idle."""
    if user.disabled:
        return _over(f"{user.name} may not log in any more", "ask an administrator")
    if session.revoked_ns is not None:
        return _over(f"this login was ended by {session.revoked_by}", "log in again")
    if now_ns >= session.expires_ns:
        return _over("this login is over", "log in again")
    if not session.is_token and now_ns - session.last_seen_ns >= idle_s * 1e9:
        return _over("this login was not used for too long", "log in again")
    return None


def _over(message: str, suggestion: str) -> Cause:
    return Cause(code="login_over", message=message, source="login", suggestion=suggestion)


class Outcome:
    """Words for the outcome of an audited action; others may be used."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One action that somebody asked for, whatever came of it."""

    sequence: int = 0
    """Given when it is recorded."""
    time_ns: int
    who: str
    what: str
    """The action: `login`, `move`, `start`."""
    target: str = ""
    arguments: dict[str, Scalar] = {}
    """Never a password or a token."""
    origin: str = ""
    """From where: address, `cli`."""
    outcome: str
    cause: Cause | None = None
