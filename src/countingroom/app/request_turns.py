"""Turns of requests on connections that belong to no user yet.

2,500 requests of strangers that came at once had all begun to be answered at once: each step of the answer to an
operator waited for a step of all others, and took 15 s on a busy machine. Few of them are begun at a time, and the
addresses take turns, so that an address with many does not delay one with few.
"""

from __future__ import annotations

import asyncio
from collections import deque

AT_ONCE = 8
"""Requests that are being answered. The answer takes the loop, so more of them are not faster."""
PLACE_S = 0.05
"""How long a request keeps its place at most: it may wait for its body, for a password to be checked, for the bus."""


class RequestTurns:
    """The order in which requests begin. One waits at most until the places of those before it are over."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By address, in the order of their next turns."""

    async def begin(self, address: str) -> RequestPlace:
        """Wait for a place. The caller gives it back."""
        if self._free:
            self._free -= 1
            return RequestPlace(self)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_on()
            raise
        return RequestPlace(self)

    def give_on(self) -> None:
        """A place is free: the next one has it."""
        while self._waiting:
            address = next(iter(self._waiting))
            turns = self._waiting.pop(address)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns  # behind all others
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class RequestPlace:
    """The place of one request. It is given back once: by `end`, or by itself after a time."""

    def __init__(self, turns: RequestTurns) -> None:
        self._turns: RequestTurns | None = turns
        self._timer = asyncio.get_running_loop().call_later(PLACE_S, self.end)

    def end(self) -> None:
        """Give it to the next one."""
        self._timer.cancel()
        turns = self._turns
        self._turns = None
        if turns:
            turns.give_on()
