"""The states of an alarm as one table, and the pure step from a record and an event to the next record and effects.

The base state always follows the condition. An alarm has three more flags: shelved, suppressed by design, out of
service. While a flag is set, the base state still changes, but the alarm is not announced. The terms are those of
ISA-18.2 / IEC 62682. The rules follow OPC UA part 9 where it defines them; `docs/explanation/alarm-states.md` shows the
table with its sources.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from countingroom.core.alarms.events import (
    ANNOUNCEMENTS,
    Acknowledge,
    AlarmEffect,
    AlarmEvent,
    ConditionActive,
    ConditionClear,
    EffectKind,
    EndSuppression,
    PutInService,
    ReAlarm,
    Remark,
    Reset,
    Shelve,
    Suppress,
    TakeOutOfService,
    TimePassed,
    Unshelve,
)
from countingroom.core.alarms.legality import AlarmCommand, refusal, refusal_of_request
from countingroom.core.alarms.states import LOWEST_PRIORITY, BaseState, OutOfService, Priority, Shelf
from countingroom.core.errors import Cause

HOUR_NS = 3_600_000_000_000


class Trigger(StrEnum):
    """The events that the base state knows: the columns of the table."""

    ACTIVE = "condition active"
    CLEAR = "condition clear"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"
    RE_ALARM = "re-alarm"


class Cell(Struct, frozen=True, kw_only=True):
    """The result of a trigger in a base state; an empty cell has no effect. `refusal` decides which are refused."""

    to: BaseState | None = None
    """The next state; None: it stays."""
    latching: BaseState | None = None
    """The next state of an alarm that latches, where it differs."""
    unasked: BaseState | None = None
    """The next state of an alarm that needs no acknowledgement, where it differs."""
    unasked_latching: BaseState | None = None
    """The next state of an alarm that latches and needs no acknowledgement, where it differs."""
    flagged: BaseState | None = None
    """The next state while a flag is set, where it differs."""
    occurs: bool = False
    """A new occurrence begins: its number is one more."""
    effect: EffectKind | None = None
    """An announcement is left out while a flag is set."""


_A, _B, _C = BaseState.NORMAL, BaseState.UNACKNOWLEDGED, BaseState.ACKNOWLEDGED
_D, _E, _F = BaseState.RETURNED, BaseState.LATCHED_UNACKNOWLEDGED, BaseState.LATCHED
_NOTHING = Cell()
_NOT_ACKNOWLEDGED: dict[str, Any] = {"acknowledged_by": "", "acknowledged_ns": None, "comment": ""}

TABLE: dict[BaseState, dict[Trigger, Cell]] = {
    _A: {
        # While a flag is set people need not react, so the activation counts as acknowledged.
        Trigger.ACTIVE: Cell(to=_B, flagged=_C, occurs=True, effect=EffectKind.ANNOUNCE),
        Trigger.CLEAR: _NOTHING,
        Trigger.ACKNOWLEDGE: _NOTHING,
        Trigger.RESET: _NOTHING,
        Trigger.RE_ALARM: _NOTHING,
    },
    _B: {
        Trigger.ACTIVE: _NOTHING,
        Trigger.CLEAR: Cell(to=_D, latching=_E, unasked=_A, unasked_latching=_F, effect=EffectKind.RETURNED),
        Trigger.ACKNOWLEDGE: Cell(to=_C, effect=EffectKind.ACKNOWLEDGED),
        Trigger.RESET: _NOTHING,
        Trigger.RE_ALARM: Cell(effect=EffectKind.RE_ANNOUNCE),
    },
    _C: {
        Trigger.ACTIVE: _NOTHING,
        Trigger.CLEAR: Cell(to=_A, latching=_F, effect=EffectKind.RETURNED),
        Trigger.ACKNOWLEDGE: _NOTHING,
        Trigger.RESET: _NOTHING,
        Trigger.RE_ALARM: Cell(to=_B, flagged=_C, effect=EffectKind.RE_ANNOUNCE),
    },
    _D: {
        Trigger.ACTIVE: Cell(to=_B, occurs=True, effect=EffectKind.ANNOUNCE_BY_RATE),
        Trigger.CLEAR: _NOTHING,
        Trigger.ACKNOWLEDGE: Cell(to=_A, effect=EffectKind.ACKNOWLEDGED),
        Trigger.RESET: _NOTHING,
        Trigger.RE_ALARM: _NOTHING,
    },
    _E: {
        Trigger.ACTIVE: Cell(to=_B, occurs=True, effect=EffectKind.ANNOUNCE_BY_RATE),
        Trigger.CLEAR: _NOTHING,
        Trigger.ACKNOWLEDGE: Cell(to=_F, effect=EffectKind.ACKNOWLEDGED),
        Trigger.RESET: _NOTHING,
        Trigger.RE_ALARM: _NOTHING,
    },
    _F: {
        Trigger.ACTIVE: Cell(to=_B, flagged=_C, occurs=True, effect=EffectKind.ANNOUNCE),
        Trigger.CLEAR: _NOTHING,
        Trigger.ACKNOWLEDGE: _NOTHING,
        Trigger.RESET: Cell(to=_A, effect=EffectKind.RESET),
        Trigger.RE_ALARM: _NOTHING,
    },
}
"""Base state -> trigger -> result. The table is complete; a test checks every cell."""


class ChartRules(Struct, frozen=True, kw_only=True):
    """The parts of an alarm's definition that the chart needs."""

    latching: bool = False
    """After the condition is clear it stays until a person resets it."""
    needs_acknowledgement: bool = True
    """False: an alarm that is clear again is over, acknowledged or not."""
    longest_shelf_ns: int = 8 * HOUR_NS
    """The longest time for which a person may shelve it, which depends on its priority."""


class AlarmRecord(Struct, frozen=True, kw_only=True, gc=False):
    """The complete memory of the chart for one alarm; it must survive a restart. The fields are those of AlarmState.

    An alarm at rest keeps the number of its last occurrence: if it began again at 1, a late acknowledgement of an
    earlier occurrence 1 would fit the new one.
    """

    base: BaseState = BaseState.NORMAL
    occurrence: int = 0
    """0: it has never been active."""
    priority: Priority = LOWEST_PRIORITY
    """Of the present or last activation."""
    text: str = ""
    """Of the present or last activation, as it began or when its priority changed."""
    since_ns: int = 0
    changed_ns: int = 0
    announced_ns: int | None = None
    returned_ns: int | None = None
    acknowledged_by: str = ""
    acknowledged_ns: int | None = None
    comment: str = ""
    shelf: Shelf | None = None
    suppressed: str = ""
    suppression_ends_ns: int | None = None
    """The condition for the suppression is over; it is taken away then, after the on-delay of the alarm."""
    service: OutOfService | None = None
    holds_latch: bool = False
    """It was latched before it became active again: the latch stays whatever flag is set when it clears."""

    @property
    def has_flag(self) -> bool:
        """Whether it is shelved, suppressed or out of service."""
        return self.service is not None or bool(self.suppressed) or self.shelf is not None

    @property
    def is_at_rest(self) -> bool:
        """Whether it is normal and has no flag. Its occurrence is to be kept all the same."""
        return self.base is BaseState.NORMAL and not self.has_flag


def next_due_ns(record: AlarmRecord) -> int | None:
    """When `TimePassed` will have an effect: the end of the shelf or of the suppression; None: never."""
    shelf = record.shelf
    if shelf is None:
        return record.suppression_ends_ns
    ends_ns = record.suppression_ends_ns
    return shelf.until_ns if ends_ns is None else min(ends_ns, shelf.until_ns)


def step(
    record: AlarmRecord, event: AlarmEvent, now_ns: int, rules: ChartRules
) -> tuple[AlarmRecord, tuple[AlarmEffect, ...]]:
    """The next record and the effects in order. If the record does not change, the same object is returned.

    A refused command is an effect REFUSED with its cause. Shelves and suppressions that are over by `now_ns` are taken
    away by any event. The caller answers a repeated command id with the first answer, before it comes here.
    """
    done = _Step(record, now_ns, rules)
    # Not before a clear: otherwise an engine that starts after the end of a shelf would announce the alarm as back from
    # the shelf, although it is over.
    if not isinstance(event, ConditionClear):
        done.end_what_is_over()
    done.take(event)
    done.end_what_is_over()
    return done.record, tuple(done.effects)


class _Step:
    """One step in progress: the record so far and its effects."""

    def __init__(self, record: AlarmRecord, now_ns: int, rules: ChartRules) -> None:
        self.record = record
        self.effects: list[AlarmEffect] = []
        self._now_ns = now_ns
        self._rules = rules

    def take(self, event: AlarmEvent) -> None:
        """Apply one event."""
        match event:
            case ConditionActive():
                self._activate(event)
            case ConditionClear():
                self._clear(event)
            case ReAlarm():
                self._trigger(Trigger.RE_ALARM)
            case Acknowledge():
                self._acknowledge(event)
            case Reset():
                if self._allows(refusal_of_request(self.record, event, now_ns=self._now_ns, longest_shelf_ns=0)):
                    self._trigger(Trigger.RESET)
            case Shelve():
                self._shelve(event)
            case Unshelve():
                if self._allows(refusal(self.record, AlarmCommand.UNSHELVE)):
                    self._unshelve()
                    self._announce_if_back()
            case Suppress():
                self._suppress(event)
            case EndSuppression():
                if self.record.suppressed and self.record.suppression_ends_ns is None:
                    self.record = replace(self.record, suppression_ends_ns=self._now_ns + event.delay_ns)
            case TakeOutOfService():
                self._take_out_of_service(event)
            case PutInService():
                if self._allows(refusal(self.record, AlarmCommand.IN_SERVICE)):
                    self.record = replace(self.record, service=None, changed_ns=self._now_ns)
                    self._effect(EffectKind.IN_SERVICE)
                    self._announce_if_back()
            case Remark():
                self.record = replace(self.record, comment=event.text)
                self._effect(EffectKind.COMMENTED)
            case TimePassed():
                pass

    def end_what_is_over(self) -> None:
        """End the shelf and the suppression if their time is over."""
        record = self.record
        if not record.has_flag:
            return
        shelf_is_over = record.shelf is not None and record.shelf.until_ns <= self._now_ns
        suppression_is_over = record.suppression_ends_ns is not None and record.suppression_ends_ns <= self._now_ns
        if shelf_is_over:
            self._unshelve()
        if suppression_is_over:
            self.record = replace(self.record, suppressed="", suppression_ends_ns=None, changed_ns=self._now_ns)
            self._effect(EffectKind.UNSUPPRESSED)
        if shelf_is_over or suppression_is_over:
            self._announce_if_back()

    def _activate(self, event: ConditionActive) -> None:
        before = self.record
        if before.base.is_active:
            if event.priority == before.priority:
                return
            self.record = replace(before, priority=event.priority, text=event.text)
            self._effect(EffectKind.PRIORITY)
            if event.priority < before.priority:
                self._trigger(Trigger.RE_ALARM, announces=not event.as_consequence)
            return
        self.record = replace(before, priority=event.priority, text=event.text, since_ns=event.since_ns)
        self._trigger(Trigger.ACTIVE, announces=not event.as_consequence)

    def _clear(self, event: ConditionClear) -> None:
        if not self.record.base.is_active:
            return
        since_ns = self._now_ns if event.since_ns is None else event.since_ns
        self.record = replace(self.record, returned_ns=since_ns)
        self._trigger(Trigger.CLEAR)
        if self.record.shelf is not None and self.record.shelf.once:
            self._unshelve()

    def _acknowledge(self, event: Acknowledge) -> None:
        request = refusal_of_request(self.record, event, now_ns=self._now_ns, longest_shelf_ns=0)
        if not self._allows(request):
            return
        comment = event.comment or self.record.comment
        self.record = replace(self.record, acknowledged_by=event.by, acknowledged_ns=self._now_ns, comment=comment)
        self._trigger(Trigger.ACKNOWLEDGE)

    def _shelve(self, event: Shelve) -> None:
        longest_ns = self._rules.longest_shelf_ns
        if not self._allows(refusal_of_request(self.record, event, now_ns=self._now_ns, longest_shelf_ns=longest_ns)):
            return
        shelf = Shelf(by=event.by, reason=event.reason, since_ns=self._now_ns, until_ns=event.until_ns, once=event.once)
        self.record = replace(self.record, shelf=shelf, changed_ns=self._now_ns)
        self._effect(EffectKind.SHELVED)

    def _unshelve(self) -> None:
        self.record = replace(self.record, shelf=None, changed_ns=self._now_ns)
        self._effect(EffectKind.UNSHELVED)

    def _suppress(self, event: Suppress) -> None:
        before = self.record
        if before.suppressed == event.why and before.suppression_ends_ns is None:
            return
        changed_ns = before.changed_ns if before.suppressed else self._now_ns
        self.record = replace(before, suppressed=event.why, suppression_ends_ns=None, changed_ns=changed_ns)
        if not before.suppressed:
            self._effect(EffectKind.SUPPRESSED)

    def _take_out_of_service(self, event: TakeOutOfService) -> None:
        if not self._allows(refusal_of_request(self.record, event, now_ns=self._now_ns, longest_shelf_ns=0)):
            return
        service = OutOfService(
            by=event.by, owner=event.owner, reason=event.reason, since_ns=self._now_ns, due_ns=event.due_ns
        )
        self.record = replace(self.record, service=service, changed_ns=self._now_ns)
        self._effect(EffectKind.OUT_OF_SERVICE)

    def _trigger(self, trigger: Trigger, *, announces: bool = True) -> None:
        """Look the cell up and apply it."""
        before = self.record
        cell = TABLE[before.base][trigger]
        is_silent = before.has_flag
        changed: dict[str, Any] = {}
        if (base := self._next_base(cell)) is not before.base or cell.occurs:
            latched = before.base in (BaseState.LATCHED_UNACKNOWLEDGED, BaseState.LATCHED)
            changed["base"] = base
            changed["changed_ns"] = self._now_ns
            changed["holds_latch"] = base.is_active and (before.holds_latch or latched)
            if base is BaseState.UNACKNOWLEDGED or cell.occurs:
                changed |= _NOT_ACKNOWLEDGED
        if cell.occurs:
            changed["occurrence"] = before.occurrence + 1
            changed["announced_ns"] = changed["returned_ns"] = None
        if changed:
            self.record = replace(before, **changed)
        if cell.occurs:
            self._effect(EffectKind.OCCURRED)
        if cell.effect is None:
            return
        if cell.effect not in ANNOUNCEMENTS:
            self._effect(cell.effect)
        elif announces and not is_silent:
            self._announce(cell.effect)

    def _next_base(self, cell: Cell) -> BaseState:
        record = self.record
        to = record.base if cell.to is None else cell.to
        if record.has_flag and cell.flagged is not None:
            return cell.flagged
        # While it is suppressed or out of service an alarm does not latch, but a latch from before stays.
        may_latch = self._rules.latching and not record.suppressed and record.service is None
        latches = may_latch or record.holds_latch
        if latches and not self._rules.needs_acknowledgement and cell.unasked_latching is not None:
            return cell.unasked_latching
        if latches and cell.latching is not None:
            return cell.latching
        if not latches and not self._rules.needs_acknowledgement and cell.unasked is not None:
            return cell.unasked
        return to

    def _announce_if_back(self) -> None:
        """After the last flag ended, announce an active alarm once, also if it was acknowledged before the flag."""
        record = self.record
        if record.has_flag or not record.base.is_active:
            return
        self.record = replace(record, base=BaseState.UNACKNOWLEDGED, changed_ns=self._now_ns, **_NOT_ACKNOWLEDGED)
        self._announce(EffectKind.ANNOUNCE_BACK)

    def _announce(self, kind: EffectKind) -> None:
        self.record = replace(self.record, announced_ns=self._now_ns)
        self._effect(kind)

    def _effect(self, kind: EffectKind) -> None:
        self.effects.append(AlarmEffect(kind=kind, occurrence=self.record.occurrence))

    def _allows(self, cause: Cause | None) -> bool:
        if cause is not None:
            self.effects.append(AlarmEffect(kind=EffectKind.REFUSED, occurrence=self.record.occurrence, cause=cause))
        return cause is None
