"""The records of an interlock: the rows of its history, their events, and the findings for its alarms. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import NAMESPACE_OID, uuid5

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.interlocks.events import ActionKind, InterlockAction
from countingroom.core.interlocks.history import InterlockEntry
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Event, EventKind

_WORDS = {
    ActionKind.TRIP: "has tripped",
    ActionKind.CAUSE: "a further cause",
    ActionKind.ACT: "acts",
    ActionKind.RELEASE: "acts no more",
    ActionKind.RESET: "is no longer tripped",
    ActionKind.BYPASS: "a cause is bypassed",
    ActionKind.END_BYPASS: "a bypass has ended",
    ActionKind.WOULD_TRIP: "would have tripped",
    ActionKind.REACHED: "effect reached",
    ActionKind.NOT_REACHED: "effect not reached",
    ActionKind.PROOF_TEST: "proof test",
}
_URGENT = {ActionKind.TRIP: severity.HIGH, ActionKind.NOT_REACHED: severity.HIGH, ActionKind.WOULD_TRIP: severity.LOW}


def rows_of(interlock: str, actions: Iterable[InterlockAction], now_ns: int) -> Iterator[InterlockEntry]:
    """The history rows of one step. A refusal gets no row; it is the answer to the command."""
    for one in actions:
        if one.kind is not ActionKind.REFUSED:
            yield InterlockEntry(
                time_ns=now_ns,
                interlock=interlock,
                kind=one.kind,
                name=one.name,
                trip=one.trip,
                person=one.by,
                text=one.text,
            )


def event_of(row: InterlockEntry, title: str) -> Event:
    """The event of a row. The id follows from the row: an event that is published again is stored once."""
    named = f"interlock {row.interlock} {row.kind} {row.name} {row.trip} {row.time_ns} {row.person}"
    text = f": {row.text}" if row.text else ""
    return Event(
        id=uuid5(NAMESPACE_OID, named).hex,
        kind=EventKind.STATE,
        time_ns=row.time_ns,
        department="alarms",
        source=row.interlock,
        message=f"interlock {title}: {_WORDS.get(row.kind, row.kind.value)}{text}",
        severity=_URGENT.get(row.kind, severity.NORMAL),
        principal=row.person or f"interlock.{row.interlock}",
        action=f"interlock_{row.kind.value}",
        data={"interlock": row.interlock, "name": row.name, "trip": row.trip},
    )


def findings(state: InterlockState, now_ns: int) -> Iterator[Found]:
    """The findings for the alarms of an interlock: whether it is tripped, and whether each effect is reached."""
    about = AlarmSubject(id=identity.of_interlock(state.name), title=state.title)
    if state.tripped_ns is None:
        yield about, clear(now_ns)
    else:
        cause = state.cause(state.first_out)
        first = (cause.title if cause else "") or state.first_out
        inputs = [one for one in cause.inputs if one.truth.counts] if cause else []
        said = "; ".join(one.text if one.truth.is_known else f"{one.text} ({one.truth.value})" for one in inputs)
        text = f"tripped by {first}{f': {said}' if said else ''}"
        yield about, AlarmFinding(level=severity.HIGH, since_ns=state.tripped_ns, text=text)
    for effect in state.effects:
        about = AlarmSubject(
            id=identity.of_effect(state.name, effect.name), title=f"{state.title} / {effect.title or effect.name}"
        )
        if effect.acting_ns is None or not effect.trouble:
            yield about, clear(now_ns)
        else:
            text = f"the effect is not reached: {effect.trouble}"
            yield about, AlarmFinding(level=severity.HIGH, since_ns=effect.acting_ns, text=text)
