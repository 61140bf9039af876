"""Which processes of the control system are gone or not ready, from their heartbeats. Pure.

A process that ended is started again within seconds, so a role counts as missing only after a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.messages import Presence

MISSING_S = 10.0
"""A role without a heartbeat, or not ready, for so long is an alarm. A killed process is back after 1 to 2 s."""


class RoleAlarms:
    """The alarms of the roles that the experiment needs."""

    def __init__(self, roles: Iterable[str]) -> None:
        self._roles = tuple(roles)
        self._since_ns: dict[str, int] = {}
        """Role -> since when it is missing or not ready."""

    def words(self, present: Sequence[Presence]) -> Iterator[tuple[str, str]]:
        """Each role with its state: `ready`, `not_ready` or `gone`."""
        for role in self._roles:
            processes = _processes(role, present)
            ready = all(not one.troubles for one in processes)
            yield role, ("ready" if ready else "not_ready") if processes else "gone"

    def look(self, present: Sequence[Presence], now_ns: int) -> Iterator[Found]:
        """What is found at this time; called each time that a heartbeat comes or is missed."""
        for role in self._roles:
            processes = _processes(role, present)
            reasons = [trouble for one in processes for trouble in one.troubles]
            if not processes:
                reasons = [f"no heartbeat of the role {role} is received"]
            subject = AlarmSubject(id=identity.of_role(role), title=f"process {role}")
            if not reasons:
                self._since_ns.pop(role, None)
                yield subject, clear(now_ns)
                continue
            since_ns = self._since_ns.setdefault(role, now_ns)
            if now_ns - since_ns >= MISSING_S * 1e9:
                yield (
                    subject,
                    AlarmFinding(
                        level=severity.MEDIUM,
                        since_ns=since_ns,
                        text="; ".join(reasons),
                        advice=f"see the log of the role {role}",
                    ),
                )


def _processes(role: str, present: Sequence[Presence]) -> list[Presence]:
    return [one for one in present if role in (one.role, f"{one.role}-{one.instance}")]
