"""Sessions of users and tokens of programs, stored on the server, so that the user or an administrator can end them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from countingroom.core.accounts import TOKEN_ORIGIN, ProvenSession, Session, User
from countingroom.core.policy import Role
from countingroom.storage import rows, secret
from countingroom.storage.people_tables import session, user
from countingroom.storage.repository import Repository, reading, writing
from countingroom.storage.users import user_of, users_of

_S = 1_000_000_000
_SEEN_S = 60
"""Minimum time between two updates of a session's last use."""
_ID = 16
MOST_PROVEN = 10_000
MOST_OF_A_USER = 100
"""Logins of a user that are kept, so that no user makes the table grow; the oldest are removed."""


class SessionStore(Repository):
    """Repository of sessions."""

    @writing
    def create(
        self,
        connection: Connection,
        user: str,
        *,
        lifetime_s: float,
        origin: str = "",
        agent: str = "",
        scope: Mapping[str, Role] | None = None,
    ) -> tuple[str, Session]:
        """Create a session. Returns (secret for the cookie, session). NotFound if the user does not exist."""
        user_of(connection, user)
        now_ns, token = self.clock.now_ns(), secret.token()
        row = {
            "digest": secret.digest(token),
            "user": user,
            "created_ns": now_ns,
            "last_seen_ns": now_ns,
            "expires_ns": now_ns + round(lifetime_s * _S),
            "revoked_ns": None,
            "revoked_by": "",
            "origin": origin,
            "agent": agent,
            "scope": None if scope is None else dict(scope),
        }
        connection.execute(insert(session).values(**row))
        if origin != TOKEN_ORIGIN:
            mine = (session.c.user == user) & (session.c.origin != TOKEN_ORIGIN)
            newest = select(session.c.digest).where(mine).order_by(session.c.created_ns.desc()).limit(MOST_OF_A_USER)
            connection.execute(delete(session).where(mine, session.c.digest.not_in(newest)))
        return token, _session(row)

    async def get(self, token: str) -> Session | None:
        """The session of a secret, marked as used now. None if unknown, expired or revoked, or the user is disabled."""
        now_ns = self.clock.now_ns()
        is_it = session.c.digest == secret.digest(token)
        query = (
            select(session)
            .join(user, user.c.name == session.c.user)
            .where(is_it, session.c.revoked_ns.is_(None), session.c.expires_ns > now_ns, user.c.disabled.is_(False))
        )
        found = await self.store.read(lambda connection: _first(connection, query))
        if found and now_ns - found.last_seen_ns >= _SEEN_S * _S:
            seen = update(session).where(is_it).values(last_seen_ns=now_ns)
            await self.store.write(lambda connection: connection.execute(seen) and None)
            return msgspec.structs.replace(found, last_seen_ns=now_ns)
        return found

    @reading
    def find(self, connection: Connection, token: str) -> tuple[Session, User] | None:
        """The session of a secret and its user, also if expired or disabled; None for an unknown secret."""
        digest = secret.digest(token)
        row = connection.execute(select(session).where(session.c.digest == digest)).mappings().first()
        return (_session(row), user_of(connection, row["user"])) if row else None

    async def seen(self, token: str, known: Session) -> None:
        """Record the last use now, if `known` is older than a minute."""
        now_ns = self.clock.now_ns()
        if now_ns - known.last_seen_ns >= _SEEN_S * _S:
            change = update(session).where(session.c.digest == secret.digest(token)).values(last_seen_ns=now_ns)
            await self.store.write(lambda connection: connection.execute(change) and None)

    @reading
    def list(self, connection: Connection, user: str = "") -> tuple[Session, ...]:
        """Valid sessions of one user or of all, newest first."""
        holds = and_(session.c.revoked_ns.is_(None), session.c.expires_ns > self.clock.now_ns())
        query = select(session).where(holds).order_by(session.c.created_ns.desc())
        if user:
            query = query.where(session.c.user == user)
        return tuple(_session(row) for row in connection.execute(query).mappings())

    @reading
    def proven(self, connection: Connection) -> tuple[ProvenSession, ...]:
        """The valid sessions and tokens of users that are not disabled, newest first, at most MOST_PROVEN."""
        holds = and_(session.c.revoked_ns.is_(None), session.c.expires_ns > self.clock.now_ns())
        query = select(session).where(holds).order_by(session.c.created_ns.desc()).limit(MOST_PROVEN)
        users = users_of(connection)
        return tuple(
            ProvenSession(digest=row["digest"], session=_session(row), user=users[row["user"]])
            for row in connection.execute(query).mappings()
            if not users[row["user"]].disabled
        )

    async def revoke(self, id: str, by: str) -> bool:
        """End one session. Returns False if no valid session has this id."""
        return await self._revoke(session.c.digest.startswith(id, autoescape=True) if id else None, by) > 0

    async def revoke_all(self, user: str, by: str, *, but: str = "") -> int:
        """End all sessions of a user except one. Returns their number."""
        others = session.c.user == user
        if but:
            others &= session.c.digest.not_like(f"{but}%")
        return await self._revoke(others, by)

    @writing
    def forget(self, connection: Connection, before_ns: int) -> int:
        """Remove the sessions that ended before this time. Returns their number."""
        over = (session.c.expires_ns < before_ns) | (session.c.revoked_ns < before_ns)
        return connection.execute(delete(session).where(over)).rowcount

    async def _revoke(self, which: ColumnElement[bool] | None, by: str) -> int:
        if which is None:
            return 0
        now_ns = self.clock.now_ns()
        change = update(session).where(which, session.c.revoked_ns.is_(None), session.c.expires_ns > now_ns)
        change = change.values(revoked_ns=now_ns, revoked_by=by)
        return await self.store.write(lambda connection: connection.execute(change).rowcount)


def _first(connection: Connection, query: Any) -> Session | None:
    row = connection.execute(query).mappings().first()
    return _session(row) if row else None


def _session(row: Mapping[Any, Any]) -> Session:
    return rows.value(row, Session, id=row["digest"][:_ID])
