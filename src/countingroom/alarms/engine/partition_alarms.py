"""Evaluates the alarms of a partition, from the states of its members that its owner publishes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear, removed, unknown
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.partitions import MemberState, PartitionState
from countingroom.core.systems import ACTIVE, ERROR, NO_CONNECTION, RECORDING

LOST_NS = 4_000_000_000
"""A member must be lost for this time to be an alarm. `up` restarts killed agents within 1 to 2 s; without the delay
each such loss is an alarm of priority 1. The alarm of the process comes earlier, after PROCESS_LOST_NS, so that the
members are folded under it."""
PROCESS_LOST_NS = 3_000_000_000
"""A process counts as gone when its members are lost for this time."""
NO_OWNER = "it has no owner: its run control is gone or sends no heartbeat"


class PartitionAlarms:
    """The alarms of one partition: it has no owner; or its members; or the reason why it does not proceed."""

    def __init__(self, partition: str, process_of: Callable[[str], str] = lambda _: "") -> None:
        """`process_of`: system -> the alarm of the process, or of the node, that runs its agent; empty: unknown."""
        self._partition = partition
        self._process_of = process_of
        self._lost_ns: dict[str, int] = {}
        """System -> since when it is not connected, by the wall clock of this process."""
        self._state: PartitionState | None = None
        self._gone_ns: int | None = None
        self._process = ""
        self._is_told = False
        """Whether it is known if the partition has an owner. Until then its owner alarm stays unchanged."""

    def state(self, state: PartitionState, now_ns: int) -> Iterator[Found]:
        """Take in the state of the partition; returns the findings."""
        before = {one.system for one in self._state.members} if self._state else set[str]()
        self._state = state
        for system in sorted(before - {one.system for one in state.members}):
            yield self._member(system), removed(now_ns)
        yield from self._all(now_ns)

    def served(self, is_served: bool, now_ns: int, process: str = "") -> Iterator[Found]:
        """Take in whether the partition has an owner. `process`: the alarm of the owner's process; empty: unknown."""
        if self._is_told and is_served == (self._gone_ns is None):
            return
        self._is_told = True
        self._process = process
        self._gone_ns = None if is_served else now_ns
        yield from self._all(now_ns)

    def lost_processes(self, now_ns: int) -> set[str]:
        """The alarms of the processes whose members are lost for PROCESS_LOST_NS or longer."""
        # A time in the future means that the clock was set back; without the correction the delay would not end.
        self._lost_ns = {system: min(since_ns, now_ns) for system, since_ns in self._lost_ns.items()}
        lost = (system for system, since_ns in self._lost_ns.items() if now_ns - since_ns >= PROCESS_LOST_NS)
        return {self._process_of(system) for system in lost} - {""}

    def removed(self, now_ns: int) -> Iterator[Found]:
        """Remove all alarms of a deleted partition."""
        yield self._owner(), removed(now_ns)
        yield self._goal(), removed(now_ns)
        for member in self._state.members if self._state else ():
            yield self._member(member.system), removed(now_ns)

    def _all(self, now_ns: int) -> Iterator[Found]:
        state = self._state
        if state is None:
            return
        if self._gone_ns is not None:
            yield (
                self._owner(),
                AlarmFinding(level=severity.MEDIUM, since_ns=self._gone_ns, text=NO_OWNER, blames=self._process),
            )
            for member in state.members:
                yield self._member(member.system), unknown(now_ns)
            yield self._goal(), unknown(now_ns)
            return
        yield self._owner(), clear(now_ns) if self._is_told else unknown(now_ns)
        is_quiet = True
        lost = {one.system for one in state.members if one.included and _is_lost(one)}
        self._lost_ns = {system: self._lost_ns.get(system, now_ns) for system in lost}
        for member in state.members:
            level, text = of_member(member, at_rest=state.state == state.chart.initial)
            if not level:
                yield self._member(member.system), clear(now_ns)
                continue
            is_quiet = False
            cause = member.cause
            lost_ns = self._lost_ns.get(member.system)
            blames = str(cause.evidence.get("device") or "") if cause else ""
            yield (
                self._member(member.system),
                AlarmFinding(
                    level=level,
                    since_ns=(cause.since_ns if cause else None) or lost_ns or member.reported_ns,
                    text=text,
                    advice=cause.suggestion if cause else "",
                    blames=blames if lost_ns is None else self._process_of(member.system),
                    lasting_ns=0 if lost_ns is None else LOST_NS,
                ),
            )
        if is_quiet and state.cause:
            since_ns = state.cause.since_ns or state.since_ns
            yield self._goal(), AlarmFinding(level=severity.MEDIUM, since_ns=since_ns, text=state.cause.message)
        else:
            yield self._goal(), clear(now_ns)

    def _owner(self) -> AlarmSubject:
        return AlarmSubject(id=identity.of_owner(self._partition), title=self._partition, partition=self._partition)

    def _goal(self) -> AlarmSubject:
        return AlarmSubject(id=identity.of_goal(self._partition), title=self._partition, partition=self._partition)

    def _member(self, system: str) -> AlarmSubject:
        return AlarmSubject(
            id=identity.of_member(self._partition, system),
            title=f"{self._partition} / {system}",
            partition=self._partition,
            system=system,
        )


def _is_lost(member: MemberState) -> bool:
    return member.seen == NO_CONNECTION and member.own != ERROR


def of_member(member: MemberState, *, at_rest: bool) -> tuple[int, str]:
    """The level of a member, and a text that says what is abnormal. `at_rest`: the partition is in its initial state,
    so a missing member is less urgent."""
    if not member.included:
        return severity.NORMAL, ""
    if ERROR in (member.seen, member.own):
        what = member.cause.message if member.cause else member.comment or "is in Error"
        return severity.HIGH if member.critical else severity.MEDIUM, what
    if _is_lost(member):
        is_urgent = member.critical and not at_rest
        what = member.cause.message if member.cause else "is not connected"
        return severity.HIGH if is_urgent else severity.MEDIUM, what
    if member.seen in (ACTIVE, RECORDING) and member.wanted_tag and member.tag != member.wanted_tag:
        return severity.LOW, f"has configuration {member.tag or 'none'}; selected is {member.wanted_tag}"
    return severity.NORMAL, ""
