"""An alarm of the engine, and its form in the database and on the bus. Pure."""

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
"""Fields that the record and the published state share."""
_EXTRA = tuple(name for name in AlarmRecord.__struct_fields__ if name not in AlarmState.__struct_fields__)
_SUBJECT = ("device", "channel", "point", "partition", "system")


class EngineAlarm(Struct, eq=False, kw_only=True):
    """One alarm of the engine: it is not at rest, or it was active at least once."""

    subject: AlarmSubject
    definition: AlarmDefinition
    record: AlarmRecord = AlarmRecord()
    finding: AlarmFinding | None = None
    """The last finding that was not unknown; None: no finding since this engine began."""
    unknown: bool = False
    """Its condition cannot be evaluated now."""
    cause_id: str = ""
    first_out: bool = False
    blames: str = ""

    @property
    def is_active(self) -> bool:
        """Whether its condition is true by the last known finding."""
        return self.record.base.is_active

    def published(self) -> AlarmState:
        """The state that is published on the bus."""
        record = self.record
        finding = self.finding if self.is_active else None
        guidance = self.definition.guidance
        subject = self.subject
        return AlarmState(
            id=subject.id,
            area=self.definition.area,
            title=self.definition.title or subject.title,
            base=record.base,
            priority=record.priority,
            text=finding.sentence() if finding and finding.level else record.text,
            advice=(finding.advice if finding else "") or " ".join(guidance.do),
            occurrence=record.occurrence,
            since_ns=record.since_ns,
            announced_ns=record.announced_ns,
            changed_ns=record.changed_ns,
            returned_ns=record.returned_ns,
            acknowledged_by=record.acknowledged_by,
            acknowledged_ns=record.acknowledged_ns,
            comment=record.comment,
            shelf=record.shelf,
            suppressed=record.suppressed,
            service=record.service,
            latching=self.definition.latching,
            unknown=self.unknown and self.is_active,
            cause_id=self.cause_id,
            first_out=self.first_out,
            device=subject.device,
            channel=subject.channel,
            point=subject.point,
            partition=subject.partition,
            system=subject.system,
            value=finding.value if finding else None,
        )

    def saved(self, published: AlarmState | None = None) -> SavedAlarm:
        """The form for the database. `published`: the published state, if the caller has made it already."""
        record = self.record
        if record.is_at_rest:
            return SavedAlarm(id=self.subject.id, occurrence=record.occurrence)
        extra = {name: getattr(record, name) for name in _EXTRA} | {
            "blames": self.blames,
            "text": record.text,
        }
        return SavedAlarm(
            id=self.subject.id, occurrence=record.occurrence, state=published or self.published(), extra=extra
        )


def restored(saved: SavedAlarm, definition: AlarmDefinition) -> EngineAlarm:
    """The alarm from its saved form. Extra values that an earlier version did not save get their defaults."""
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
    )


def _record(state: AlarmState, extra: Mapping[str, Any]) -> AlarmRecord:
    record = AlarmRecord(**{name: getattr(state, name) for name in _COMMON})
    known = {name: extra[name] for name in (*_EXTRA, "text") if name in extra}
    return structs.replace(record, **known)
