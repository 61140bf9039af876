"""The open connections of the web server: how many one address and one user may have, and which one gives way.

A connection gives way to a new one in the order of ConnectionRank, the oldest of its rank first. Only a connection that
was never answered can become that of a user, so it stays longer than one that was answered without a login, and is
safe for a short time once its request has arrived. Pure: the time is given.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from msgspec import Struct

ASKING_S = 5.0
"""How long a first request keeps its connection. An answer takes milliseconds, a login at most seconds."""


class ConnectionRank(IntEnum):
    """The later ones keep their connection longer."""

    ANSWERED = 0
    """Answered without a login; no request is open."""
    ASKING_AGAIN = 1
    """Answered without a login; its next request is open. Below NEW, or pipelined requests would hold all places."""
    NEW = 2
    """No complete request has arrived."""
    ASKING = 3
    """The first request has arrived and is not answered. After ASKING_S it gives way before all others."""
    VIEWER = 4
    OPERATOR = 5
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
        self.rank = ConnectionRank.NEW
        self.since_s = 0.0
        """Since when it has this rank."""
        self.user = ""


class _Connections:
    """Connections by rank, in the order in which they came to their rank."""

    def __init__(self) -> None:
        self._ranks: dict[ConnectionRank, dict[OpenConnection, None]] = {rank: {} for rank in ConnectionRank}

    def __len__(self) -> int:
        return sum(map(len, self._ranks.values()))

    def __contains__(self, one: OpenConnection) -> bool:
        return one in self._ranks[one.rank]

    def put(self, one: OpenConnection) -> None:
        self._ranks[one.rank][one] = None

    def take(self, one: OpenConnection) -> None:
        del self._ranks[one.rank][one]

    def gives_way(self, now_s: float) -> OpenConnection | None:
        """The connection to be closed for a new one; None where all are to stay."""
        asking = next(iter(self._ranks[ConnectionRank.ASKING]), None)
        is_safe = asking is not None and now_s - asking.since_s < ASKING_S
        if asking is not None and not is_safe:
            return asking
        for rank, ones in self._ranks.items():
            if ones:
                keeps = rank is ConnectionRank.ASKING or rank is ConnectionRank.OPERATOR
                return None if keeps else next(iter(ones))
        return None


class ConnectionTable:
    """All open connections."""

    def __init__(self, limits: ConnectionLimits = ConnectionLimits()) -> None:  # noqa: B008
        self._limits = limits
        self._all = _Connections()
        self._addresses: dict[str, _Connections] = {}
        self._users: dict[str, dict[OpenConnection, None]] = {}
        self.closed = 0
        """How many were closed because of a limit since the start."""

    def __len__(self) -> int:
        return len(self._all)

    def add(self, new: OpenConnection, *, now_s: float) -> None:
        """Take a new connection in. Beyond a limit another one is closed, or the new one where all others stay."""
        here = self._addresses.get(new.address)
        among = here if here is not None and len(here) >= self._limits.address else self._all
        if among is here or len(among) >= self._limits.everybody:
            lowest = among.gives_way(now_s)
            if lowest is None:
                self.closed += 1
                new.close()
                return
            self._close(lowest)
        new.since_s = now_s
        self._all.put(new)
        self._addresses.setdefault(new.address, _Connections()).put(new)

    def asks(self, one: OpenConnection, *, now_s: float) -> None:
        """A complete request has arrived on this connection."""
        if one.rank is ConnectionRank.NEW:
            self._rank(one, ConnectionRank.ASKING, now_s)
        elif one.rank is ConnectionRank.ANSWERED:
            self._rank(one, ConnectionRank.ASKING_AGAIN, now_s)

    def answered(self, one: OpenConnection, *, now_s: float) -> None:
        """A request without a login has its answer. The connection of a user stays that."""
        if one.rank < ConnectionRank.VIEWER:
            self._rank(one, ConnectionRank.ANSWERED, now_s)

    def identify(self, one: OpenConnection, user: str, *, operates: bool, now_s: float) -> None:
        """A request on this connection belongs to this user. Where the user has too many, the oldest is closed."""
        self._rank(one, ConnectionRank.OPERATOR if operates else ConnectionRank.VIEWER, now_s)
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
        self._all.take(one)
        here = self._addresses[one.address]
        here.take(one)
        if not here:
            del self._addresses[one.address]
        self._forget_user(one)

    def _rank(self, one: OpenConnection, rank: ConnectionRank, now_s: float) -> None:
        if one.rank is rank or one not in self._all:
            return
        places = (self._all, self._addresses[one.address])
        for place in places:
            place.take(one)
        one.rank = rank
        one.since_s = now_s
        for place in places:
            place.put(one)

    def _close(self, one: OpenConnection) -> None:
        self.closed += 1
        self.remove(one)
        one.close()

    def _forget_user(self, one: OpenConnection) -> None:
        mine = self._users.get(one.user, {})
        mine.pop(one, None)
        if not mine:
            self._users.pop(one.user, None)
