"""Which objects are served now, from the heartbeats of processes and from what their owners publish.

An object is a device, or a key of the state bucket; its owner sends heartbeats with that key among its targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from countingroom.bus.port import Bus
from countingroom.bus.presence import INTERVAL_S, MISSED, Roster
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.messages import Malformed, MessageDecoder, Presence

SILENT_S = 180.0
"""A host sends all values of each device every minute. A device without readings for this time counts as not served,
even if the heartbeats of its host arrive."""
SWEEP_S = INTERVAL_S / 2
"""Interval of the check for missed heartbeats."""
_presences = MessageDecoder(Presence)


async def follow_heartbeats(
    bus: Bus, hear: Callable[[Presence], None], followed: Callable[[], None], subject: str = "presence.>"
) -> None:
    """Give each heartbeat to `hear` until cancelled, or until the bus fails (LinkError). `followed` is called once they
    are followed."""
    async with bus.subscribe(subject) as heartbeats:
        followed()
        async for message in heartbeats:
            presence = bus.dead_letters.read(message.subject, message.data, _presences)
            if presence is None:
                continue
            if subjects.presence_source(message.subject) != (presence.role, presence.instance):
                error = Malformed(f"it is a heartbeat of {presence.role}.{presence.instance}")
                bus.dead_letters.add(message.subject, message.data, error)
                continue
            hear(presence)


class ServedObjects:
    """Object -> whether it is served. `update` is called after each heartbeat and every SWEEP_S."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.roster = Roster(clock)
        self._heard_s: dict[str, float] = {}
        """Device -> when its last readings came."""
        self._active_s: dict[str, float] = {}
        """Key -> when its owner last published something new there."""
        self._alive: dict[str, bool] = {}

    @property
    def alive(self) -> Mapping[str, bool]:
        """Device, or key -> whether it is served, of all that were ever described or served."""
        return self._alive

    def read(self, device: str) -> None:
        """Take in that readings of this device arrived."""
        self._heard_s[device] = self._clock.monotonic()

    def published(self, key: str) -> None:
        """Take in that the owner of this key published a new value; it counts as a heartbeat."""
        self._active_s[key] = self._clock.monotonic()

    def deleted(self, key: str) -> None:
        """Take in that the key was deleted."""
        self._active_s.pop(key, None)

    def update(self, described: Iterable[str]) -> list[str]:
        """Check all objects again. Returns the names whose result changed. `described`: devices with a catalogue."""
        now_s = self._clock.monotonic()
        oldest_s = now_s - MISSED * INTERVAL_S
        targets = self.roster.targets() | {key for key, active_s in self._active_s.items() if active_s >= oldest_s}
        oldest_s = now_s - SILENT_S
        targets = {name for name in targets if self._heard_s.get(name, oldest_s) >= oldest_s}
        changed: list[str] = []
        for name in {*self._alive, *targets, *described, *self._active_s}:
            if self._alive.get(name) != (name in targets):
                self._alive[name] = name in targets
                changed.append(name)
        return changed
