"""The book of alarms: takes findings, commands and the time, and returns what changed. Reads no clock and does no I/O.

Findings are taken in batches. First it is found which alarm follows from which, then each alarm takes one step of its
chart, so that a consequence which comes together with its cause is not announced.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from countingroom.alarms.engine import folding
from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, group_of
from countingroom.alarms.engine.records import closed_row, history_rows, overdue_row
from countingroom.alarms.engine.saved import EngineAlarm, restored
from countingroom.core.alarms import chart
from countingroom.core.alarms.chart import AlarmRecord, ChartRules
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.events import (
    AlarmEffect,
    AlarmEvent,
    ConditionActive,
    ConditionClear,
    EffectKind,
    ReAlarm,
    TimePassed,
)
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.alarms.states import LOWEST_PRIORITY, BaseState
from countingroom.core.errors import Cause

ORPHAN_NS = 2_000_000_000
"""A consequence whose cause is gone is announced for itself after this time: both often end together."""

_RETURNS = LOWEST_PRIORITY + 1
_NOTHING_NEW = LOWEST_PRIORITY + 2

Define = Callable[[AlarmSubject], AlarmDefinition | None]
"""The definition of an alarm; None: the description has switched it off. One without title is not known yet."""
RulesOf = Callable[[AlarmDefinition, int], ChartRules]
"""The rules of its chart, by definition and present priority."""


class BookChanges(Struct, kw_only=True):
    """What changed in one batch."""

    published: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Alarms whose published state changed, by id."""
    saved: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Those of them whose saved state changed."""
    refreshed: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Active alarms of which only value and text changed."""
    history: list[AlarmEntry] = field(default_factory=list[AlarmEntry])
    refused: dict[str, Cause] = field(default_factory=dict[str, Cause])

    def __bool__(self) -> bool:
        return bool(self.published or self.saved or self.history or self.refreshed)


class AlarmBook:
    """All alarms that are not at rest or have been active once."""

    def __init__(self, define: Define, rules_of: RulesOf) -> None:
        self._define = define
        self._rules_of = rules_of
        self._entries: dict[str, EngineAlarm] = {}
        self._groups: dict[str, set[str]] = {}
        """Device or partition -> its alarms that are active."""
        self._blaming: dict[str, set[str]] = {}
        """Device -> the partitions in which a member blames it."""
        self._due: list[tuple[int, str]] = []

    def __contains__(self, id: str) -> bool:
        return id in self._entries

    def get(self, id: str) -> EngineAlarm | None:
        """An alarm that is known; None: it is at rest and has never been active."""
        return self._entries.get(id)

    def entries(self) -> Iterable[EngineAlarm]:
        """All that are known."""
        return self._entries.values()

    def restore(self, saved: Iterable[SavedAlarm], now_ns: int) -> None:
        """Begin with what was saved."""
        for one in saved:
            state = one.state
            definition = self._defined(AlarmSubject(id=one.id, title=state.title if state else one.id))
            if state:
                definition = replace(definition, area=state.area, latching=state.latching)
            entry = restored(one, definition)
            self._entries[one.id] = entry
            self._index(entry)
            self._schedule(entry, now_ns)

    def take(self, found: Iterable[Found], now_ns: int) -> BookChanges:
        """Take in findings, in the order in which they came."""
        changes = BookChanges()
        batch: dict[str, EngineAlarm] = {}
        for subject, finding in found:
            entry = self._entries.get(subject.id)
            if entry is None and not finding.level:
                continue
            definition = self._define(subject)
            if entry is None:
                if definition is None:
                    continue
                entry = EngineAlarm(subject=subject, definition=_titled(definition, subject))
                self._entries[subject.id] = entry
            elif definition is not None and definition.title:
                entry.definition = definition
            if finding.removed or definition is None:
                self._remove(entry, now_ns, changes)
                batch.pop(subject.id, None)
                continue
            # Of two findings about one alarm in a batch each one counts, or a short alarm would be lost.
            if subject.id in batch:
                self._settle(batch, now_ns, changes)
                batch = {}
            self._note(entry, subject, finding, changes)
            batch[subject.id] = entry
        self._settle(batch, now_ns, changes)
        return changes

    def command(self, events: Mapping[str, AlarmEvent], now_ns: int, *, by: str) -> BookChanges:
        """Give an event to each of these alarms. Those that refuse it are in `refused`."""
        changes = BookChanges()
        for id, event in events.items():
            entry = self._entries.get(id)
            if entry is None:
                definition = self._defined(AlarmSubject(id=id, title=id))
                entry = EngineAlarm(subject=about(definition), definition=definition)
            self._step(entry, event, now_ns, changes, by=by)
            if id not in changes.refused:
                self._entries[id] = entry
        return changes

    def urgency(self, subject: AlarmSubject, finding: AlarmFinding) -> int:
        """The priority that a finding gives to its alarm; a larger number where it announces nothing."""
        if not finding.level:
            return _RETURNS
        entry = self._entries.get(subject.id)
        definition = entry.definition if entry else self._define(subject)
        if definition is None:
            return _NOTHING_NEW
        priority = definition.priority(finding.level)
        is_known = entry is not None and entry.is_active and not entry.unknown and entry.record.priority <= priority
        return _NOTHING_NEW if is_known else priority

    def held(self, id: str) -> tuple[int, int]:
        """Level of its condition and begin, as far as the saved state tells; level 0: it is not active."""
        entry = self._entries.get(id)
        if entry is None or not entry.is_active:
            return 0, 0
        priorities = entry.definition.priorities
        level = priorities.index(entry.record.priority) + 1 if entry.record.priority in priorities else 3
        return level, entry.record.since_ns

    def snapshot(self, ids: Iterable[str]) -> dict[str, AlarmRecord | None]:
        """The present records of these alarms, for `undo`."""
        return {id: entry.record if (entry := self._entries.get(id)) else None for id in ids}

    def undo(self, before: Mapping[str, AlarmRecord | None]) -> None:
        """Take back a command that could not be saved."""
        for id, record in before.items():
            if record is None:
                self._entries.pop(id, None)
            elif entry := self._entries.get(id):
                entry.record = record
                self._index(entry)

    def redefine(self, now_ns: int) -> BookChanges:
        """Take the present definitions of all alarms that are not at rest."""
        changes = BookChanges()
        for id, entry in self._entries.items():
            if entry.record.is_at_rest:
                continue
            before = entry.definition
            if not self._redefine(entry, entry.subject):
                self._remove(entry, now_ns, changes)
            elif entry.definition != before:
                changes.published[id] = entry
                changes.saved[id] = entry
        return changes

    def next_due_ns(self) -> int | None:
        """When `pass_time` has something to do."""
        return self._due[0][0] if self._due else None

    def pass_time(self, now_ns: int) -> BookChanges:
        """Do what is due: shelves end, consequences without a cause are announced."""
        changes = BookChanges()
        while self._due and self._due[0][0] <= now_ns:
            _, id = heapq.heappop(self._due)
            if entry := self._entries.get(id):
                self._step(entry, TimePassed(), now_ns, changes)
                if self._is_orphan(entry):
                    self._step(entry, ReAlarm(), now_ns, changes)
                self._tell_overdue(entry, now_ns, changes)
        return changes

    def _defined(self, subject: AlarmSubject) -> AlarmDefinition:
        return _titled(self._define(subject), subject)

    def _redefine(self, entry: EngineAlarm, subject: AlarmSubject) -> bool:
        """Take the present definition; False where the description has switched the alarm off."""
        definition = self._define(subject)
        if definition is not None and definition.title:
            entry.definition = definition
        return definition is not None

    def _note(self, entry: EngineAlarm, subject: AlarmSubject, finding: AlarmFinding, changes: BookChanges) -> None:
        """Take in a finding, before the step."""
        was_unknown = entry.unknown
        entry.subject = subject
        if finding.unknown:
            entry.unknown = True
        else:
            entry.unknown = False
            entry.finding = finding
            entry.blames = finding.blames
        if not entry.is_active:
            return
        if was_unknown != entry.unknown:
            changes.published[subject.id] = entry
        elif finding.level:
            changes.refreshed[subject.id] = entry

    def _settle(self, batch: Mapping[str, EngineAlarm], now_ns: int, changes: BookChanges) -> None:
        """Fold, then let each alarm of the batch take its step."""
        for entry in batch.values():
            self._index(entry)
        groups = {group for entry in batch.values() for group in self._touched(entry)}
        causes = self._fold(groups, now_ns, changes)
        for id, entry in batch.items():
            finding = entry.finding
            if entry.unknown or finding is None:
                continue
            if finding.level:
                event: AlarmEvent = ConditionActive(
                    priority=entry.definition.priority(finding.level),
                    since_ns=finding.since_ns,
                    text=finding.text,
                    as_consequence=id in causes,
                )
            else:
                event = ConditionClear(since_ns=finding.since_ns)
            self._step(entry, event, now_ns, changes)

    def _fold(self, groups: Iterable[str], now_ns: int, changes: BookChanges) -> dict[str, str]:
        """Find anew what follows from what among the alarms of these groups; returns alarm -> its cause."""
        ids = {id for group in groups for id in self._groups.get(group, ())}
        # A partition's member can follow from a device of another group.
        devices = {self._entries[id].blames for id in ids} - {""}
        ids |= {id for device in devices for id in self._groups.get(device, ())}
        active = [self._as_active(self._entries[id]) for id in ids]
        causes = folding.causes(active)
        roots = set(causes.values())
        for id in ids:
            entry = self._entries[id]
            cause = causes.get(id, "")
            is_first = id in roots
            if (entry.cause_id, entry.first_out) == (cause, is_first):
                continue
            if entry.cause_id and not cause and entry.is_active:
                heapq.heappush(self._due, (now_ns + ORPHAN_NS, id))
            entry.cause_id = cause
            entry.first_out = is_first
            if entry.is_active:
                changes.published[id] = entry
                changes.saved[id] = entry
        return causes

    def _as_active(self, entry: EngineAlarm) -> folding.Active:
        record = entry.record
        finding = entry.finding or AlarmFinding(
            level=min(record.priority, 3), since_ns=record.since_ns, text=record.text, blames=entry.blames
        )
        # A host or an engine that starts again gives what goes on a later begin. With that one it would no longer be
        # the cause of what began before, and all that follows from it would be announced.
        if entry.is_active and record.since_ns < finding.since_ns:
            finding = replace(finding, since_ns=record.since_ns)
        return folding.Active(subject=entry.subject, finding=finding, unknown=entry.unknown)

    def _touched(self, entry: EngineAlarm) -> Iterator[str]:
        """The groups whose folding an alarm can change."""
        group = group_of(entry.subject)
        if group:
            yield group
            yield from self._blaming.get(group, ())

    def _index(self, entry: EngineAlarm) -> None:
        """Keep the groups right: active alarms without a flag can be causes and consequences."""
        group = group_of(entry.subject)
        if not group:
            return
        finding = entry.finding
        is_active = entry.is_active if entry.unknown or finding is None else bool(finding.level)
        members = self._groups.setdefault(group, set())
        if is_active and not entry.record.has_flag:
            members.add(entry.subject.id)
            if entry.blames:
                self._blaming.setdefault(entry.blames, set()).add(group)
        else:
            members.discard(entry.subject.id)
            if not members:
                del self._groups[group]
            entry.first_out = False

    def _step(self, entry: EngineAlarm, event: AlarmEvent, now_ns: int, changes: BookChanges, *, by: str = "") -> None:
        before = entry.record
        definition = entry.definition
        rules = self._rules_of(definition, before.priority)
        entry.record, effects = chart.step(before, event, now_ns, rules)
        id = entry.subject.id
        for effect in effects:
            if effect.kind is EffectKind.REFUSED and effect.cause:
                changes.refused[id] = effect.cause
        if entry.record is before and not _is_recorded(effects):
            return
        if entry.record.is_at_rest:
            entry.cause_id = ""
            entry.first_out = False
        changes.published[id] = entry
        changes.saved[id] = entry
        changes.history += history_rows(entry, before, effects, now_ns, by=by, event=event)
        self._index(entry)
        self._schedule(entry, now_ns)

    def _schedule(self, entry: EngineAlarm, now_ns: int) -> None:
        if (due_ns := chart.next_due_ns(entry.record)) is not None:
            heapq.heappush(self._due, (due_ns, entry.subject.id))
        if self._is_orphan(entry):
            heapq.heappush(self._due, (now_ns + ORPHAN_NS, entry.subject.id))
        if (service := entry.record.service) is not None and service.due_ns != entry.overdue_ns:
            heapq.heappush(self._due, (service.due_ns, entry.subject.id))

    def _tell_overdue(self, entry: EngineAlarm, now_ns: int, changes: BookChanges) -> None:
        """Tell once that an alarm is still out of service after its due date."""
        service = entry.record.service
        if service is None or now_ns < service.due_ns or service.due_ns == entry.overdue_ns:
            return
        entry.overdue_ns = service.due_ns
        changes.saved[entry.subject.id] = entry
        changes.history.append(overdue_row(entry, now_ns))

    def _is_orphan(self, entry: EngineAlarm) -> bool:
        """Whether it was not announced as a consequence, and is none any more."""
        record = entry.record
        return (
            record.base is BaseState.UNACKNOWLEDGED
            and record.announced_ns is None
            and not record.has_flag
            and not entry.cause_id
        )

    def _remove(self, entry: EngineAlarm, now_ns: int, changes: BookChanges) -> None:
        """Its source is no longer described: it is closed, with its flags."""
        record = entry.record
        entry.finding = None
        entry.unknown = False
        entry.record = AlarmRecord(occurrence=record.occurrence)
        entry.cause_id = ""
        self._index(entry)
        if record.is_at_rest:
            return
        changes.published[entry.subject.id] = entry
        changes.saved[entry.subject.id] = entry
        changes.history.append(closed_row(entry, record, now_ns))


def about(definition: AlarmDefinition) -> AlarmSubject:
    """What a defined alarm is about."""
    return AlarmSubject(
        id=definition.id,
        title=definition.title,
        device=definition.device,
        channel=definition.channel,
        point=definition.point,
        partition=definition.partition,
        system=definition.system,
    )


def _titled(definition: AlarmDefinition | None, subject: AlarmSubject) -> AlarmDefinition:
    """The definition, or a plain one where none is known."""
    if definition is None or not definition.title:
        return AlarmDefinition(id=subject.id, title=subject.title)
    return definition


def _is_recorded(effects: Iterable[AlarmEffect]) -> bool:
    return any(effect.kind is not EffectKind.REFUSED for effect in effects)
