"""How an alarm of the engine is saved and published: its record in the chart, with what it is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject
from countingroom.core.alarms.chart import AlarmRecord
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.alarms.history import SavedAlarm
from countingroom.core.alarms.states import AlarmState

_COMMON = tuple(name for name in AlarmRecord.__struct_fields__ if name in AlarmState.__struct_fields__)
"""Fields that the record and the published state have alike."""
_EXTRA = tuple(name for name in AlarmRecord.__struct_fields__ if name not in AlarmState.__struct_fields__)
_SUBJECT = ("device", "channel", "point", "partition", "system")


class EngineAlarm(Struct, eq=False, kw_only=True):
    """One alarm that the engine knows: one that is not at rest, or that has been active once."""

    subject: AlarmSubject
    definition: AlarmDefinition
    record: AlarmRecord = AlarmRecord()
    finding: AlarmFinding | None = None
    """The last one that was known; None: none since this engine began."""
    unknown: bool = False
    """Its condition cannot be evaluated now."""
    cause_id: str = ""
    first_out: bool = False
    blames: str = ""
    overdue_ns: int = 0
    """The due date that was told to be over."""

    @property
    def is_active(self) -> bool:
        """Whether its condition is true, as far as it is known."""
        return self.record.base.is_active

    def published(self) -> AlarmState:
        """As it is published."""
        record = self.record
        finding = self.finding if self.is_active else None
        guidance = self.definition.guidance
        return AlarmState(
            id=self.subject.id,
            area=self.definition.area,
            title=self.definition.title or self.subject.title,
            advice=(finding.advice if finding else "") or " ".join(guidance.do),
            latching=self.definition.latching,
            unknown=self.unknown and self.is_active,
            cause_id=self.cause_id,
            first_out=self.first_out,
            value=finding.value if finding else None,
            **{name: getattr(self.subject, name) for name in _SUBJECT},
            **{name: getattr(record, name) for name in _COMMON if name != "text"},
            text=finding.text if finding and finding.level else record.text,
        )

    def saved(self) -> SavedAlarm:
        """As it is kept in the database."""
        record = self.record
        if record.is_at_rest:
            return SavedAlarm(id=self.subject.id, occurrence=record.occurrence)
        extra = {name: getattr(record, name) for name in _EXTRA} | {
            "blames": self.blames,
            "text": record.text,
            "overdue_ns": self.overdue_ns,
        }
        return SavedAlarm(id=self.subject.id, occurrence=record.occurrence, state=self.published(), extra=extra)


def restored(saved: SavedAlarm, definition: AlarmDefinition) -> EngineAlarm:
    """The alarm that was saved. What the extra values lack has its default, as of an earlier version."""
    state = saved.state
    if state is None:
        subject = AlarmSubject(id=saved.id, title=definition.title)
        record = AlarmRecord(occurrence=saved.occurrence)
        return EngineAlarm(subject=subject, definition=definition, record=record)
    subject = AlarmSubject(id=saved.id, title=state.title, **{name: getattr(state, name) for name in _SUBJECT})
    return EngineAlarm(
        subject=subject,
        definition=definition,
        record=_record(state, saved.extra),
        unknown=state.unknown,
        cause_id=state.cause_id,
        first_out=state.first_out,
        blames=str(saved.extra.get("blames", "")),
        overdue_ns=int(saved.extra.get("overdue_ns", 0)),
    )


def _record(state: AlarmState, extra: Mapping[str, Any]) -> AlarmRecord:
    record = AlarmRecord(**{name: getattr(state, name) for name in _COMMON})
    known = {name: extra[name] for name in (*_EXTRA, "text") if name in extra}
    return structs.replace(record, **known)
