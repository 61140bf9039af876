"""Law: what the history has to say goes into the events, once, when it begins and when it ends."""

from __future__ import annotations

import logging
import uuid

from countingroom.bus.port import Bus
from countingroom.core import subjects
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause, LinkError
from countingroom.core.messages import Event, EventKind, encode
from countingroom.core.values import Scalar

_log = logging.getLogger(__name__)


class Notes:
    """The history's voice."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    async def say(
        self,
        message: str,
        *,
        severity: int = 0,
        cause: Cause | None = None,
        data: dict[str, Scalar] | None = None,
    ) -> None:
        """Log it and append it to the events; a bus that is away loses the event and keeps the log."""
        _log.log(logging.WARNING if severity else logging.INFO, "%s%s", message, f": {cause}" if cause else "")
        event = Event(
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
        try:
            await self._bus.append(subjects.event("history", "history"), encode(event), message_id=event.id)
        except LinkError as error:
            _log.warning("the event could not be told: %s", error.cause)
