"""User accounts. An account is disabled, never deleted; at least one administrator can always log in."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select, update

from countingroom.core.accounts import EVERYWHERE, User
from countingroom.core.errors import Conflict, Denied, NotFound
from countingroom.core.policy import Role
from countingroom.storage import checked, rows, secret
from countingroom.storage.people_tables import link, session, user, user_role
from countingroom.storage.repository import Repository, reading, writing

_S = 1_000_000_000


class Users(Repository):
    """Repository of accounts."""

    @writing
    def create(
        self,
        connection: Connection,
        name: str,
        by: str,
        *,
        full_name: str = "",
        roles: Mapping[str, Role] | None = None,
    ) -> User:
        """Create an account without a password; make a link for it. Conflict if the name is taken."""
        now_ns = self.clock.now_ns()
        checked.name(name, "user")
        if name in users_of(connection):
            raise Conflict(f"there is already a user {name} already", source="users", suggestion="take another name")
        row = {"name": name, "full_name": full_name, "created_by": by, "created_ns": now_ns}
        connection.execute(insert(user).values(**row, disabled=False, failures=0, locked_until_ns=0))
        for target, role in (roles or {}).items():
            connection.execute(insert(user_role).values(name=name, target=target, role=int(role)))
        return user_of(connection, name)

    @reading
    def get(self, connection: Connection, name: str) -> User | None:
        """One account; None if it does not exist."""
        return users_of(connection).get(name)

    @reading
    def list(self, connection: Connection) -> tuple[User, ...]:
        """All accounts, by name."""
        return tuple(users_of(connection).values())

    @reading
    def password(self, connection: Connection, name: str) -> str | None:
        """The password hash. None if the user does not exist, has no password or is disabled."""
        query = select(user.c.password).where(user.c.name == name, user.c.disabled.is_(False))
        return connection.scalar(query)

    async def set_password(self, name: str, password: str) -> User:
        """Store a password hash (argon2id with salt and costs) and reset the failure count. Raises NotFound."""
        fresh = {"password": password, "failures": 0, "locked_until_ns": 0}
        return await self._change(name, fresh)

    @writing
    def grant(self, connection: Connection, name: str, target: str, role: Role | None) -> User:
        """Grant a role on a target pattern (`*`: everywhere); None removes it.

        Raises NotFound; Conflict if no administrator would be left.
        """
        user_of(connection, name)
        before = _administered(connection)
        connection.execute(delete(user_role).where(user_role.c.name == name, user_role.c.target == target))
        if role is not None:
            connection.execute(insert(user_role).values(name=name, target=target, role=int(role)))
        _still_administered(connection, before)
        return user_of(connection, name)

    @writing
    def disable(self, connection: Connection, name: str, disabled: bool, by: str) -> User:
        """Disable an account, which ends its sessions and links, or enable it. NotFound; Conflict for the last
        administrator."""
        now_ns = self.clock.now_ns()
        user_of(connection, name)
        before = _administered(connection)
        connection.execute(update(user).where(user.c.name == name).values(disabled=disabled))
        if disabled:
            open_ones = (session.c.user == name) & session.c.revoked_ns.is_(None)
            connection.execute(update(session).where(open_ones).values(revoked_ns=now_ns, revoked_by=by))
            connection.execute(delete(link).where(link.c.name == name))
            _still_administered(connection, before)
        return user_of(connection, name)

    @writing
    def make_link(self, connection: Connection, name: str, by: str, *, lifetime_s: float) -> str:
        """Create a secret with which this user's password can be set once; earlier links end. Raises NotFound."""
        now_ns, token = self.clock.now_ns(), secret.token()
        user_of(connection, name)
        connection.execute(delete(link).where(link.c.name == name, link.c.used_ns.is_(None)))
        row = {"digest": secret.digest(token), "name": name, "created_by": by, "created_ns": now_ns}
        connection.execute(insert(link).values(**row, expires_ns=now_ns + round(lifetime_s * _S)))
        return token

    @reading
    def name_of_link(self, connection: Connection, token: str) -> str:
        """The user of a link. Denied if the link is used, expired or unknown."""
        now_ns = self.clock.now_ns()
        return _name_of_link(connection, token, now_ns)

    @writing
    def use_link(self, connection: Connection, token: str, password: str) -> User:
        """Set the password of the link's user and end the link. Denied if the link is used, expired or unknown."""
        now_ns = self.clock.now_ns()
        name = _name_of_link(connection, token, now_ns)
        is_it = link.c.digest == secret.digest(token)
        connection.execute(update(link).where(is_it).values(used_ns=now_ns))
        fresh = {"password": password, "failures": 0, "locked_until_ns": 0}
        connection.execute(update(user).where(user.c.name == name).values(**fresh))
        return user_of(connection, name)

    @writing
    def _change(self, connection: Connection, name: str, values: Mapping[str, object]) -> User:
        user_of(connection, name)
        connection.execute(update(user).where(user.c.name == name).values(**values))
        return user_of(connection, name)


def users_of(connection: Connection) -> dict[str, User]:
    """Name -> account, all of them, within the caller's transaction."""
    roles: dict[str, dict[str, int]] = {}
    for row in connection.execute(select(user_role).order_by(user_role.c.target)).mappings():
        roles.setdefault(row["name"], {})[row["target"]] = row["role"]
    return {
        row["name"]: rows.value(row, User, roles=roles.get(row["name"], {}), has_password=row["password"] is not None)
        for row in connection.execute(select(user).order_by(user.c.name)).mappings()
    }


def user_of(connection: Connection, name: str) -> User:
    """The account, within the caller's transaction. Raises NotFound."""
    found = users_of(connection).get(name)
    if found is None:
        raise NotFound(f"there is no user {name}", source="users", suggestion="check the list of users")
    return found


def _name_of_link(connection: Connection, token: str, now_ns: int) -> str:
    row = connection.execute(select(link).where(link.c.digest == secret.digest(token))).mappings().first()
    if row is None or row["used_ns"] is not None or row["expires_ns"] <= now_ns:
        raise Denied(
            "this link cannot be used: it was used before, has expired, or was replaced by a newer one",
            code="link_void",
            source="users",
            suggestion="ask an administrator for a new link",
        )
    return row["name"]


def _administered(connection: Connection) -> int:
    """2: an administrator can log in; 1: only after the use of a link; 0: no administrator can log in."""
    able = [
        1 + one.has_password
        for one in users_of(connection).values()
        if one.roles.get(EVERYWHERE) is Role.ADMINISTRATOR and not one.disabled
    ]
    return max(able, default=0)


def _still_administered(connection: Connection, before: int) -> None:
    if _administered(connection) < before:
        raise Conflict(
            "no administrator who can log in would be left",
            source="users",
            suggestion="make another user administrator first and have them set a password",
        )
