"""What a device host saves and records of its interlocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import NAMESPACE_OID, uuid5

from msgspec import Struct

from countingroom.core.errors import Cause
from countingroom.core.interlocks.events import ActionKind, InterlockAction
from countingroom.core.interlocks.specs import EffectSpec, InterlockSpec
from countingroom.core.interlocks.states import InterlockState
from countingroom.core.messages import Event, EventKind
from countingroom.core.times import duration
from countingroom.devices.interlocks.hosted_part import HostedPart

SOURCE = "devices.interlocks"
_WORDS = {
    ActionKind.TRIP: "has tripped",
    ActionKind.CAUSE: "has a further cause",
    ActionKind.ACT: "begins an effect",
    ActionKind.RELEASE: "does not hold an effect any more",
    ActionKind.RESET: "is released",
    ActionKind.BYPASS: "has a bypassed cause",
    ActionKind.END_BYPASS: "has a bypass less",
    ActionKind.WOULD_TRIP: "would have tripped",
    ActionKind.REACHED: "has reached an effect",
    ActionKind.NOT_REACHED: "does not reach an effect",
}
_SEVERITIES = {ActionKind.TRIP: 1, ActionKind.CAUSE: 1, ActionKind.NOT_REACHED: 1, ActionKind.WOULD_TRIP: 2}


class SavedInterlocks(Struct, frozen=True, kw_only=True):
    """The content of the file."""

    interlocks: dict[str, InterlockState] = {}


def event_of(part: HostedPart, action: InterlockAction, instance: str, now_ns: int) -> Event:
    """The event about one action of a part."""
    what = _WORDS.get(action.kind, action.kind.value)
    return Event(
        id=uuid5(NAMESPACE_OID, f"{instance} {part.name} {action.trip} {action.kind} {action.name} {now_ns}").hex,
        kind=EventKind.NOTE,
        time_ns=now_ns,
        department="devices",
        source=part.name,
        message=f"{part.spec.shown} {what}, evaluated in the device host {instance}: {action.text}",
        severity=_SEVERITIES.get(action.kind, 0),
        principal=f"interlock.{part.name}",
        action=action.kind.value,
        data={"interlock": part.name, "name": action.name, "trip": action.trip, "host": instance},
    )


def event_of_silence(
    spec: InterlockSpec, effects: Iterable[EffectSpec], instance: str, now_ns: int, *, is_silent: bool
) -> Event:
    """The event when safe outputs are applied because the engine is silent, and when it is heard again."""
    named = ", ".join(one.shown for one in effects)
    after_s = spec.engine_silent.after_ns / 1e9 if spec.engine_silent else 0.0
    cause = Cause(
        code="engine_silent",
        message=f"no alarm engine was heard for {duration(after_s)}",
        source=SOURCE,
        evidence={"after_s": after_s},
        suggestion="look at the process of the alarm department, and at the bus",
    )
    message = (
        f"{spec.shown}: the device host {instance} applies the safe outputs {named}, because the alarm engine is silent"
        if is_silent
        else f"{spec.shown}: the device host {instance} hears the alarm engine again and holds {named} no longer"
    )
    return Event(
        id=uuid5(NAMESPACE_OID, f"{instance} {spec.name} silent {is_silent} {now_ns}").hex,
        kind=EventKind.NOTE,
        time_ns=now_ns,
        department="devices",
        source=spec.name,
        message=message,
        severity=1 if is_silent else 0,
        principal=f"interlock.{spec.name}",
        action="engine_silent",
        cause=cause if is_silent else None,
        data={"interlock": spec.name, "host": instance},
    )
