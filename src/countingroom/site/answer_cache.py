"""Keeps answers of the site until news come or their time is over; the same question at once is answered once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from msgspec import Struct

from countingroom.core.clock import Clock
from countingroom.site.answers import PreparedAnswer

_MOST_ANSWERS = 4000
_MOST_BYTES = 64 << 20
Key = tuple[bytes, bytes]


class _Kept(Struct):
    answer: PreparedAnswer
    mark: int
    until: float


class AnswerCache:
    """Answers by path and query, the least used forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._making: dict[Key, asyncio.Task[PreparedAnswer]] = {}
        self.mark = 0
        """Changes with the news: what was made before is made anew."""

    def get(self, key: Key) -> PreparedAnswer | None:
        """A kept answer that still holds."""
        kept = self._kept.get(key)
        if kept is None or kept.mark != self.mark or kept.until <= self._clock.monotonic():
            return None
        self._kept.move_to_end(key)
        return kept.answer

    async def make(self, key: Key, keep_s: float, make: Callable[[], Awaitable[PreparedAnswer]]) -> PreparedAnswer:
        """Make an answer; one that is being made is waited for."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.ensure_future(self._made(key, keep_s, make))
            task.add_done_callback(lambda done: self._done(key, done))
        return await asyncio.shield(task)  # a viewer who leaves ends it for no other

    def _done(self, key: Key, task: asyncio.Task[PreparedAnswer]) -> None:
        self._making.pop(key, None)
        if not task.cancelled():
            task.exception()  # each viewer has it; without viewers it is not asked for

    async def _made(self, key: Key, keep_s: float, make: Callable[[], Awaitable[PreparedAnswer]]) -> PreparedAnswer:
        mark = self.mark
        answer = await make()
        if keep_s > 0 and answer.status == 200:
            self._keep(key, _Kept(answer, mark, self._clock.monotonic() + keep_s))
        return answer

    def _keep(self, key: Key, kept: _Kept) -> None:
        if before := self._kept.pop(key, None):
            self._bytes -= before.answer.size
        self._kept[key] = kept
        self._bytes += kept.answer.size
        while self._kept and (len(self._kept) > _MOST_ANSWERS or self._bytes > _MOST_BYTES):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.answer.size
