"""The states of all alarms: takes findings, commands and the time, and returns what changed. Reads no clock, no I/O.

Findings are taken in batches. For each batch the book first finds which alarm is a consequence of which; then each
alarm takes one step of its chart. So a consequence that arrives together with its cause is not announced.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found
from countingroom.alarms.engine.groups import ORPHAN_NS, AlarmGroups
from countingroom.alarms.engine.records import closed_row, history_rows, overdue_finding
from countingroom.alarms.engine.saved import EngineAlarm, restored
from countingroom.core.alarms import chart, identity
from countingroom.core.alarms.chart import AlarmRecord, ChartRules
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.events import (
    Acknowledge,
    AlarmEffect,
    AlarmEvent,
    ConditionActive,
    ConditionClear,
    EffectKind,
    ReAlarm,
    TimePassed,
)
from countingroom.core.alarms.history import AlarmEntry, SavedAlarm
from countingroom.core.alarms.set_back import set_back
from countingroom.core.alarms.states import LOWEST_PRIORITY
from countingroom.core.errors import Cause

_RETURNS = LOWEST_PRIORITY + 1
_NOTHING_NEW = LOWEST_PRIORITY + 2

Define = Callable[[AlarmSubject], AlarmDefinition | None]
"""The definition of an alarm; None: it is switched off; without a title: its device or partition is not known yet."""
Snapshot = Mapping[str, tuple[AlarmRecord, str] | None]
"""Alarm -> its record and cause; None if the book did not have the alarm."""
RulesOf = Callable[[AlarmDefinition, int], ChartRules]
"""(definition, present priority) -> the rules of the alarm's chart."""


class BookChanges(Struct, kw_only=True):
    """The changes of one batch."""

    published: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Alarms whose published state changed, by id."""
    saved: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Alarms of `published` whose saved state changed."""
    refreshed: dict[str, EngineAlarm] = field(default_factory=dict[str, EngineAlarm])
    """Active alarms of which only the value and the text changed."""
    history: list[AlarmEntry] = field(default_factory=list[AlarmEntry])
    refused: dict[str, Cause] = field(default_factory=dict[str, Cause])

    def __bool__(self) -> bool:
        return bool(self.published or self.saved or self.history or self.refreshed)


class AlarmBook:
    """All alarms that are not at rest or were active at least once."""

    def __init__(self, define: Define, rules_of: RulesOf) -> None:
        self._define = define
        self._rules_of = rules_of
        self._entries: dict[str, EngineAlarm] = {}
        self._groups = AlarmGroups(self._entries)
        self._due: list[tuple[int, str]] = []
        self._unfolded: set[str] = set()
        """Groups whose folds must be computed again with the next batch."""

    def __contains__(self, id: str) -> bool:
        return id in self._entries

    def get(self, id: str) -> EngineAlarm | None:
        """An alarm of the book; None: it is at rest and was never active."""
        return self._entries.get(id)

    def entries(self) -> Iterable[EngineAlarm]:
        """All alarms of the book."""
        return self._entries.values()

    def restore(self, saved: Iterable[SavedAlarm], now_ns: int) -> None:
        """Fill the book with saved alarms."""
        for one in saved:
            state = one.state
            definition = self._defined(AlarmSubject(id=one.id, title=state.title if state else one.id))
            if state:
                definition = replace(definition, area=state.area, latching=state.latching)
            entry = restored(one, definition)
            self._entries[one.id] = entry
            self._groups.index(entry)
            self._groups.put_under(entry, entry.cause_id)
        for entry in self._entries.values():
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
            # Two findings about one alarm in a batch are two steps; otherwise a short alarm would be lost.
            if subject.id in batch:
                self._settle(batch, now_ns, changes)
                batch = {}
            if self._note(entry, subject, finding, changes):
                self._groups.index(entry)
                self._unfolded.update(self._groups.touched(entry))
            batch[subject.id] = entry
        self._settle(batch, now_ns, changes)
        return changes

    def command(self, events: Mapping[str, AlarmEvent], now_ns: int, *, by: str) -> BookChanges:
        """Give an event to each of these alarms. Alarms that refuse it are in `refused` of the changes."""
        changes = BookChanges()
        for id, event in events.items():
            entry = self._entries.get(id)
            if entry is None:
                definition = self._defined(AlarmSubject(id=id, title=id))
                entry = EngineAlarm(subject=about(definition), definition=definition)
            self._step(entry, event, now_ns, changes, by=by)
            if id not in changes.refused:
                self._entries[id] = entry  # only now: a refused command adds no entry
                if isinstance(event, Acknowledge):
                    self._acknowledge_below(id, event, now_ns, changes)
        self._fold(now_ns, changes)
        return changes

    def urgency(self, subject: AlarmSubject, finding: AlarmFinding) -> int:
        """The priority, 1 to 4, that a finding gives to its alarm; a larger number if it leads to no announcement."""
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
        """The level of an alarm's condition and its begin (ns), from the saved state; level 0: not active."""
        entry = self._entries.get(id)
        if entry is None or not entry.is_active:
            return 0, 0
        priorities = entry.definition.priorities
        level = priorities.index(entry.record.priority) + 1 if entry.record.priority in priorities else 3
        return level, entry.record.since_ns

    def snapshot(self, ids: Iterable[str]) -> Snapshot:
        """The present records of these alarms, and of the alarms that a command changes with them, for `undo`."""
        every = {one for id in ids for one in (id, identity.of_overdue(id), *self._groups.below(id))}
        return {id: (entry.record, entry.cause_id) if (entry := self._entries.get(id)) else None for id in every}

    def undo(self, before: Snapshot) -> None:
        """Undo a command that could not be saved."""
        for id, kept in before.items():
            if kept is None:
                self._entries.pop(id, None)
            elif entry := self._entries.get(id):
                entry.record, cause = kept
                self._groups.put_under(entry, cause)
                self._groups.index(entry)
                self._unfolded.update(self._groups.touched(entry))

    def redefine(self, now_ns: int) -> BookChanges:
        """Look up the definitions of all alarms that are not at rest again, and apply what changed."""
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

    def set_back(self, by_ns: int, now_ns: int) -> BookChanges:
        """The wall clock was set back by `by_ns`: move the ends of shelves, so that their lengths stay as requested."""
        changes = BookChanges()
        self._due.clear()
        for id, entry in self._entries.items():
            if (moved := set_back(entry.record, by_ns)) is not entry.record:
                entry.record = moved
                changes.published[id] = changes.saved[id] = entry
            self._schedule(entry, now_ns)
        return changes

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no alarm waits for a time."""
        return self._due[0][0] if self._due else None

    def pass_time(self, now_ns: int) -> BookChanges:
        """Take the steps that are due: shelves end, and consequences whose cause is gone are announced."""
        changes = BookChanges()
        while self._due and self._due[0][0] <= now_ns:
            _, id = heapq.heappop(self._due)
            if entry := self._entries.get(id):
                self._step(entry, TimePassed(), now_ns, changes)
                if self._groups.is_orphan(entry):
                    self._groups.put_under(entry, "")
                    self._step(entry, ReAlarm(), now_ns, changes)
                self._look_overdue(entry, now_ns, changes)
        return changes

    def _defined(self, subject: AlarmSubject) -> AlarmDefinition:
        return _titled(self._define(subject), subject)

    def _redefine(self, entry: EngineAlarm, subject: AlarmSubject) -> bool:
        """Take the present definition. False if the description has switched the alarm off."""
        definition = self._define(subject)
        if definition is not None and definition.title:
            entry.definition = definition
        return definition is not None

    def _note(self, entry: EngineAlarm, subject: AlarmSubject, finding: AlarmFinding, changes: BookChanges) -> bool:
        """Store a finding before the step. Returns whether it can change a fold; a new value alone cannot."""
        was_unknown = entry.unknown
        before = entry.finding
        if before is None and entry.is_active and finding.level and not finding.blames:
            # This engine began after the process was gone and does not know what it served; the saved alarm does.
            finding = replace(finding, blames=entry.blames if identity.is_of_computers(entry.blames) else "")
        entry.subject = subject
        if finding.unknown:
            entry.unknown = True
        else:
            entry.unknown = False
            entry.finding = finding
            entry.blames = finding.blames
        if entry.is_active:
            if was_unknown != entry.unknown:
                changes.published[subject.id] = entry
            elif finding.level:
                changes.refreshed[subject.id] = entry
        return before is None or was_unknown != entry.unknown or before.folded_by != finding.folded_by

    def _settle(self, batch: Mapping[str, EngineAlarm], now_ns: int, changes: BookChanges) -> None:
        """Compute the folds, then take the step of each alarm of the batch."""
        causes = self._fold(now_ns, changes)
        for id, entry in batch.items():
            finding = entry.finding
            if entry.unknown or finding is None:
                continue
            if finding.level:
                priority = entry.definition.priority(finding.level)
                is_same = entry.is_active and entry.record.priority == priority  # then its text stays as it began
                event: AlarmEvent = ConditionActive(
                    priority=priority,
                    since_ns=finding.since_ns,
                    text="" if is_same else finding.sentence(),
                    as_consequence=id in causes,
                )
            else:
                event = ConditionClear(since_ns=finding.since_ns)
            self._step(entry, event, now_ns, changes)

    def _fold(self, now_ns: int, changes: BookChanges) -> Mapping[str, str]:
        """Compute the folds of groups that may have changed. Returns alarm -> its cause."""
        groups = self._unfolded
        self._unfolded = set()
        folds = self._groups.fold(groups)
        for entry in folds.changed:
            if entry.is_active:
                changes.published[entry.subject.id] = entry
                changes.saved[entry.subject.id] = entry
        for id in folds.orphans:
            heapq.heappush(self._due, (now_ns + ORPHAN_NS, id))
        return folds.causes

    def _step(self, entry: EngineAlarm, event: AlarmEvent, now_ns: int, changes: BookChanges, *, by: str = "") -> None:
        before = entry.record
        definition = entry.definition
        rules = self._rules_of(definition, before.priority)
        if isinstance(event, ConditionClear) and self._groups.asks_for_nothing(entry):
            rules = replace(rules, needs_acknowledgement=False)
        entry.record, effects = chart.step(before, event, now_ns, rules)
        id = entry.subject.id
        for effect in effects:
            if effect.kind is EffectKind.REFUSED and effect.cause:
                changes.refused[id] = effect.cause
        if entry.record is before and not _is_recorded(effects):
            return
        if entry.record.is_at_rest:
            self._groups.put_under(entry, "")
            entry.first_out = False
        changes.published[id] = entry
        changes.saved[id] = entry
        changes.history += history_rows(entry, before, effects, now_ns, by=by, event=event)
        is_flagged = entry.record.has_flag != before.has_flag
        # Otherwise the alarm is active by its finding, and `take` has indexed it so already.
        if is_flagged or entry.unknown or entry.finding is None:
            self._groups.index(entry)
        if is_flagged:
            self._unfolded.update(self._groups.touched(entry))
        if entry.record.service is not before.service:
            self._look_overdue(entry, now_ns, changes)
        self._schedule(entry, now_ns)

    def _acknowledge_below(self, id: str, event: Acknowledge, now_ns: int, changes: BookChanges) -> None:
        """Acknowledge the consequences of an alarm together with it, if they were not announced and are over."""
        for one in self._groups.below(id):
            entry = self._entries[one]
            record = entry.record
            is_over = record.base.needs_acknowledgement and not record.base.is_active
            if is_over and record.announced_ns is None and record.service is None:
                also = Acknowledge(by=event.by, occurrence=record.occurrence, comment=event.comment)
                self._step(entry, also, now_ns, changes, by=event.by)

    def _schedule(self, entry: EngineAlarm, now_ns: int) -> None:
        if (due_ns := chart.next_due_ns(entry.record)) is not None:
            heapq.heappush(self._due, (due_ns, entry.subject.id))
        if self._groups.is_orphan(entry):
            heapq.heappush(self._due, (now_ns + ORPHAN_NS, entry.subject.id))
        if (service := entry.record.service) is not None:
            heapq.heappush(self._due, (service.due_ns, entry.subject.id))

    def _look_overdue(self, entry: EngineAlarm, now_ns: int, changes: BookChanges) -> None:
        """Update the separate alarm which says that an alarm is still out of service after its due date."""
        if identity.overdue(entry.subject.id):
            return
        id = identity.of_overdue(entry.subject.id)
        finding = overdue_finding(entry, now_ns)
        known = self._entries.get(id)
        if known is None:
            if not finding.level:
                return
            subject = AlarmSubject(id=id, title=f"{entry.definition.title or entry.subject.title} / out of service")
            known = self._entries[id] = EngineAlarm(subject=subject, definition=self._defined(subject))
        if bool(finding.level) == known.is_active:
            return
        known.finding = finding
        if finding.level:
            priority = known.definition.priority(finding.level)
            self._step(
                known, ConditionActive(priority=priority, since_ns=finding.since_ns, text=finding.text), now_ns, changes
            )
        else:
            self._step(known, ConditionClear(since_ns=now_ns), now_ns, changes)

    def _remove(self, entry: EngineAlarm, now_ns: int, changes: BookChanges) -> None:
        """Close an alarm whose source is no longer described, and clear its flags."""
        record = entry.record
        # The entry and its number of occurrences stay: an old acknowledgement must not fit a later occurrence.
        entry.finding = None
        entry.unknown = False
        entry.record = AlarmRecord(occurrence=record.occurrence)
        self._unfolded.update(self._groups.touched(entry))
        self._groups.put_under(entry, "")
        self._groups.index(entry)
        self._look_overdue(entry, now_ns, changes)
        if record.is_at_rest:
            return
        changes.published[entry.subject.id] = entry
        changes.saved[entry.subject.id] = entry
        changes.history.append(closed_row(entry, record, now_ns))


def about(definition: AlarmDefinition) -> AlarmSubject:
    """The subject of a defined alarm."""
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
    """The definition, or a plain one with the title of the subject."""
    if definition is None or not definition.title:
        return AlarmDefinition(id=subject.id, title=subject.title)
    return definition


def _is_recorded(effects: Iterable[AlarmEffect]) -> bool:
    return any(effect.kind is not EffectKind.REFUSED for effect in effects)
