"""Gathers the copies of a service that are ordered together, so that they are submitted as one array of jobs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

from countingroom.core.clock import Clock
from countingroom.fleet.engines import slurm_jobs as forms
from countingroom.fleet.engines.port import MakeOrder
from countingroom.fleet.engines.slurm_records import MadeJob

GATHER_S = 0.05
"""Copies that are ordered within this time are one array."""
Submit = Callable[[Sequence[MakeOrder]], Awaitable[Sequence[MadeJob]]]
_Key = tuple[str, str, int]


class OrderGathering:
    """Orders of one change of one service that are under way at the same time are submitted together."""

    def __init__(self, clock: Clock, submit: Submit) -> None:
        """`submit`: submits orders as one job or one array, and returns their jobs in the same order."""
        self._clock = clock
        self._submit = submit
        self._coming: Counter[_Key] = Counter()
        self._news = asyncio.Event()
        """Set when an order is no longer coming."""
        self._gathered: dict[_Key, list[tuple[MakeOrder, asyncio.Future[MadeJob]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def coming(self, order: MakeOrder) -> Generator[None]:
        """While entered, the array waits for this order.

        Before an order is gathered, the controller is asked what is there. On a busy machine the answers of copies that
        are ordered at once come further apart than GATHER_S, and the copies became two arrays. Each question has a
        deadline (`slurm_commands.CALL_S`), so that the array waits no longer than that."""
        key = _key(order)
        self._coming[key] += 1
        try:
            yield
        finally:
            self._coming[key] -= 1
            if not self._coming[key]:
                del self._coming[key]
                self._news.set()

    async def submitted(self, order: MakeOrder) -> MadeJob:
        """Submit it together with the other copies that are ordered now."""
        key = _key(order)
        done: asyncio.Future[MadeJob] = asyncio.get_running_loop().create_future()
        self._gathered.setdefault(key, []).append((order, done))
        if len(self._gathered[key]) == 1:
            task = asyncio.create_task(self._submit_gathered(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await done

    def close(self) -> None:
        """End the submissions under way."""
        for task in self._tasks:
            task.cancel()

    async def _submit_gathered(self, key: _Key) -> None:
        await self._clock.sleep(GATHER_S)
        while self._coming[key]:
            self._news.clear()
            await self._news.wait()
        gathered = self._gathered.pop(key)
        orders = [order for order, _ in gathered]
        groups = [gathered] if forms.is_one_array(orders) else [[one] for one in gathered]
        for group in groups:
            try:
                made = await self._submit([order for order, _ in group])
            except Exception as error:
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
            else:
                for (_, done), one in zip(group, made, strict=True):
                    if not done.done():
                        done.set_result(one)


def _key(order: MakeOrder) -> _Key:
    return order.id.service, order.change, order.revision
