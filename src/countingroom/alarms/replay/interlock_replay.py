"""Replays recorded data through the evaluation of interlocks. Reads no clock and does no I/O.

Effects are listed, not carried out, so it is not known whether they would have been reached. A trip that a device host
made by itself is found here from the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from countingroom.alarms.engine.finding import Found
from countingroom.alarms.interlocks.described import interlock_spec
from countingroom.alarms.interlocks.evaluation import InterlockEvaluation, TakenStep
from countingroom.alarms.interlocks.interlock_records import findings
from countingroom.alarms.replay.acted import Acted, ActedPart, ReplayMember
from countingroom.alarms.replay.recorded import OtherAt
from countingroom.alarms.replay.spans import ActiveSpan
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.alarms.sections.interlocks import InterlockSection
from countingroom.core.errors import ConfigurationError
from countingroom.core.interlocks.events import (
    ActionKind,
    BypassCause,
    EndBypass,
    InterlockEvent,
    ResetInterlock,
)
from countingroom.core.interlocks.specs import InterlockSpec
from countingroom.core.messages import Event, Readings
from countingroom.core.policy import Role

_COUNTED = {
    "trips": ActionKind.TRIP.value,
    "further causes": ActionKind.CAUSE.value,
    "effects": ActionKind.ACT.value,
    "bypassed": ActionKind.WOULD_TRIP.value,
}
_COMPARED = (ActionKind.TRIP.value, ActionKind.CAUSE.value, ActionKind.ACT.value, ActionKind.WOULD_TRIP.value)
_OF_EFFECTS = (ActionKind.REACHED.value, ActionKind.NOT_REACHED.value)
_TRIP_PRIORITY, _EFFECT_PRIORITY = 1, 2
_RECORDED = "interlock_"
"""The action of an interlock event begins so (`interlock_records.event_of`)."""


class InterlockReplay:
    """The interlocks of a replay."""

    def __init__(self, sections: Mapping[str, InterlockSection], now_ns: int) -> None:
        """The replay begins at `now_ns`, with all interlocks untripped and without bypasses."""
        self.problems: list[str] = []
        """Interlocks that cannot be evaluated, one sentence each."""
        self.acted: list[Acted] = []
        """All actions, in order."""
        self.find: Callable[[Iterable[Found]], None] = lambda _: None
        """Takes the findings for the alarms of interlocks."""
        specs: list[InterlockSpec] = []
        for name, section in sections.items():
            try:
                specs.append(interlock_spec(name, section))
            except (ValueError, ConfigurationError) as error:
                self.problems.append(f"the interlock {name} cannot be evaluated: {error}")
        # `complete` is never called. An engine calls it some seconds after its start and then trips interlocks without
        # values; here the first values may simply be recorded later.
        self._evaluation = InterlockEvaluation(specs, now_ns)
        self._specs = self._evaluation.specs

    def read(self, message: Readings, now_ns: int) -> None:
        """Take in readings."""
        self._evaluation.read(message, now_ns)
        self._take(now_ns)

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> None:
        """Take in the state of a device, channel or partition."""
        self._evaluation.state(subject, word, common, now_ns)
        self._take(now_ns)

    def lost(self, device: str, now_ns: int) -> None:
        """Take in that the host of a device was gone."""
        self._evaluation.lost(device, now_ns)
        self._take(now_ns)

    def pass_time(self, now_ns: int) -> None:
        """Take the steps that are due."""
        for taken in self._evaluation.steps(now_ns):
            self._add(taken)

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no interlock waits for a time."""
        return self._evaluation.next_due_ns()

    def act(self, name: str, event: InterlockEvent, now_ns: int) -> None:
        """Repeat the command of a person. If the present state refuses it, it has no effect."""
        if self._evaluation.is_ready(name):
            self._add(self._evaluation.ask(name, event, now_ns))

    def inputs(self, about: Iterable[Event], *, people: bool) -> Iterator[OtherAt]:
        """The commands of people, from the recorded events of these interlocks. The end of a bypass is not recorded
        with its begin: it lasts for the longest allowed time, or until its recorded end."""
        for event in about if people else ():
            name, by, role = event.source, event.principal, Role.ADMINISTRATOR
            spec, cause = self._specs.get(name), str(event.data.get("name", ""))
            if spec is None or not event.action.startswith(_RECORDED):
                continue
            given: InterlockEvent | None = None
            is_person = by != f"interlock.{name}"
            match event.action.removeprefix(_RECORDED):
                case ActionKind.RESET.value if is_person:
                    reason = event.message.partition(f"reset by {by}: ")[2]
                    given = ResetInterlock(by=by, role=role, reason=reason)
                case ActionKind.BYPASS.value:
                    until_ns = event.time_ns + spec.bypass.longest_ns
                    given = BypassCause(cause=cause, by=by, role=role, reason=event.message, until_ns=until_ns)
                case ActionKind.END_BYPASS.value:
                    given = EndBypass(cause=cause, by=by, role=role)
                case _:
                    pass
            if given is not None:
                yield OtherAt(time_ns=event.time_ns, give=partial(self.act, name, given))

    def part(self, about: Sequence[Event] | None, begin_ns: int, end_ns: int) -> ActedPart:
        """The part of the report. `about`: the recorded events of these interlocks; None: not recorded."""
        members = [
            ReplayMember(name=name, title=spec.shown, text="; ".join(_cause_words(spec)))
            for name, spec in self._specs.items()
        ]
        recorded = None if about is None else [one for event in about if (one := self._recorded(event)) is not None]
        notes = [*self.problems, "interlocks: effects are told, not done; whether they are reached is not replayed"]
        if about is None:
            notes.append(
                "interlocks: the data folder has no events with resets and bypasses: what latches stays tripped"
            )
        return ActedPart(
            "interlock", _COUNTED, _COMPARED, members, self.acted, recorded, trip_spans, begin_ns, end_ns, notes=notes
        )

    def _take(self, now_ns: int) -> None:
        if self._evaluation.is_waiting:
            self.pass_time(now_ns)

    def _add(self, taken: TakenStep) -> None:
        spec = self._specs[taken.name]
        if taken.is_changed:
            self.find(findings(self._evaluation.states[taken.name], taken.now_ns))
        for action in taken.actions:
            if action.kind is ActionKind.REFUSED:
                continue
            effect = spec.effect(action.name) if action.kind is ActionKind.ACT else None
            cause = next((one for one in spec.causes if one.name == action.name), None)
            self.acted.append(
                Acted(
                    name=taken.name,
                    time_ns=taken.now_ns,
                    kind=action.kind.value,
                    about=action.name,
                    number=action.trip,
                    text=effect.does if effect else action.text,
                    evidence={
                        point: taken.inputs[cause.name, number].value
                        for number, one in enumerate(cause.inputs)
                        for point in one.inputs[:1]
                    }
                    if cause
                    else {},
                )
            )

    def _recorded(self, event: Event) -> Acted | None:
        kind = event.action.removeprefix(_RECORDED)
        if event.source not in self._specs or not event.action.startswith(_RECORDED):
            return None
        if kind in _OF_EFFECTS or kind not in set(ActionKind):
            return None
        trip = event.data.get("trip")
        return Acted(
            name=event.source,
            time_ns=event.time_ns,
            kind=kind,
            about=str(event.data.get("name", "")),
            number=trip if isinstance(trip, int) else 0,
            text=event.message,
        )


def input_keys(sections: Iterable[InterlockSection]) -> Iterator[ConditionKeys]:
    """All inputs of these interlocks."""
    for section in sections:
        for cause in section.causes.values():
            yield from cause.inputs


def trip_spans(acted: Sequence[Acted], begin_ns: int, end_ns: int) -> Mapping[str, list[ActiveSpan]]:
    """ "" -> the spans in which the interlock was tripped; effect -> the spans in which it acted."""
    found: dict[str, list[ActiveSpan]] = {}
    begun: dict[str, Acted] = {}

    def close(key: str, until_ns: int | None) -> None:
        one = begun.pop(key, None)
        if one is None or (until_ns is not None and until_ns < begin_ns):
            return
        found.setdefault(key, []).append(
            ActiveSpan(
                name=one.name,
                begin_ns=max(one.time_ns, begin_ns),
                end_ns=until_ns,
                priority=_EFFECT_PRIORITY if key else _TRIP_PRIORITY,
                announced=True,
                text=one.text,
            )
        )

    for one in acted:
        if one.time_ns >= end_ns:
            break
        key = one.about if one.kind in (ActionKind.ACT.value, ActionKind.RELEASE.value) else ""
        if one.kind in (ActionKind.TRIP.value, ActionKind.ACT.value):
            begun.setdefault(key, one)
        elif one.kind in (ActionKind.RESET.value, ActionKind.RELEASE.value):
            close(key, one.time_ns)
    for key in list(begun):
        close(key, None)
    return found


def _cause_words(spec: InterlockSpec) -> Iterator[str]:
    for cause in spec.causes:
        vote = f"{cause.vote} of {len(cause.inputs)}: " if len(cause.inputs) > 1 else ""
        yield f"{vote}{', '.join(one.text for one in cause.inputs)}"
