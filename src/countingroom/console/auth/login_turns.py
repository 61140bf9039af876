"""The order in which passwords of unknown devices are checked, one at a time: in turn over addresses and names.

In each round an address has one turn, and a name has one turn; what else waits of them comes in a later round. Names
that do not exist are treated as others, so the waiting time does not tell which exist. Addresses from which a user has
logged in have a queue of their own, with every second turn.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

from countingroom.core.errors import LinkError

WAITING = 60
"""Passwords that wait in each of the two queues. A check takes about a tenth of a second."""
WAITING_OF_ONE = 4
"""Of one address."""
RETRY_AFTER_S = 10.0

T = TypeVar("T")


def busy() -> LinkError:
    """The refusal of a login for which no place is free."""
    return LinkError(
        "too many logins wait at the same time",
        code="busy",
        source="login",
        evidence={"retry_after_s": RETRY_AFTER_S},
        suggestion=f"try again in {RETRY_AFTER_S:.0f} s, or use a browser in which you have logged in before",
    )


class Waiting:
    """A password that waits for its turn. `turn` is done when it has come, or has an error when the place is lost."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class TurnQueue:
    """A bounded queue with turns. Without I/O."""

    def __init__(self) -> None:
        self._round: deque[Waiting] = deque()
        """Each of another address and another name."""
        self._later: list[Waiting] = []
        """Oldest first."""

    def __len__(self) -> int:
        return len(self._round) + len(self._later)

    def add(self, new: Waiting) -> Waiting | None:
        """Queue it. Returns the one that loses its place for it, which is `new` itself where none may."""
        of_address = Counter(one.address for one in (*self._round, *self._later))[new.address]
        lost: Waiting | None = None
        if of_address >= WAITING_OF_ONE:
            return new
        if len(self) >= WAITING:
            if not self._later or any(_shares(one, new) for one in self._round):
                return new
            lost = self._later.pop()
        self._later.append(new)
        self._fill_round()
        return lost

    def take(self) -> Waiting | None:
        """The next one; None where none waits."""
        if not self._round:
            return None
        found = self._round.popleft()
        self._fill_round()
        return found

    def remove(self, one: Waiting) -> None:
        """It no longer waits."""
        if one in self._round:
            self._round.remove(one)
        elif one in self._later:
            self._later.remove(one)
        self._fill_round()

    def _fill_round(self) -> None:
        addresses = {one.address for one in self._round}
        names = {one.name for one in self._round}
        later: list[Waiting] = []
        for one in self._later:
            is_free = one.address not in addresses and one.name not in names
            (self._round if is_free else later).append(one)
            addresses.add(one.address)  # also of one that stays: a later one must not overtake it
            names.add(one.name)
        self._later = later


class LoginTurns:
    """Runs the checks, one at a time, in a thread."""

    def __init__(self) -> None:
        self._queues = deque((TurnQueue(), TurnQueue()))
        self._familiar, self._others = self._queues
        self._is_checking = False

    async def in_thread(self, work: Callable[[], T], *, address: str, name: str, is_familiar: bool) -> T:
        """Wait for a turn, then do it in a thread. LinkError `busy` where there is no place."""
        queue = self._familiar if is_familiar else self._others
        mine = Waiting(address, name)
        lost = queue.add(mine)
        if lost is mine:
            raise busy()
        if lost and not lost.turn.done():  # it is done where its task is cancelled, and did not run yet
            lost.turn.set_exception(busy())
        self._next()
        try:
            await mine.turn
        except asyncio.CancelledError:
            queue.remove(mine)
            if mine.turn.done() and not mine.turn.cancelled() and not mine.turn.exception():
                self._end()
            raise
        try:
            return await asyncio.to_thread(work)
        finally:
            self._end()

    def _end(self) -> None:
        self._is_checking = False
        self._next()

    def _next(self) -> None:
        if self._is_checking:
            return
        for queue in tuple(self._queues):
            self._queues.rotate(-1)
            while found := queue.take():
                if not found.turn.done():
                    self._is_checking = True
                    found.turn.set_result(None)
                    return


def _shares(one: Waiting, other: Waiting) -> bool:
    return one.address == other.address or one.name == other.name
