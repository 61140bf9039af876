"""What happens to the history itself, as events and in the log: once when it begins and once when it ends."""

from __future__ import annotations

import logging
import uuid

from countingroom.bus.port import Bus
from countingroom.bus.publisher import Publisher
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.messages import Event, EventKind
from countingroom.core.retry import EdgeReport
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)


class Notes:
    """Logs what happens to the history and publishes it as events."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._clock = clock
        self._publisher = Publisher(bus, clock, "history")

    async def run(self) -> None:
        """Publish until cancelled."""
        await self._publisher.run()

    def on_edge(self, failing: str, working: str, severity: int) -> EdgeReport:
        """Notes that something fails and that it works again, once each."""
        return EdgeReport(lambda cause: self.say(failing, severity=severity, cause=cause), lambda: self.say(working))

    def say(
        self,
        message: str,
        *,
        severity: int = 0,
        cause: Cause | None = None,
        data: dict[str, Scalar] | None = None,
    ) -> None:
        """Log it, and publish it as an event as soon as the bus takes it."""
        _log.log(logging.WARNING if severity else logging.INFO, "%s%s", message, f": {cause}" if cause else "")
        self._publisher.event(
            Event(
                id=uuid.uuid4().hex,
                kind=EventKind.NOTE,
                time_ns=self._clock.now_ns(),
                department="history",
                source="history",
                message=message,
                severity=severity,
                cause=cause,
                data=data or {},
            )
        )
