"""Failure detector: decides from heartbeats and disconnect events which agents are connected. Pure.

An agent is connected from its first heartbeat until it leaves, its connection ends or three heartbeats are missing;
each loss is reported once. Times are arguments. Events of an earlier process of an agent do not affect the present one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.messages import AgentBeats, Presence
from countingroom.core.subjects import connection
from countingroom.core.times import duration
from countingroom.runs.planner.events import LinkChanged

MISSED = 3
"""Number of heartbeat intervals without a heartbeat after which an agent is lost."""
FIRST_S = 1.5
"""Time-out for the first heartbeat of a running agent, from the moment at which this process starts to listen."""


class _Heard(Struct):
    presence: Presence
    last_s: float


class FailureDetector:
    """The connected and the lost agents. Methods return the changes that they cause."""

    def __init__(self) -> None:
        self._heard: dict[str, _Heard] = {}
        self._lost: dict[str, Cause] = {}
        self._expected: dict[str, float] = {}
        """System without a heartbeat so far -> monotonic time since when one is expected."""
        self._deaf = False
        self._doubt_until_s = float("-inf")
        """Disconnect events are ignored until then: a stall or a loss of the link may have caused them. A running agent
        sends a heartbeat before then."""

    @property
    def lost(self) -> Mapping[str, Cause]:
        """System -> why its agent is not connected."""
        return self._lost

    @property
    def settled(self) -> bool:
        """Whether the state of every expected agent is known."""
        return not self._expected

    def connected(self, system: str) -> bool:
        """Whether the agent of the system is connected."""
        return system in self._heard

    def expect(self, systems: Iterable[str], now_s: float) -> None:
        """Expect agents of these systems. `look` reports one without a heartbeat within FIRST_S as absent."""
        for system in systems:
            if system not in self._heard and system not in self._lost:
                self._expected.setdefault(system, now_s)

    def beat(self, presence: Presence, now_s: float, now_ns: int) -> LinkChanged | None:
        """Process a heartbeat, or the last heartbeat of an orderly exit."""
        system, known = presence.instance, self._heard.get(presence.instance)
        if presence.leaving:
            # The boot id distinguishes processes of one agent: a late message of an earlier process changes nothing.
            if known and known.presence.boot == presence.boot:
                return self._lose(system, "agent_left", f"{_agent(system, known)} was ended", now_ns)
            return None
        if known:
            known.presence = presence
            known.last_s = now_s
            return None
        self._heard[system] = _Heard(presence, now_s)
        self._expected.pop(system, None)
        self._lost.pop(system, None)
        return LinkChanged(system=system, connected=True)

    def beats(self, beats: AgentBeats, now_s: float, now_ns: int) -> list[LinkChanged]:
        """Process a heartbeat of a process for all its agents."""
        changes: list[LinkChanged] = []
        for system, boot in beats.agents.items():
            known = self._heard.get(system)
            if known and known.presence.boot == boot:
                known.last_s = now_s
            elif change := self.beat(_presence(beats, system, boot), now_s, now_ns):
                changes.append(change)
        return changes

    def departed(self, name: str, reason: str, now_s: float, now_ns: int) -> LinkChanged | None:
        """Process a disconnect event of the server for the connection of this name."""
        if now_s < self._doubt_until_s:
            return None
        _, _, rest = name.partition(".")
        system = rest.partition(".")[0]
        known = self._heard.get(system)
        if known is None or name != connection(system, known.presence.boot):
            return None
        message = f"{_agent(system, known)} is gone: its connection to the bus ended ({reason})"
        return self._lose(system, "agent_gone", message, now_ns)

    def look(self, now_s: float, now_ns: int) -> list[LinkChanged]:
        """Declare agents lost after their time-out. While the own link to the bus is down it declares none lost."""
        if self._deaf:
            return []
        silent = [
            (name, heard)
            for name, heard in self._heard.items()
            if now_s - heard.last_s > MISSED * heard.presence.interval_s
        ]
        absent = [name for name, since_s in self._expected.items() if now_s - since_s > FIRST_S]
        return [
            *(
                self._lose(
                    name,
                    "agent_silent",
                    f"{_agent(name, heard)} has not been heard for {duration(MISSED * heard.presence.interval_s)}",
                    now_ns,
                )
                for name, heard in silent
            ),
            *(self._lose(name, "agent_absent", f"the agent of {name} is not there", now_ns) for name in absent),
        ]

    def distrust_disconnects(self, now_s: float) -> None:
        """Ignore disconnect events for FIRST_S after the server stalled: the stall alone can end connections.

        An agent that has really gone is found by its missing heartbeats.
        """
        self._doubt_until_s = now_s + FIRST_S

    def extend_deadlines(self, seconds: float) -> None:
        """Add to all deadlines the time during which this process or the server was delayed.

        Heartbeats of that time may still be unread, so it is not silence of the agents.
        """
        for heard in self._heard.values():
            heard.last_s += seconds
        self._expected = {name: since_s + seconds for name, since_s in self._expected.items()}

    def link_lost(self) -> None:
        """The link of this process is lost: stop the time-outs."""
        self._deaf = True

    def link_restored(self, now_s: float) -> None:
        """The link is back: each agent gets a full time-out again."""
        self._deaf = False
        self.distrust_disconnects(now_s)
        for heard in self._heard.values():
            heard.last_s = now_s
        self._expected = dict.fromkeys(self._expected, now_s)

    def _lose(self, system: str, code: str, message: str, now_ns: int) -> LinkChanged:
        known = self._heard.pop(system, None)
        self._expected.pop(system, None)
        presence = known.presence if known else None
        service, node = _service(presence)
        evidence = {"agent": f"process {presence.pid} on {presence.host}" if presence else "", "node": node}
        cause = Cause(
            code=code,
            message=message,
            source=f"systems.{system}",
            since_ns=now_ns,
            evidence={key: text for key, text in (evidence | {"service": service}).items() if text},
            suggestion="the fleet starts it again; see countingroom fleet status"
            if node
            else f"start the agent of {system}",
        )
        self._lost[system] = cause
        return LinkChanged(system=system, connected=False, cause=cause)


def _presence(beats: AgentBeats, system: str, boot: str) -> Presence:
    return Presence(
        role="agent",
        instance=system,
        boot=boot,
        host=beats.host,
        pid=beats.pid,
        interval_s=beats.interval_s,
        sent_ns=beats.sent_ns,
        targets=(system,),
        service=beats.service,
    )


def _agent(system: str, heard: _Heard) -> str:
    """An agent with the computer on which it ran: that of many lost ones is the cause."""
    presence = heard.presence
    _, node = _service(presence)
    at = presence.host if node in ("", presence.host) else f"{node} (host {presence.host})"
    return f"the agent of {system} on {at}"


def _service(presence: Presence | None) -> tuple[str, str]:
    """(service, node) of the fleet that an agent is; empty: it is none."""
    service, _, place = presence.service.partition("@") if presence else ("", "", "")
    return service, place.rpartition("#")[0]
