"""The open connections of the web server: how many one address and one user may have, and which one gives way.

A connection gives way to a new one in this order: without a user, of a viewer, of an operator; the oldest first. So a
stranger who opens connections without pause ends his own, and never those of users. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from msgspec import Struct


class ConnectionRank(IntEnum):
    """The later ones keep their connection longer."""

    UNKNOWN = 0
    """No request with a session has been answered."""
    VIEWER = 1
    OPERATOR = 2
    """Of a user who may do more than look."""


class ConnectionLimits(Struct, frozen=True, kw_only=True):
    """The most connections, HTTP and websockets together."""

    everybody: int = 2048
    address: int = 256
    """From one address."""
    user: int = 128


_OTHER_FILES = 256
"""Files of the console besides connections: database, bus, log."""


def connection_limits(*, files: int, behind_proxy: bool = False) -> ConnectionLimits:
    """The limits of a process that may have so many files open. Behind a proxy all have the address of the proxy."""
    everybody = max(64, min(ConnectionLimits().everybody, files - _OTHER_FILES))
    return ConnectionLimits(everybody=everybody, address=everybody if behind_proxy else min(256, everybody // 2))


class OpenConnection:
    """One connection. `close` ends it at once."""

    def __init__(self, address: str, close: Callable[[], None]) -> None:
        self.address = address
        self.close = close
        self.rank = ConnectionRank.UNKNOWN
        self.user = ""


class ConnectionTable:
    """All open connections, oldest first."""

    def __init__(self, limits: ConnectionLimits = ConnectionLimits()) -> None:  # noqa: B008
        self._limits = limits
        self._all: dict[OpenConnection, None] = {}
        self._addresses: dict[str, dict[OpenConnection, None]] = {}
        self._users: dict[str, dict[OpenConnection, None]] = {}
        self.closed = 0
        """How many were closed because of a limit since the start."""

    def __len__(self) -> int:
        return len(self._all)

    def add(self, new: OpenConnection) -> None:
        """Take a new connection in. Beyond a limit another one is closed, or the new one if all are of operators."""
        here = self._addresses.get(new.address, {})
        among = here if len(here) >= self._limits.address else self._all
        if among is here or len(among) >= self._limits.everybody:
            lowest = _first_of_lowest_rank(among)
            if lowest is None or lowest.rank is ConnectionRank.OPERATOR:
                self.closed += 1
                new.close()
                return
            self._close(lowest)
        self._all[new] = None
        self._addresses.setdefault(new.address, {})[new] = None

    def identify(self, one: OpenConnection, user: str, *, operates: bool) -> None:
        """A request on this connection belongs to this user. Where the user has too many, the oldest is closed."""
        one.rank = ConnectionRank.OPERATOR if operates else ConnectionRank.VIEWER
        if one.user == user or one not in self._all:
            return
        self._forget_user(one)
        one.user = user
        mine = self._users.setdefault(user, {})
        mine[one] = None
        if len(mine) > self._limits.user:
            self._close(next(iter(mine)))

    def remove(self, one: OpenConnection) -> None:
        """The connection has ended."""
        if one not in self._all:
            return
        del self._all[one]
        here = self._addresses[one.address]
        del here[one]
        if not here:
            del self._addresses[one.address]
        self._forget_user(one)

    def _close(self, one: OpenConnection) -> None:
        self.closed += 1
        self.remove(one)
        one.close()

    def _forget_user(self, one: OpenConnection) -> None:
        mine = self._users.get(one.user, {})
        mine.pop(one, None)
        if not mine:
            self._users.pop(one.user, None)


def _first_of_lowest_rank(among: Iterable[OpenConnection]) -> OpenConnection | None:
    lowest: OpenConnection | None = None
    for one in among:
        if one.rank is ConnectionRank.UNKNOWN:
            return one
        if lowest is None or one.rank < lowest.rank:
            lowest = one
    return lowest
