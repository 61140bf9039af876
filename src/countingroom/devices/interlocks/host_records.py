"""What a device host saves and records of its interlocks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
TELL_AGAIN_NS = 90_000_000_000
"""The bus stores an event that comes a second time within two minutes once."""
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
    """The event about one action of a part. Its id and time follow from the saved state where that has them, so that
    the next host can tell it again, and it is stored once."""
    what = _WORDS.get(action.kind, action.kind.value)
    time_ns = _time_ns(part.state, action) or now_ns
    return Event(
        id=uuid5(NAMESPACE_OID, f"{instance} {part.name} {action.kind} {action.name} {time_ns}").hex,
        kind=EventKind.NOTE,
        time_ns=time_ns,
        department="devices",
        source=part.name,
        message=f"{part.spec.shown} {what}, evaluated in the device host {instance}: {action.text}",
        severity=_SEVERITIES.get(action.kind, 0),
        principal=f"interlock.{part.name}",
        action=action.kind.value,
        data={"interlock": part.name, "name": action.name, "trip": action.trip, "host": instance},
    )


def told_again(part: HostedPart, instance: str, now_ns: int) -> Iterator[Event]:
    """The events of what happened shortly before this host began, as far as its saved state has them: the one that
    saved it may have been killed before it told them."""
    for action in _actions_of(part.state):
        event = event_of(part, action, instance, 0)
        if now_ns - TELL_AGAIN_NS < event.time_ns:
            yield event


def _actions_of(state: InterlockState) -> Iterator[InterlockAction]:
    trip = state.trip
    for cause in state.causes:
        if cause.tripped_ns is not None:
            kind = ActionKind.TRIP if cause.name == state.first_out else ActionKind.CAUSE
            yield InterlockAction(kind=kind, name=cause.name, trip=trip, text=f"{cause.title}: as it was saved")
        if cause.bypass is not None:
            by, reason = cause.bypass.by, cause.bypass.reason
            yield InterlockAction(kind=ActionKind.BYPASS, name=cause.name, trip=trip, by=by, text=reason)
    for effect in state.effects:
        if effect.acting_ns is not None:
            yield InterlockAction(kind=ActionKind.ACT, name=effect.name, trip=trip, text=effect.title)
        if effect.reached_ns is not None:
            yield InterlockAction(kind=ActionKind.REACHED, name=effect.name, trip=trip, text=effect.title)
    if state.reset_ns is not None:
        yield InterlockAction(kind=ActionKind.RESET, trip=trip, by=state.reset_by, text=state.told_reset)


def _time_ns(state: InterlockState, action: InterlockAction) -> int | None:
    """When the state says that it happened; None: the state does not say it."""
    cause, effect = state.cause(action.name), state.effect(action.name)
    match action.kind:
        case ActionKind.TRIP | ActionKind.CAUSE if cause is not None:
            return cause.tripped_ns
        case ActionKind.BYPASS if cause is not None and cause.bypass is not None:
            return cause.bypass.since_ns
        case ActionKind.ACT if effect is not None:
            return effect.acting_ns
        case ActionKind.REACHED if effect is not None:
            return effect.reached_ns
        case ActionKind.RESET:
            return state.reset_ns
        case _:
            return None


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
