"""Publishes the latest state of each context of an agent, one at a time.

A state that the bus did not accept is published again, in its latest version.
"""

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
    """Publishes the result of `present` for each changed context; None deletes the key. `said` is called afterwards."""

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
        """Revision of the state bucket after the last published state."""

    def changed(self, at: str) -> None:
        """Mark a context as changed or removed."""
        self._unsaid[at] = None
        self._quiet.clear()
        self._news.set()

    async def said_all(self) -> None:
        """Return when all changes are published."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unsaid:
                await self._delivery.run(partial(self._say, next(iter(self._unsaid))))
            self._quiet.set()

    async def _say(self, at: str) -> None:
        self._unsaid.pop(at, None)  # before the state is read: a later change is published again
        key, state = subjects.system_key(self._system, at), self._present(at)
        if state:
            self.revision = await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        else:
            await self._bus.delete(subjects.STATE_BUCKET, key)
        self._said(at)
