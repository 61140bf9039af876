"""Proving the identity of a user. What the user may do is decided elsewhere.

`PasswordLogin` is the port, `LocalAccounts` its adapter by name and password. A provider of OpenID Connect would be
another adapter, whose proof is the code it sends back. Each of them returns one of our accounts, which has the roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.rate_limit import LOGIN_AS, LOGIN_FROM, RateLimit
from countingroom.core.accounts import User
from countingroom.core.clock import Clock
from countingroom.core.errors import Denied
from countingroom.storage.users import Users

WRONG_ALLOWED = 5
LOCKED_S = 300.0


class PasswordLogin(Protocol):
    """Proves the identity of a user."""

    async def prove(self, proof: Mapping[str, str], *, origin: str) -> User:
        """The account the proof belongs to; Denied otherwise. `origin`: the address it comes from."""
        ...


class LocalAccounts:
    """By name and password; limited in rate, and locked for a while after five wrong passwords."""

    def __init__(self, users: Users, passwords: Passwords, clock: Clock) -> None:
        self._users = users
        self._passwords = passwords
        self._clock = clock
        self._from = RateLimit(LOGIN_FROM)
        self._as = RateLimit(LOGIN_AS)

    async def prove(self, proof: Mapping[str, str], *, origin: str) -> User:
        """Proof: `name`, `password`. The error does not tell which of the two is wrong."""
        name, password = proof.get("name", ""), proof.get("password", "")
        self.limit_rate(name, origin)
        user = await self._users.get(name)
        locked = user is not None and self._clock.now_ns() < user.locked_until_ns
        kept = await self._users.password(name) if user and not locked else None
        if not await self._passwords.verify(kept, password):
            if user and not locked:
                await self._users.failed(name, allowed=WRONG_ALLOWED, lock_s=LOCKED_S)
            raise Denied(
                f"name or password is wrong; after {WRONG_ALLOWED} wrong passwords an account is locked for "
                f"{LOCKED_S / 60:.0f} minutes",
                code="wrong_password",
                source="login",
                suggestion="try again; an administrator can give you a link for a new password",
            )
        if kept and self._passwords.outdated(kept):
            await self._users.set_password(name, await self._passwords.hash(password))
        return await self._users.succeeded(name)

    def limit_rate(self, name: str, origin: str) -> None:
        """Count an attempt; Denied where there were too many."""
        now_s = self._clock.monotonic()
        wait_s = max(self._from.wait_s(origin, now_s), self._as.wait_s(name, now_s))
        if wait_s:
            raise Denied(
                f"too many attempts; the next is possible in {wait_s:.0f} s",
                code="too_often",
                source="login",
                evidence={"wait_s": wait_s},
                suggestion="wait, then try again",
            )
