"""For how long the engine of the alarm department has been silent, by its heartbeats."""

from __future__ import annotations

import asyncio
import logging

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError, LinkError
from countingroom.core.messages import MessageDecoder, Presence
from countingroom.core.retry import Retry, edge_log

_log = logging.getLogger(__name__)

ROLE = "alarms"
RETRY_S = 0.25
_presences = MessageDecoder(Presence)


class EngineWatch:
    """Hears the heartbeats of the active engine. A lost bus, a standby that has not taken over, and an engine that
    stopped in order are silence."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._heard_s = clock.monotonic()
        """From the start on: an experiment that starts has as much time as one that runs."""
        self.news = asyncio.Event()
        """Set when the engine is heard."""
        report = edge_log(
            _log, "interlocks: the heartbeats of the engine are not followed", "interlocks: they are followed"
        )
        self._retry = Retry(clock, report, pause_s=RETRY_S, on=CountingRoomError)

    @property
    def silent_s(self) -> float:
        """Seconds since the last heartbeat of an active engine, or since the start."""
        return self._clock.monotonic() - self._heard_s

    async def run(self) -> None:
        """Until cancelled."""
        await self._retry.forever(self._hear)

    async def _hear(self) -> None:
        async with self._bus.subscribe(subjects.presence(ROLE, "*")) as heartbeats:
            self._retry.report.worked()
            async for message in heartbeats:
                presence = self._bus.dead_letters.read(message.subject, message.data, _presences)
                if presence is None or presence.leaving or subjects.ALARMS not in presence.targets:
                    continue
                self._heard_s = self._clock.monotonic()
                self.news.set()
        raise LinkError("the subscription ended", source="bus", code="link_lost")
