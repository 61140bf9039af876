"""Proves the identity of a user. Other modules decide what the user may do.

`PasswordLogin` is the port, `LocalAccounts` its adapter by name and password. A provider of OpenID Connect would be
another adapter, with the code that it sends back as proof. Each of them returns one of our accounts, which has the
roles.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Protocol

from countingroom.console.auth.known_device import device_of, make_token
from countingroom.console.auth.passwords import Passwords
from countingroom.console.auth.rate_limit import LOGIN_AS, LOGIN_FROM, RateLimit, network_of
from countingroom.core.accounts import User
from countingroom.core.clock import Clock
from countingroom.core.errors import Denied
from countingroom.core.lockout import LoginFailures, add_failure
from countingroom.storage.users import Users

_REMEMBERED = 10_000
_NAME = 100
"""No account has a longer name; what follows is not remembered."""


class PasswordLogin(Protocol):
    """Proves the identity of a user."""

    async def prove(self, proof: Mapping[str, str], *, origin: str, known: str = "") -> User:
        """The account the proof belongs to; Denied otherwise. `origin`: the address it comes from. `known`: the id of a
        device or a session in which this user was authenticated before."""
        ...


class LocalAccounts:
    """By name and password. Wrong passwords slow down the address or the known device that they come from."""

    def __init__(self, users: Users, passwords: Passwords, clock: Clock) -> None:
        self._users = users
        self._passwords = passwords
        self._clock = clock
        self._from = RateLimit(LOGIN_FROM)
        self._as = RateLimit(LOGIN_AS)
        self._failures: OrderedDict[tuple[str, str], LoginFailures] = OrderedDict()
        self._familiar: OrderedDict[str, None] = OrderedDict()
        """Addresses from which a user has logged in since the start, the last ones at the end."""

    async def prove(self, proof: Mapping[str, str], *, origin: str, known: str = "") -> User:
        """Proof: `name`, `password`. The error does not tell which of the two is wrong."""
        name, password = proof.get("name", ""), proof.get("password", "")
        pair = (name[:_NAME], known or network_of(origin))
        source = f"user {name}" if known else network_of(origin)
        self._limit(pair, source, is_known=bool(known))
        kept = await self._users.password(name)
        user = await self._users.get(name)
        if (
            not await self._passwords.verify(
                kept,
                password,
                is_known=bool(known),
                of=source,
                name=pair[0],
                is_familiar=network_of(origin) in self._familiar,
            )
            or kept is None
            or user is None
        ):
            self._count_failure(pair)
            raise Denied(
                "name or password is wrong; after some wrong passwords each further one has to wait longer",
                code="wrong_password",
                source="login",
                suggestion="try again; an administrator can give you a link for a new password",
            )
        self._failures.pop(pair, None)
        self._remember(network_of(origin))
        if self._passwords.outdated(kept):
            await self._users.set_password(name, await self._passwords.hash(password, of=name))
        return user

    async def known_device(self, name: str, token: str) -> str:
        """The id of the device with this token in its cookie; empty if the user never logged in from this device."""
        kept = await self._users.password(name) if token else None
        return device_of(token, name, kept, self._clock.now_ns()) if kept else ""

    async def device_token(self, name: str) -> str:
        """The token of a device in which this user has logged in."""
        return make_token(name, await self._users.password(name) or "", self._clock.now_ns())

    def limit_address(self, origin: str) -> None:
        """Count an attempt that needs no name; Denied where there were too many from this address."""
        _refuse(self._from.wait_s(network_of(origin), self._clock.monotonic()))

    def _limit(self, pair: tuple[str, str], source: str, *, is_known: bool) -> None:
        now_s = self._clock.monotonic()
        failures = self._failures.get(pair)
        _refuse(failures.wait_s(now_s) if failures else 0.0)
        _refuse(self._from.wait_s(source, now_s))
        if not is_known:
            _refuse(self._as.wait_s(pair[0], now_s))

    def _remember(self, address: str) -> None:
        self._familiar[address] = None
        self._familiar.move_to_end(address)
        while len(self._familiar) > _REMEMBERED:
            self._familiar.popitem(last=False)

    def _count_failure(self, pair: tuple[str, str]) -> None:
        self._failures[pair] = add_failure(self._failures.pop(pair, None), self._clock.monotonic())
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)


def _refuse(wait_s: float) -> None:
    if wait_s:
        raise Denied(
            f"too many attempts; the next is possible in {wait_s:.0f} s",
            code="too_often",
            source="login",
            evidence={"retry_after_s": wait_s},
            suggestion="wait, then try again, or use a browser in which you have logged in before",
        )
