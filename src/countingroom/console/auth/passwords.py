"""Hashing and verifying passwords with argon2id. A check takes the same time whether the password is right or not.

A hash takes 64 MiB and some tenths of a second on purpose. At most two are computed at once: one for known devices and
sessions, one for all others (login_turns.py). Those that wait are bounded, together and of one user or address. So many
passwords of unknown devices do not delay the user of a known one.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from countingroom.console.auth.login_turns import LoginTurns, busy
from countingroom.console.auth.password_strength import ENOUGH, guesses_log10, known_passwords
from countingroom.core.errors import OutOfRange

SHORTEST = 12
LONGEST = 200
_SHORTEST_NAME = 3
_WAITING = 20
_WAITING_OF_ONE = 4

T = TypeVar("T")


def acceptable(password: str, *, name: str = "") -> str:
    """The password in the normal form that is hashed. OutOfRange if it is easy to guess."""
    password = unicodedata.normalize("NFKC", password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise OutOfRange(
            f"a password has {SHORTEST} to {LONGEST} characters",
            code="weak_password",
            source="login",
            suggestion="take a few words that do not belong together",
        )
    letters = password.casefold()
    is_like_name = len(name) >= _SHORTEST_NAME and any(
        one in letters for one in (name.casefold(), name.casefold()[::-1])
    )
    if is_like_name or guesses_log10(password, known_passwords()) < ENOUGH:
        raise OutOfRange(
            "this password is easily guessed: it contains the name of the user"
            if is_like_name
            else "this password is easily guessed: it consists of known passwords, rows of the keyboard or sequences",
            code="weak_password",
            source="login",
            suggestion="take four words that do not belong together",
        )
    return password


class Passwords:
    """Hashing and verifying, outside the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # argon2id; RFC 9106's second choice of costs
        self._known = _Lane()
        self._unknown = LoginTurns()
        self._dummy: str | None = None
        self._making_dummy = asyncio.Lock()

    async def hash(self, password: str, *, of: str = "") -> str:
        """The hash to be stored. `of`: the user or address that may have few requests waiting."""
        return await self._known.in_thread(of, lambda: self._hasher.hash(password))

    async def verify(
        self,
        kept: str | None,
        password: str,
        *,
        is_known: bool = False,
        of: str = "",
        name: str = "",
        is_familiar: bool = False,
    ) -> bool:
        """Whether the password fits the stored hash. `kept` None (no such user): as slow, and False. `is_known`: the
        request comes from a known device. `of`: as for `hash`. `name`: as it was given, known or not. `is_familiar`: a
        user has logged in from this address."""
        password = unicodedata.normalize("NFKC", password[:LONGEST])
        # Without a dummy hash the time of the answer would tell which user names exist.
        if kept is None and self._dummy is None:
            async with self._making_dummy:  # once: many at the same time filled the queue of known devices
                self._dummy = self._dummy or await self.hash("no such user")
        against = kept or self._dummy or ""

        def fits() -> bool:
            return self._fits(against, password)

        if is_known:
            right = await self._known.in_thread(of, fits)
        else:
            right = await self._unknown.in_thread(fits, address=of, name=name, is_familiar=is_familiar)
        return right and kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether it was made with other costs than the present ones."""
        return self._hasher.check_needs_rehash(kept)

    def _fits(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


class _Lane:
    """One thread and a bounded queue."""

    def __init__(self) -> None:
        self._place = asyncio.Semaphore(1)
        self._waiting: Counter[str] = Counter()

    async def in_thread(self, of: str, work: Callable[[], T]) -> T:
        if self._waiting.total() >= _WAITING or (of and self._waiting[of] >= _WAITING_OF_ONE):
            raise busy()
        self._waiting[of] += 1
        try:
            async with self._place:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= Counter((of,))
