"""Orders that wait for one device. One that switches off is never refused for want of room, goes before
all others, and ends those that wait: carried out after it, they could switch on again what it has switched off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class WaitingOrders(Generic[T]):
    """Two queues, each with a reader of its own: one that switches off does not wait for the answer to another."""

    def __init__(self, limit: int, *, is_off: Callable[[T], bool], is_same: Callable[[T, T], bool]) -> None:
        """`limit`: of those that do not switch off. `is_same`: whether two ask for the same of the same channel."""
        self.others: asyncio.Queue[T] = asyncio.Queue(limit)
        self.offs: asyncio.Queue[T] = asyncio.Queue()
        self._waiting_offs: list[T] = []
        self._is_off = is_off
        self._is_same = is_same

    def put(self, order: T) -> list[T]:
        """Add it; returns those that are not to be carried out any more because of it. asyncio.QueueFull: no room."""
        if not self._is_off(order):
            self.others.put_nowait(order)
            return []
        # There are only so many channels: without the repeated ones, this queue has a bound.
        if not any(self._is_same(order, one) for one in self._waiting_offs):
            self._waiting_offs.append(order)
            self.offs.put_nowait(order)
        return self.drop()

    async def next_off(self) -> T:
        """The next that switches off, in the order in which they came."""
        order = await self.offs.get()
        self._waiting_offs.remove(order)
        return order

    async def next_other(self) -> T:
        """The next of the others."""
        return await self.others.get()

    def drop(self) -> list[T]:
        """Take out all that do not switch off."""
        dropped: list[T] = []
        while not self.others.empty():
            dropped.append(self.others.get_nowait())
        return dropped
