"""Alarms about what one process alone knows, and tells in its heartbeats: `up` of the scheduled backups. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.messages import Presence

_LEVELS = {identity.BACKUP_FAILED: severity.LOW, identity.BACKUP_LATE: severity.MEDIUM}
"""One that failed is tried again by itself; where two are missing a person must act."""
_SUPERVISOR = "bus"
"""The role in the heartbeats of `up`."""
_ADVICE = "try by hand: countingroom backup"


class ToldAlarms:
    """The alarms of what is told. Where nothing is told of one, because its process is gone, it stays as it was."""

    def __init__(self) -> None:
        self._since_ns: dict[str, int] = {}

    def look(self, present: Iterable[Presence], now_ns: int) -> Iterator[Found]:
        """What is found at this time."""
        for presence in present:
            for id, text in presence.conditions.items() if presence.role == _SUPERVISOR else ():
                if (level := _LEVELS.get(id)) is None:
                    continue
                subject = AlarmSubject(id=id, title=id)
                if not text:
                    self._since_ns.pop(id, None)
                    yield subject, clear(now_ns)
                    continue
                # A time that lies ahead is of a clock that was set back since.
                since_ns = self._since_ns[id] = min(self._since_ns.get(id, now_ns), now_ns)
                yield subject, AlarmFinding(level=level, since_ns=since_ns, text=text, advice=_ADVICE)
