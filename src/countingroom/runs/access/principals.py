"""Law: who is known stays known while the database is away: a broken disk keeps nobody from stopping a run.

The console looks at roles first, and lets in nobody whom it does not know; here they are looked at again. Who was never
seen here counts as one who may operate, as long as nothing better is known.
"""

from __future__ import annotations

from countingroom.core.accounts import EVERYWHERE, User
from countingroom.core.clock import Clock, within
from countingroom.core.errors import LinkError
from countingroom.core.policy import LOCAL, Principal, Role
from countingroom.storage.users import Users

LOOK_S = 1.0
"""The database answers by then, or is away."""


class Principals:
    """What users are trusted with."""

    def __init__(self, users: Users, clock: Clock) -> None:
        self._users = users
        self._clock = clock
        self._accounts: dict[str, User] = {}
        self._has_accounts = True

    async def principal(self, user: str, target: str) -> Principal:
        """Who a user is, and what he is trusted with at a target. Without accounts everybody is trusted with all."""
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
        account = await self._users.get(user)
        if account is None:
            self._has_accounts = bool(await self._users.list())
            self._accounts.pop(user, None)
        else:
            self._has_accounts = True
            self._accounts[user] = account
