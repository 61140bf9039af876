"""Roles of users, for departments that check them. While the database is not reached, the last known role applies.

A run can so be stopped although the disk of the database is broken. A user without a known role then counts as SHIFTER:
the console has already checked the login and the role before it sent the command.
"""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.accounts import EVERYWHERE, User
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.policy import LOCAL, Principal, Role
from countingroom.storage.users import Users

LOOK_S = 1.0
"""Time-out of the database; after it the last known role applies."""


class Principals:
    """Looks up the roles of users and remembers the last ones."""

    def __init__(self, users: Users, clock: Clock, programs: Mapping[str, Principal] | None = None) -> None:
        """`programs`: principals that are no users, with the rights that the description gives them: `rule.night`."""
        self._programs = programs or {}
        self._users = users
        self._clock = clock
        self._accounts: dict[str, User] = {}
        self._has_accounts = True

    async def principal(self, user: str, target: str) -> Principal:
        """The user with the role on a target. While no account exists at all, each user has all permissions; a program
        has its own in any case."""
        if (program := self._programs.get(user)) is not None:
            return program
        try:
            async with within(self._clock, LOOK_S):
                await self._look(user)
        except (LinkError, TimeoutError):
            if self._has_accounts and user not in self._accounts and user != LOCAL.name:
                return Principal(name=user, role=Role.SHIFTER)
        account = self._accounts.get(user)
        if account is None:
            trusted = user == LOCAL.name or not self._has_accounts
            return Principal(name=user, role=LOCAL.role if trusted else Role.VIEWER)
        if account.disabled:
            return Principal(name=user, role=Role.VIEWER)
        return Principal(name=user, role=max(account.role(EVERYWHERE), account.role(target)))

    async def _look(self, user: str) -> None:
        accounts = await self._users.list()
        self._has_accounts = bool(accounts)
        account = next((one for one in accounts if one.name == user), None)
        if account is None:
            self._accounts.pop(user, None)
        else:
            self._accounts[user] = account
