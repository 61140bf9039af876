"""Evaluates the alarms of the control system's own processes, from their heartbeats: gone, or not ready. Pure.

A process that ended is restarted within seconds, so a role counts as missing only after MISSING_S.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.messages import Presence

MISSING_S = 10.0
"""A role that is without a heartbeat, or not ready, for this time is an alarm. A killed process is back after 1-2 s."""


_AGENTS = "agents"
"""The role that runs the agents of systems: all in one process, or each in a process of its own (`agents-STS`)."""


class RoleAlarms:
    """The alarms of the roles that the experiment needs."""

    def __init__(
        self, roles: Iterable[str], perhaps: Iterable[str] = (), is_active: Callable[[str], bool] = lambda _: False
    ) -> None:
        """`perhaps`: processes of which this one cannot know whether the experiment needs them. They are watched only
        while their alarm is active (`is_active`), so that it can end."""
        self._roles = tuple(roles)
        self._perhaps = tuple(perhaps)
        self._is_active = is_active
        self._since_ns: dict[str, int] = {}
        """Role -> since when it is missing or not ready."""

    def process_of(self, system: str) -> str:
        """The alarm of the process that runs the agent of a system; empty if no needed process runs it."""
        name = next((one for one in (f"{_AGENTS}-{system}", _AGENTS) if one in self._roles), "")
        return identity.of_role(name) if name else ""

    def of(self, presence: Presence) -> str:
        """The alarm of the process that sent this heartbeat; empty if the experiment does not need it."""
        name = next((one for one in (f"{presence.role}-{presence.instance}", presence.role) if one in self._roles), "")
        return identity.of_role(name) if name else ""

    def serving(self, role: str) -> str:
        """The alarm of the only process of a role; empty if the experiment does not need it."""
        return identity.of_role(role) if role in self._roles else ""

    def words(self, present: Sequence[Presence]) -> Iterator[tuple[str, str]]:
        """Each role with its state: `ready`, `not_ready` or `gone`."""
        for role in self._roles:
            processes = _processes(role, present)
            ready = all(not one.troubles for one in processes)
            yield role, ("ready" if ready else "not_ready") if processes else "gone"

    def look(self, present: Sequence[Presence], now_ns: int, lost: Container[str] = ()) -> Iterator[Found]:
        """The findings at `now_ns`; called each time that a heartbeat comes or is missed. `lost`: alarms of processes
        whose loss was seen elsewhere too (devices or systems are not served), so MISSING_S is skipped."""
        for role in (*self._roles, *(one for one in self._perhaps if self._is_active(identity.of_role(one)))):
            processes = _processes(role, present)
            reasons = [trouble for one in processes for trouble in one.troubles]
            if not processes:
                reasons = [f"no heartbeat of the role {role} is received"]
            subject = AlarmSubject(id=identity.of_role(role), title=f"process {role}")
            if not reasons:
                self._since_ns.pop(role, None)
                yield subject, clear(now_ns)
                continue
            # A time in the future means that the clock was set back; without the correction the wait would not end.
            since_ns = self._since_ns[role] = min(self._since_ns.get(role, now_ns), now_ns)
            if now_ns - since_ns >= MISSING_S * 1e9 or (not processes and subject.id in lost):
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
