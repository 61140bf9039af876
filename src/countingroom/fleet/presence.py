"""Which services of the fleet are on the bus: those that are agents or roles of countingroom have heartbeats."""

from __future__ import annotations

from countingroom.bus.port import Bus
from countingroom.bus.presence import MISSED
from countingroom.bus.served import follow_heartbeats
from countingroom.core.clock import Clock
from countingroom.core.fleet.specs import InstanceId
from countingroom.core.messages import Presence


class ServicePresence:
    """Follows the heartbeats of services. `run` until cancelled."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._began = clock.monotonic()
        self._heard: dict[str, tuple[Presence, float]] = {}

    async def run(self) -> None:
        """Follow them until cancelled."""
        await follow_heartbeats(self._bus, self._hear, lambda: None)

    def absent(self, id: InstanceId) -> str | None:
        """Why an instance is not on the bus; empty: it is; None: it is not known, because the bus was not followed."""
        now = self._clock.monotonic()
        found = self._heard.get(f"{id.service}@{id.node}#{id.index}")
        if found and now - found[1] <= MISSED * found[0].interval_s:
            return found[0].troubles[0] if found[0].troubles else ""
        if not self._bus.connected or now - self._began <= MISSED:
            return None
        return "it is not on the bus" if found is None else f"it left the bus {now - found[1]:.0f} s ago"

    def _hear(self, presence: Presence) -> None:
        if not presence.service:
            return
        if not presence.leaving:
            self._heard[presence.service] = presence, self._clock.monotonic()
        elif (known := self._heard.get(presence.service)) and known[0].boot == presence.boot:
            del self._heard[presence.service]
