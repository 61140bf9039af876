"""Publishes the newest state of each context, one at a time, and repeats until the bus has accepted it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from countingroom.bus.port import Bus
from countingroom.bus.publisher import delivery
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.messages import encode
from countingroom.core.systems import SystemState


class AgentStatePublisher:
    """Publishes what `present` says of a context; None: it is no more. `said` is called after each."""

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        system: str,
        present: Callable[[str], SystemState | None],
        said: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._system = system
        self._present = present
        self._said = said
        self._unsaid: dict[str, None] = {}
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._delivery = delivery(clock, f"systems.{system}")
        self.revision = 0
        """Of the state bucket, at the last state that was published."""

    def changed(self, at: str) -> None:
        """The state of this context is another, or it is no more."""
        self._unsaid[at] = None
        self._quiet.clear()
        self._news.set()

    async def said_all(self) -> None:
        """Return when the bus has taken everything there was to say."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unsaid:
                await self._delivery.run(partial(self._say, next(iter(self._unsaid))))
            self._quiet.set()

    async def _say(self, at: str) -> None:
        self._unsaid.pop(at, None)  # before it is read: what changes from here on is published again
        key, state = subjects.system_key(self._system, at), self._present(at)
        if state:
            self.revision = await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        else:
            await self._bus.delete(subjects.STATE_BUCKET, key)
        self._said(at)
