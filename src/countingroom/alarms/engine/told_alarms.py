"""Alarms that a process reports in its heartbeats, because it alone knows the condition: `up` reports on scheduled
backups, the role `mirror` on its canaries. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.messages import Presence


class _Told(Struct, frozen=True, kw_only=True):
    role: str
    """The role whose heartbeats report it."""
    level: int
    advice: str


_BACKUP = "try by hand: countingroom backup"
_CANARY = "see the log of the role mirror, then take the field out of mirror.publish: countingroom mirror explain"
_TOLD = {
    # A failed backup is repeated by itself; if two are missing, a person must act. `up` sends heartbeats as `bus`.
    identity.BACKUP_FAILED: _Told(role="bus", level=severity.LOW, advice=_BACKUP),
    identity.BACKUP_LATE: _Told(role="bus", level=severity.MEDIUM, advice=_BACKUP),
    identity.MIRROR_CANARY: _Told(role="mirror", level=severity.HIGH, advice=_CANARY),
}


class ToldAlarms:
    """The alarms of reported conditions. While the process of a condition is gone, its alarm stays unchanged."""

    def __init__(self) -> None:
        self._since_ns: dict[str, int] = {}

    def look(self, present: Iterable[Presence], now_ns: int) -> Iterator[Found]:
        """The findings at `now_ns`."""
        for presence in present:
            for id, text in presence.conditions.items():
                if (told := _TOLD.get(id)) is None or told.role != presence.role:
                    continue
                subject = AlarmSubject(id=id, title=id)
                if not text:
                    self._since_ns.pop(id, None)
                    yield subject, clear(now_ns)
                    continue
                # A time in the future means that the clock was set back.
                since_ns = self._since_ns[id] = min(self._since_ns.get(id, now_ns), now_ns)
                yield subject, AlarmFinding(level=told.level, since_ns=since_ns, text=text, advice=told.advice)
