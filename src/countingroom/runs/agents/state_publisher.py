"""Law: of each context the newest state is published, one at a time; what the bus did not take is given again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import encode
from countingroom.core.systems import SystemState

_log = logging.getLogger(__name__)

RETRY_S = 0.25
"""Before giving again what the bus did not take."""


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
        self._clock = clock
        self._system = system
        self._present = present
        self._said = said
        self._unsaid: dict[str, None] = {}
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._silent = False
        """The bus did not take the last one."""

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
                at = next(iter(self._unsaid))
                del self._unsaid[at]
                try:
                    await self._say(at)
                except CountingRoomError as error:
                    if not self._silent:
                        _log.warning("systems.%s: its state is not taken by the bus: %s", self._system, error.cause)
                    self._silent = True
                    self._unsaid.setdefault(at)
                    await self._clock.sleep(RETRY_S)
                else:
                    self._silent = False
            self._quiet.set()

    async def _say(self, at: str) -> None:
        key, state = subjects.system_key(self._system, at), self._present(at)
        if state:
            await self._bus.put(subjects.STATE_BUCKET, key, encode(state))
        else:
            await self._bus.delete(subjects.STATE_BUCKET, key)
        self._said(at)
