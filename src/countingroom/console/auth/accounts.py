"""Changes of user accounts, for console and command line alike. A right that is taken away is gone at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from countingroom.console.auth.password_login import LocalAccounts
from countingroom.console.auth.passwords import Passwords, acceptable
from countingroom.core.accounts import EVERYWHERE, FIRST_ADMINISTRATOR, TOKEN_ORIGIN, User
from countingroom.core.clock import Clock
from countingroom.core.errors import Denied, NotFound, OutOfRange
from countingroom.core.plain_text import hidden_character
from countingroom.core.policy import Principal, Role, covers
from countingroom.storage.database import Database

LINK_S = 86_400.0
TOKEN_S = 365 * 86_400.0
READ: Mapping[str, Role] = {}
"""Scope of a token that only reads."""
OPERATE: Mapping[str, Role] = {EVERYWHERE: Role.EXPERT}
"""Scope of a token that does what its user may, except administration."""
_NAME = 40


class AccountView(Struct, frozen=True, kw_only=True):
    """An account as administrators see it."""

    user: User
    roles: dict[str, str]
    """Target -> role, in words."""
    logins: int
    """Sessions that are valid now."""


class Accounts:
    """Changes that administrators and users make to accounts. `changed` is called after each of them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        passwords: Passwords | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._users = database.users
        self._sessions = database.sessions
        self._passwords = passwords or Passwords()
        self._changed = changed
        self.identity = LocalAccounts(self._users, self._passwords, clock)

    async def first(self) -> str | None:
        """The secret of a link for the first administrator; None where an administrator has a password already."""
        users = await self._users.list()
        administrators = [one for one in users if one.roles.get(EVERYWHERE) is Role.ADMINISTRATOR]
        if any(one.has_password and not one.disabled for one in administrators):
            return None
        if not administrators:
            await self._users.create(FIRST_ADMINISTRATOR, "countingroom", roles={EVERYWHERE: Role.ADMINISTRATOR})
        name = administrators[0].name if administrators else FIRST_ADMINISTRATOR
        return await self._users.make_link(name, "countingroom", lifetime_s=LINK_S)

    async def add(self, name: str, by: Principal, *, full_name: str, roles: Mapping[str, Role]) -> str:
        """Create an account; returns the secret of the link that lets its user set a password."""
        if len(name) > _NAME:
            raise OutOfRange(
                f"the name of a user has at most {_NAME} characters", source="users", suggestion="take a shorter one"
            )
        if name == "local":
            raise OutOfRange(
                "local is the user of a console without login", source="users", suggestion="take another name"
            )
        for target in roles:
            _check_target(target)
        _check_rights(by, name, roles)
        await self._users.create(name, by.name, full_name=_plain(full_name), roles=roles)
        return await self._users.make_link(name, by.name, lifetime_s=LINK_S)

    async def check_change(self, name: str, by: Principal) -> None:
        """Denied where the user has more rights than the requester of the change."""
        # A link for a new password, for example, would otherwise give an administrator of one target every right.
        account = await self._users.get(name)
        _check_rights(by, name, account.roles if account else {})

    async def link(self, name: str, by: Principal) -> str:
        """The secret of a link for a new password."""
        await self.check_change(name, by)
        return await self._users.make_link(name, by.name, lifetime_s=LINK_S)

    async def grant(self, name: str, target: str, role: Role | None, by: Principal) -> None:
        """Give a user a role for a target or a pattern of targets; None removes it. A user cannot grant
        more than they have."""
        _check_target(target)
        await self.check_change(name, by)
        _check_rights(by, name, {target: role} if role is not None else {})
        await self._users.grant(name, target, role)
        self._changed()

    async def disable(self, name: str, disabled: bool, by: Principal) -> None:
        """Disable or enable an account."""
        await self.check_change(name, by)
        await self._users.disable(name, disabled, by.name)
        self._changed()

    async def log_out(self, name: str, by: Principal) -> int:
        """End every session and token of a user; returns how many."""
        if await self._users.get(name) is None:
            raise NotFound(f"there is no user {name}", source="users", suggestion="look at the list of users")
        await self.check_change(name, by)
        ended = await self._sessions.revoke_all(name, by.name)
        self._changed()
        return ended

    async def leave(self, session: str, by: str) -> None:
        """End one session."""
        await self._sessions.revoke(session, by)
        self._changed()

    async def use_link(self, secret: str, password: str, *, origin: str) -> User:
        """Set a password by a one-time link; every earlier session of that user ends."""
        # Only void links are counted: an attacker at the same address cannot keep a user from using a valid one.
        try:
            name = await self._users.name_of_link(secret)
        except Denied:
            self.identity.limit_address(origin)
            raise
        user = await self._users.use_link(secret, await self._passwords.hash(acceptable(password, name=name), of=name))
        if user.disabled:
            raise Denied(
                f"{user.name} is disabled",
                code="login_over",
                source="login",
                suggestion="ask an administrator",
            )
        await self._sessions.revoke_all(user.name, user.name)
        self._changed()
        return user

    async def change_password(self, name: str, present: str, password: str, *, origin: str, session: str) -> None:
        """Set the user's own password; every other session of that user ends."""
        password = acceptable(password, name=name)
        await self.identity.prove({"name": name, "password": present}, origin=origin, known=session)
        await self._users.set_password(name, await self._passwords.hash(password, of=name))
        await self._sessions.revoke_all(name, name, but=session)
        self._changed()

    async def token(
        self, name: str, *, what_for: str, scope: Mapping[str, Role] = OPERATE, lifetime_s: float = TOKEN_S
    ) -> str:
        """A token by which a program acts as this user, within `scope`: target or pattern -> highest role."""
        if not 0 < lifetime_s <= TOKEN_S:
            raise OutOfRange(
                f"a token is valid for at most {TOKEN_S / 86_400:.0f} days",
                source="users",
                suggestion="make a new one before it ends",
            )
        for target in scope:
            _check_target(target)
        secret, _ = await self._sessions.create(
            name, lifetime_s=lifetime_s, origin=TOKEN_ORIGIN, agent=_plain(what_for)[:200], scope=scope
        )
        return secret

    async def list_accounts(self) -> list[AccountView]:
        """Every account, with its roles and the number of its sessions."""
        sessions = [one.user for one in await self._sessions.list()]
        return [
            AccountView(user=one, roles=in_words(one.roles), logins=sessions.count(one.name))
            for one in await self._users.list()
        ]


def in_words(roles: Mapping[str, Role]) -> dict[str, str]:
    """Target -> `shifter`."""
    return {target: word(role) for target, role in roles.items()}


def word(role: Role) -> str:
    """`shifter`."""
    return role.name.lower()


def role_of(text: str) -> Role:
    """The role of this name; OutOfRange."""
    try:
        return Role[text.upper()]
    except KeyError:
        raise OutOfRange(
            f"there is no role {text!r}",
            source="users",
            suggestion=f"choose one of {', '.join(word(role) for role in Role)}",
        ) from None


def _check_rights(by: Principal, name: str, roles: Mapping[str, Role]) -> None:
    """Denied where one of these roles is more than `by` has."""
    for target, role in roles.items():
        if not covers(by, target, role):
            raise Denied(
                f"{by.name} may not change {name}: {word(role)} of {target} is more than {by.name} is",
                code="denied",
                source="users",
                evidence={"principal": by.name, "target": target, "role": word(role)},
                suggestion="ask an administrator of everything (*)",
            )


def _plain(text: str) -> str:
    if hidden := hidden_character(text):
        raise OutOfRange(
            f"the text contains the hidden character {hidden}", source="users", suggestion="remove the character"
        )
    return text


def _check_target(target: str) -> None:
    kind, _, name = target.partition(".")
    if target not in (EVERYWHERE, "_experiment") and (kind not in ("device", "partition", "system") or not name):
        raise OutOfRange(
            f"{target!r} is no target of a role",
            source="users",
            suggestion="write *, _experiment, device.NAME, partition.NAME or system.NAME; * and ? are wildcards",
        )
