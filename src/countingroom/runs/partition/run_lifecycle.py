"""Records the start, the end and the incidents of a partition's runs in the run book and in the event stream."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence

import msgspec

from countingroom.core.configurations import compare_parameters
from countingroom.core.errors import Cause
from countingroom.core.messages import EventKind
from countingroom.core.partitions import Configuration, Member
from countingroom.core.run_book import Run, RunCondition, RunEnd, RunFlag
from countingroom.core.systems import ACTIVE, ERROR, RECORDING, UNCONFIGURED, Action, SystemState
from countingroom.core.values import Scalar
from countingroom.runs.partition.port import OwnerPort
from countingroom.runs.partition.starts import AcceptedCommands
from countingroom.runs.planner.events import Fact, LinkChanged, Reported
from countingroom.runs.planner.survey import UNSEEN, Seen
from countingroom.storage.run_entries import BeganEntry, EndEntry, ExclusionEntry

_UP = (ACTIVE, RECORDING)


class RunLifecycle:
    """The open run of one partition and its records."""

    def __init__(self, owner: OwnerPort) -> None:
        self._owner = owner
        self.open: Run | None = None
        """The open run as the run book has it; None: none."""
        self.accepted = AcceptedCommands()
        self.reserving = asyncio.Lock()
        """Held while a run number is reserved, so that two commands do not reserve one each."""
        self._began_s: tuple[int, float] | None = None
        """The open run, and the monotonic time at which it began."""
        self.took_part: set[str] = set()
        """Systems that were included at some time of the open run."""
        self.ending_by = ""
        """The user of the last goal."""
        self.continues = 0
        """The open run that an earlier owner has left; 0: none."""

    def heard(self, facts: Iterable[Fact]) -> None:
        """Note errors and lost connections of systems in the open run."""
        partition = self._owner.partition
        if not partition.run:
            return
        self.took_part |= {member.system for member in partition.members if member.included}
        for fact in facts:
            match fact:
                case Reported(state=state):
                    self._reconfigured(state)
                    if text := _failed(partition.seen.get(state.system, UNSEEN), state, partition.attempts.pending):
                        self._owner.book.note(partition.run, "error", text, system=state.system)
                case LinkChanged(system=system, connected=False, cause=cause) if cause:
                    self._owner.book.note(partition.run, "error", cause.message, system=system)
                case _:
                    pass

    def _reconfigured(self, state: SystemState) -> None:
        """Note a change of configuration that this report shows, in the run that goes on.

        The report counts, not the end of the order: its answer may be lost, and an owner may die before it comes.
        """
        partition, run = self._owner.partition, self.open
        if run is None or not partition.began or state.common not in _UP or not state.key:
            return
        known = run.configurations.get(state.system)
        wanted = _wanted(partition.members, state)
        if known is None:  # it joined the run, or an earlier owner has noted a change: only an own order is sure
            order = partition.attempts.pending.get(state.system)
            is_change = order is not None and order.action is Action.RECONFIGURE and order.id == state.order
            if not is_change or wanted is None:
                return
        elif known.key == state.key:
            return
        by = partition.goal.requested_by if partition.goal else ""
        text = _change(known, wanted) if wanted else f"reconfigured to {state.tag}"
        self._owner.book.note(run.number, "reconfigure", text, author=by, system=state.system)
        others = {name: one for name, one in run.configurations.items() if name != state.system}
        self.open = msgspec.structs.replace(run, configurations={**others, state.system: wanted} if wanted else others)

    def began(self, run: int, conditions: Mapping[str, RunCondition]) -> None:
        """Record the start: all recording systems record. `conditions`: the values now."""
        owner, now_ns = self._owner, self._owner.now_ns()
        if self.open and self.open.number == run:
            self.open = msgspec.structs.replace(self.open, started_ns=now_ns)
            self._began_s = run, owner.context.clock.monotonic()
        owner.book.write(BeganEntry(run=run, started_ns=now_ns, conditions=dict(conditions)))
        owner.command_server.record(EventKind.NOTE, f"run {run} began", action="run_began", data={"run": run})

    def over(
        self,
        run: int,
        end: RunEnd,
        cause: Cause | None,
        *,
        flags: Sequence[RunFlag] | None = None,
        conditions: Mapping[str, RunCondition] | None = None,
    ) -> None:
        """Record the end: no system records any more, or the owner of the run died. `flags`: None for those that are
        recorded already; `conditions`: the values now."""
        owner = self._owner
        duration_s = self.duration_s(run)
        by = self.ending_by if end in (RunEnd.STOPPED, RunEnd.ABORTED) else ""
        owner.book.write(
            EndEntry(
                run=run,
                end=end,
                ended_ns=owner.now_ns(),
                ended_by=by,
                cause=cause,
                # In a run that never started the systems still tell the counters of the run before.
                counters={} if end is RunEnd.NEVER_STARTED else self.counters(),
                versions=self.versions(),
                duration_s=duration_s,
                flags=None if flags is None else tuple(flags),
                conditions=dict(conditions or {}),
            )
        )
        self.took_part.clear()
        if self.open and self.open.number == run:
            self.open = None
        message, severity = f"run {run} ended: {end.value}", 2 if cause else 0
        data = {"run": run, "end": end.value, **({} if duration_s is None else {"duration_s": duration_s})}
        owner.command_server.record(
            EventKind.NOTE, message, principal=by, action="run_over", cause=cause, data=data, severity=severity
        )

    def took_over(self, run: Run | None) -> None:
        """Continue the records of an open run of an earlier owner: until now it lasted as the wall clock says."""
        if run:  # what these systems had before the next change is not known
            changed = {note.system for note in run.notes if note.kind == "reconfigure"}
            kept = {name: one for name, one in run.configurations.items() if name not in changed}
            run = msgspec.structs.replace(run, configurations=kept)
        self.open = run
        if run and run.started_ns:
            self.continues = run.number
            clock = self._owner.context.clock
            self._began_s = run.number, clock.monotonic() - max(0, clock.now_ns() - run.started_ns) / 1e9

    def duration_s(self, run: int) -> float | None:
        """How long the run has lasted, in s, by the monotonic clock; None: it has not begun."""
        if self._began_s is None or self._began_s[0] != run:
            return None
        return round(self._owner.context.clock.monotonic() - self._began_s[1], 3)

    def excluded(self, system: str, cause: Cause) -> None:
        """Record that the recovery policy has excluded a system."""
        owner = self._owner
        owner.book.write(ExclusionEntry(partition=owner.name, system=system, by="recovery"))
        owner.book.note(owner.partition.run, "exclude", cause.message, system=system)
        owner.command_server.record(
            EventKind.NOTE, f"{system} is excluded: {cause.message}", action="exclude", cause=cause, severity=2
        )

    def counters(self) -> dict[str, Scalar]:
        """The counters of the systems that took part: `QA.events`. An excluded one has those of an earlier run."""
        part = self.took_part | {member.system for member in self._owner.partition.members if member.included}
        return {
            f"{name}.{counter}": value
            for name, seen in self._owner.partition.seen.items()
            if seen.state and name in part
            for counter, value in seen.state.counters.items()
        }

    def versions(self) -> dict[str, str]:
        """System -> version of its software."""
        seen = self._owner.partition.seen
        return {name: one.state.version for name, one in seen.items() if one.state and one.state.version}


def _wanted(members: Iterable[Member], state: SystemState) -> Configuration | None:
    """The configuration that the system has by this report, where that is the wanted one."""
    found = (one.wanted for one in members if one.system == state.system)
    return next((one for one in found if one and one.key == state.key), None)


def _change(before: Configuration | None, after: Configuration) -> str:
    """What a change in place has changed; `before`: None where it is not known."""
    if before is None:
        values = ", ".join(f"{name} {value}" for name, value in sorted(after.parameters.items()))
        return f"reconfigured to {after.tag}: {values or 'no parameters'}"
    changes = compare_parameters(before.parameters, after.parameters)
    values = ", ".join(
        f"{one.name} {_shown(one.before, one.added)} → {_shown(one.after, one.removed)}" for one in changes
    )
    tags = after.tag if after.tag == before.tag else f"{before.tag} → {after.tag}"
    return f"reconfigured, {tags}: {values or 'the same parameters'}"


def _shown(value: Scalar, is_missing: bool) -> str:
    return "not given" if is_missing else str(value)


def _failed(before: Seen, now: SystemState, pending: Container[str]) -> str:
    """The failure of a system that this report tells, as text; empty without a failure. A chart may have no state
    Error: such a system falls to Unconfigured, or stays where it is, with a cause."""
    is_new = now.cause is not None and (before.state is None or before.state.cause != now.cause)
    in_error = now.common == ERROR and before.common != ERROR
    has_fallen = before.common in _UP and now.common == UNCONFIGURED and now.system not in pending
    if not (is_new or in_error or has_fallen):
        return ""
    text = now.cause.message if now.cause else now.comment
    return text or f"it is {now.common}"
