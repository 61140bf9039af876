"""Answers `query.history.copy`: what of the history file a backup copies, and how long the file is kept unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

from countingroom.bus.port import Message
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.history_copy import MOST_S, CopyAnswer, CopyQuery
from countingroom.core.messages import Malformed, decode, encode


@runtime_checkable
class CopiedStore(Protocol):
    """A store in a file that another process may copy while it is in use."""

    def copy(self, query: CopyQuery) -> CopyAnswer:
        """Keep the file unchanged for this copy, go on with it, or end it."""
        ...


class FileCopies:
    """Of one store. `run` ends the hold of a backup that was killed."""

    def __init__(
        self, store: object, clock: Clock, in_thread: Callable[[Callable[[], CopyAnswer]], Awaitable[CopyAnswer]]
    ) -> None:
        """`in_thread`: runs what waits for a transaction that is under way."""
        self._store = store if isinstance(store, CopiedStore) else None
        self._clock = clock
        self._in_thread = in_thread
        self._begun = asyncio.Event()
        self._id = ""
        self._until_s = 0.0

    async def handle(self, message: Message) -> bytes:
        """The answer to a request."""
        try:
            return encode(await self._answer(decode(message.data, CopyQuery)))
        except Malformed as error:
            return encode(CopyAnswer(refused=f"the request cannot be read: {error}"))
        except CountingRoomError as error:
            return encode(CopyAnswer(refused=error.cause.message))

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._begun.wait()
            await self._clock.sleep(self._until_s - self._clock.monotonic())
            if self._begun.is_set() and self._clock.monotonic() >= self._until_s:
                with suppress(CountingRoomError):  # of a file that cannot be used at all, which the writer tells
                    await self._answer(CopyQuery(id=self._id, ended=True))
                self._begun.clear()

    async def _answer(self, query: CopyQuery) -> CopyAnswer:
        store = self._store
        if store is None:
            return CopyAnswer(refused="this store is no file of this computer")
        answer = await self._in_thread(lambda: store.copy(query))
        if query.ended:
            if query.id == self._id:
                self._begun.clear()
        elif not answer.refused:
            self._id = query.id
            self._until_s = self._clock.monotonic() + MOST_S
            self._begun.set()
        return answer
