"""Makes the events of the embedded server."""

from __future__ import annotations

import uuid

from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.messages import Event, EventKind


def server_event(
    clock: Clock, source: str, message: str, *, level: int, cause: Cause | None, kind: EventKind = EventKind.NOTE
) -> Event:
    """An event of now. `source`: the part of the server, such as `disk`; `level`: as in core/severity.py."""
    return Event(
        id=uuid.uuid4().hex,
        kind=kind,
        time_ns=clock.now_ns(),
        department="bus",
        source=source,
        message=message,
        severity=level,
        cause=cause,
    )
