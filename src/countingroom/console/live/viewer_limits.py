"""How many live feeds one user, one address and all together may have open, and how often one may subscribe. Pure.

A part of the places is reserved for operators: users with more rights than to view. A page without a place asks for the
state by request instead (`api/live.py`), so a limit never takes the commands from a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from msgspec import Struct

from countingroom.console.auth.rate_limit import Pace, RateLimit
from countingroom.core.errors import Conflict

TOO_MANY = "too_many"
"""The code of the refusal."""
SUBSCRIBED = Pace(burst=64, every_s=0.05)
"""Subscriptions of one user over all sockets, and requests for the state. Each costs a snapshot; 64 pages may begin at
once after a restart of the console."""


class ViewerLimits(Struct, frozen=True, kw_only=True):
    """The most live feeds that may be open."""

    user: int = 32
    """Of one user."""
    address: int = 96
    """From one address, of users who are no operators."""
    everybody: int = 512
    reserved: int = 128
    """The part of `everybody` that only operators get."""


class Viewers:
    """Counts the live feeds that are open."""

    def __init__(self, limits: ViewerLimits = ViewerLimits()) -> None:  # noqa: B008
        self._limits = limits
        self._users: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self._pace = RateLimit(SUBSCRIBED)
        self.refused = 0
        """How many feeds were refused since the start."""

    @contextmanager
    def place(self, user: str, address: str, *, operates: bool) -> Generator[None]:
        """A place while entered; Conflict, with the limit in its text, where there is none."""
        if reason := self._full(user, address, operates=operates):
            self.refused += 1
            raise Conflict(reason, source="console", code=TOO_MANY, suggestion="close pages that are not needed")
        counted = [(self._users, user)] if operates else [(self._users, user), (self._addresses, address)]
        for counter, key in counted:
            counter[key] += 1
        try:
            yield
        finally:
            for counter, key in counted:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    def wait_s(self, user: str, now_s: float) -> float:
        """0 if this user may subscribe now; then it is counted. Otherwise the seconds to wait."""
        return self._pace.wait_s(user, now_s)

    def _full(self, user: str, address: str, *, operates: bool) -> str:
        limits, count = self._limits, self._users.total()
        if self._users[user] >= limits.user:
            return f"{user} has {limits.user} live pages open, the most for one user"
        if not operates and self._addresses[address] >= limits.address:
            return f"{limits.address} live pages are open from {address}, the most for one address"
        if count >= limits.everybody:
            return f"{limits.everybody} live pages are open, the most for this console"
        if not operates and count >= limits.everybody - limits.reserved:
            return "the other live pages are reserved for users with the role shifter or higher"
        return ""
