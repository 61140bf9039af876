"""The active alarms of each device and partition, and which alarm is folded under which. Pure.

A fold stays without its cause in three cases (`docs/explanation/alarm-states.md`): the cause or the consequence cannot
be evaluated now; the cause ended less than ORPHAN_NS ago; or the consequence has ended as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from countingroom.alarms.engine import folding
from countingroom.alarms.engine.finding import AlarmFinding, group_blamed, group_of
from countingroom.alarms.engine.saved import EngineAlarm
from countingroom.core.alarms.states import BaseState

ORPHAN_NS = 2_000_000_000
"""A consequence whose cause has ended is announced as an alarm of its own after this time. Both often end together."""


class Folds(Struct, kw_only=True):
    """The folds of some groups."""

    causes: dict[str, str]
    """Consequence -> its cause."""
    changed: list[EngineAlarm] = field(default_factory=list[EngineAlarm])
    """Alarms whose fold changed."""
    orphans: list[str] = field(default_factory=list[str])
    """Consequences that were not announced and whose cause has ended."""


class AlarmGroups:
    """Computes `cause_id` and `first_out` of alarms."""

    def __init__(self, entries: Mapping[str, EngineAlarm]) -> None:
        """`entries`: identity -> alarm; the book changes this mapping between the calls."""
        self._entries = entries
        self._members: dict[str, set[str]] = {}
        """Device or partition -> its alarms that are active and have no flag."""
        self._blaming: dict[str, set[str]] = {}
        """Device, alarm of a process, or the fleet -> the groups with an alarm that names it as the cause."""
        self._below: dict[str, set[str]] = {}
        """Alarm -> the alarms that are folded under it."""
        self._following: dict[str, set[str]] = {}
        """Group -> its members that can be consequences, that are folded, or that have alarms under them. A group
        without such members is skipped: in a flood of limit alarms this avoids a look at all of them in each batch."""

    def index(self, entry: EngineAlarm) -> None:
        """Take in the present state of an alarm: only active alarms without a flag can be causes or consequences."""
        group = group_of(entry.subject)
        if not group:
            return
        members = self._members.setdefault(group, set())
        if _is_active(entry) and not entry.record.has_flag:
            members.add(entry.subject.id)
            if entry.blames:
                self._blaming.setdefault(group_blamed(entry.blames), set()).add(group)
            self._look_whether_it_follows(entry, group)
        else:
            members.discard(entry.subject.id)
            self._following.get(group, set()).discard(entry.subject.id)
            if not members:
                del self._members[group]
                self._following.pop(group, None)
            entry.first_out = False

    def _look_whether_it_follows(self, entry: EngineAlarm, group: str) -> None:
        id = entry.subject.id
        if entry.cause_id or entry.first_out or folding.can_follow(entry.subject, unknown=entry.unknown):
            self._following.setdefault(group, set()).add(id)
        elif (following := self._following.get(group)) is not None:
            following.discard(id)

    def touched(self, entry: EngineAlarm) -> Iterator[str]:
        """The groups whose folds an alarm can change."""
        group = group_of(entry.subject)
        if group:
            yield group
            yield from self._blaming.get(group, ())

    def fold(self, groups: Iterable[str]) -> Folds:
        """Compute the folds of these groups again."""
        ids = {id for group in groups if self._following.get(group) for id in self._members.get(group, ())}
        # A member of a partition can be a consequence of an alarm in another group.
        blamed = {group_blamed(self._entries[id].blames) for id in ids} - {""}
        ids |= {id for group in blamed for id in self._members.get(group, ())}
        causes = folding.causes([_as_active(self._entries[id]) for id in ids])
        causes |= {
            id: self._entries[id].cause_id for id in ids if id not in causes and self._outlives(self._entries[id])
        }
        roots = set(causes.values())
        found = Folds(causes=causes)
        for id in ids:
            entry = self._entries[id]
            cause = causes.get(id, "")
            is_first = id in roots
            if (entry.cause_id, entry.first_out) != (cause, is_first):
                entry.first_out = is_first
                self.put_under(entry, cause)
                found.changed.append(entry)
            if self.is_orphan(entry):
                found.orphans.append(id)
        return found

    def put_under(self, entry: EngineAlarm, cause: str) -> None:
        """Fold an alarm under another one; `cause` empty: unfold it."""
        id = entry.subject.id
        if entry.cause_id and (below := self._below.get(entry.cause_id)) is not None:
            below.discard(id)
            if not below:
                del self._below[entry.cause_id]
        if cause:
            self._below.setdefault(cause, set()).add(id)
        entry.cause_id = cause
        group = group_of(entry.subject)
        if id in self._members.get(group, ()):
            self._look_whether_it_follows(entry, group)

    def below(self, id: str) -> tuple[str, ...]:
        """The alarms that are folded under this one."""
        return tuple(self._below.get(id, ()))

    def is_orphan(self, entry: EngineAlarm) -> bool:
        """Whether it was not announced because it was a consequence, and its cause has ended."""
        record = entry.record
        if record.base is not BaseState.UNACKNOWLEDGED or record.announced_ns is not None or record.has_flag:
            return False
        cause = self._entries.get(entry.cause_id)
        return cause is None or not _is_active(cause) or cause.record.has_flag

    def asks_for_nothing(self, entry: EngineAlarm) -> bool:
        """Whether it needs no acknowledgement: it was not announced, and its cause does not wait for one."""
        if not entry.cause_id or entry.record.announced_ns is not None:
            return False
        cause = self._entries.get(entry.cause_id)
        return cause is None or not cause.record.base.needs_acknowledgement

    def _outlives(self, entry: EngineAlarm) -> bool:
        """Whether an earlier fold stays although `folding` gives the alarm no cause now."""
        cause = self._entries.get(entry.cause_id)
        if cause is None or cause.record.has_flag or not entry.is_active:
            return False
        return (cause.unknown or entry.unknown) if _is_active(cause) else entry.record.announced_ns is None


def _is_active(entry: EngineAlarm) -> bool:
    """Whether the condition is true by the last finding. The record may not have taken that finding in yet."""
    return entry.is_active if entry.unknown or entry.finding is None else bool(entry.finding.level)


def _as_active(entry: EngineAlarm) -> folding.Active:
    record = entry.record
    finding = entry.finding or AlarmFinding(
        level=min(record.priority, 3), since_ns=record.since_ns, text=record.text, blames=entry.blames
    )
    # After a restart of the host or the engine, an alarm that continues gets a later begin. With that one it could no
    # longer be the cause of older alarms, and all its consequences would be announced. So the earlier begin counts.
    if entry.is_active and record.since_ns < finding.since_ns:
        finding = replace(finding, since_ns=record.since_ns)
    return folding.Active(subject=entry.subject, finding=finding, unknown=entry.unknown)
