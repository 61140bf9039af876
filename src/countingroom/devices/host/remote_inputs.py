"""Follows the inputs of derived points whose devices are served by other hosts, from the bus.

A device is followed while a heartbeat says that another host serves it. When the heartbeats end, or nothing is told of
it for SILENT_S, its points are STALE. So is what its former host has said, until its present host says more.
"""

from __future__ import annotations

import asyncio

from countingroom.bus.port import Bus
from countingroom.bus.presence import Roster
from countingroom.bus.readings_follower import ReadingsFollower
from countingroom.bus.served import SILENT_S, SWEEP_S, follow_heartbeats
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import CountingRoomError
from countingroom.core.messages import Presence, Readings
from countingroom.core.start_up import HEARD_S
from countingroom.devices.input_feed import InputFeed

NOT_SERVED = "its device host is gone or sends no heartbeat"
SILENT = f"its device host has told nothing of it for more than {SILENT_S / 60:g} min"
OF_FORMER_HOST = "it is from before the present start of its device host"
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
        self._began_s = clock.monotonic()
        self._begun: dict[str, tuple[str, int]] = {}
        """Instance -> its last boot, and the time of the first heartbeat of that boot by its own clock; 0: it was there
        before this host."""
        self._told_s: dict[str, float] = {}
        """Device that is followed -> when its last readings came (monotonic)."""

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
        if presence.boot == self._boot:
            return
        self._roster.hear(presence)
        if not presence.leaving and self._begun.get(presence.instance, ("", 0))[0] != presence.boot:
            was_there = self._clock.monotonic() - self._began_s < HEARD_S
            self._begun[presence.instance] = presence.boot, 0 if was_there else presence.sent_ns

    def _update(self, group: asyncio.TaskGroup) -> None:
        hosts = self._roster.present()
        elsewhere = {target for one in hosts for target in one.targets} - self._feed.served
        now_s = self._clock.monotonic()
        for device, follower in self._followers.items():
            task = self._tasks.get(device)
            if device in elsewhere and task is None:
                self._told_s[device] = now_s
                self._tasks[device] = group.create_task(follower.run())
            elif device not in elsewhere and task is not None:
                self._tasks.pop(device).cancel()
                if device not in self._feed.served:
                    self._feed.lost(device, NOT_SERVED, self._clock.now_ns())
            elif task is not None and now_s - self._told_s[device] > SILENT_S:
                self._feed.lost(device, SILENT, self._clock.now_ns())

    def _take(self, message: Readings) -> None:
        if message.device in self._feed.served:
            return
        if message.sent_ns < self._since_ns(message.device):
            message = message.as_stale(OF_FORMER_HOST)
        else:
            self._told_s[message.device] = self._clock.monotonic()
        self._feed.rows(message.device, message.rows())

    def _since_ns(self, device: str) -> int:
        """When the host that serves the device began; 0: before this one."""
        hosts = [one.instance for one in self._roster.present() if device in one.targets]
        return max((self._begun[one][1] for one in hosts), default=0)
