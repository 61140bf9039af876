"""Follows the inputs of derived points whose devices are served by other hosts, from the bus.

A device is followed while a heartbeat says that another host serves it. When the heartbeats end, its points are STALE.
"""

from __future__ import annotations

import asyncio

from countingroom.bus.port import Bus
from countingroom.bus.presence import Roster
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SWEEP_S, follow_heartbeats
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Presence, Readings
from countingroom.devices.input_feed import InputFeed

NOT_SERVED = "its device host is gone or sends no heartbeat"
_RETRY_S = 1.0


class RemoteInputs:
    """The inputs from other hosts."""

    def __init__(self, bus: Bus, clock: Clock, feed: InputFeed, boot: str) -> None:
        """`boot`: of the own host, whose heartbeats say nothing about others."""
        self._bus = bus
        self._clock = clock
        self._feed = feed
        self._boot = boot
        self._roster = Roster(clock)
        self._followers = {
            device: ReadingsFollower(bus, clock, self._take, device=device) for device in sorted(feed.devices)
        }
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_all())
            while True:  # missed heartbeats are no message, so they are looked for
                self._update(group)
                await self._clock.sleep(SWEEP_S)

    async def _hear_all(self) -> None:
        while True:
            try:
                await follow_heartbeats(self._bus, self._hear, lambda: None, subjects.presence("devices", "*"))
            except CountingRoomError:
                await self._clock.sleep(_RETRY_S)

    def _hear(self, presence: Presence) -> None:
        if presence.boot != self._boot:
            self._roster.hear(presence)

    def _update(self, group: asyncio.TaskGroup) -> None:
        elsewhere = self._roster.targets() - self._feed.served
        for device, follower in self._followers.items():
            task = self._tasks.get(device)
            if device in elsewhere and task is None:
                self._tasks[device] = group.create_task(follower.run())
            elif device not in elsewhere and task is not None:
                self._tasks.pop(device).cancel()
                if device not in self._feed.served:
                    self._feed.lost(device, NOT_SERVED, self._clock.now_ns())

    def _take(self, message: Readings) -> None:
        if message.device not in self._feed.served:
            self._feed.rows(message.device, message.rows())
