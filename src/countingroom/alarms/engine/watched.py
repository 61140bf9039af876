"""The conditions that the section `alarms` writes itself: alarms of one's own, and suppression by design. Pure.

Points come with readings, states with `state`. A device that is lost makes its points stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear, unknown
from countingroom.alarms.engine.watched_texts import text_of
from countingroom.core.alarms.conditions.kinds import difference
from countingroom.core.alarms.conditions.rows import Change, ConditionRows, Derive
from countingroom.core.alarms.conditions.specs import DeviationSpec, ExpressionSpec, StateSpec
from countingroom.core.alarms.definition import AlarmDefinition, Suppression, WatchedCondition
from countingroom.core.alarms.expressions import compile_expression
from countingroom.core.messages import Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar


class _Watched(Struct, frozen=True):
    condition: WatchedCondition
    definition: AlarmDefinition | None
    """None: it is a suppression."""
    suppression: str = ""
    address: str = ""
    """Of the state, in its rows."""


class WatchedConditions:
    """All conditions of the section, and their states."""

    def __init__(
        self, customs: Iterable[AlarmDefinition], suppressions: Mapping[str, Suppression], *, now_ns: int
    ) -> None:
        self._suppressions = dict(suppressions)
        self._points = ConditionRows()
        self._states = ConditionRows()
        """Apart from those of points: a device may have the name `partition`."""
        self._of_points: list[_Watched] = []
        self._of_states: list[_Watched] = []
        self._subjects: dict[str, list[_Watched]] = {}
        self._addresses: dict[str, set[str]] = {}
        """Device -> the addresses of its points that are watched."""
        self._values: dict[str, Scalar] = {}
        self._described: dict[str, Point] = {}
        self._true: set[str] = set()
        for one in customs:
            if one.condition:
                self._add(one.condition, one, "", now_ns)
        for name, one in self._suppressions.items():
            self._add(one.condition, None, name, now_ns)

    @property
    def subjects(self) -> frozenset[str]:
        """What states are watched of: `device.caen`, `partition.mCBM`."""
        return frozenset(self._subjects)

    def suppressed_by(self) -> dict[str, str]:
        """Name -> reason of the suppressions that are in force."""
        return {name: self._suppressions[name].reason for name in sorted(self._true)}

    def learn(self, device: str, points: Iterable[Point]) -> None:
        """How the points of a device are written in texts."""
        watched = self._addresses.get(device, set())
        self._described |= {address: one for one in points if (address := f"{device}.{one.name}") in watched}

    def read(self, message: Readings, now_ns: int) -> list[Found]:
        """Take in readings."""
        watched = self._addresses.get(message.device)
        if watched is None:
            return []
        for name, value in zip(message.points, message.values, strict=True):
            if (address := f"{message.device}.{name}") in watched:
                self._values[address] = value
        return list(self._found(self._of_points, self._points.take(message, now_ns)))

    def lost(self, device: str, now_ns: int) -> list[Found]:
        """The device is not served any more: its last values are stale."""
        changes = [
            change
            for address in sorted(self._addresses.get(device, ()))
            for change in self._points.put(address, self._values.get(address), int(Quality.STALE), now_ns)
        ]
        return list(self._found(self._of_points, changes))

    def state(self, subject: str, state: str | None, common: str, now_ns: int) -> list[Found]:
        """Take in the state of a subject; None: it is not known."""
        changes: list[Change] = []
        for one in self._subjects.get(subject, ()):
            spec = one.condition.spec
            is_common = isinstance(spec, StateSpec) and common in spec.states
            quality = Quality.STALE if state is None else Quality.GOOD
            self._values[subject] = state
            changes += self._states.put(one.address, common if is_common else state, int(quality), now_ns)
        return list(self._found(self._of_states, changes))

    def pass_time(self, now_ns: int) -> list[Found]:
        """What changed because a delay or a window is over."""
        found = list(self._found(self._of_points, self._points.pass_time(now_ns)))
        return found + list(self._found(self._of_states, self._states.pass_time(now_ns)))

    def next_due_ns(self) -> int:
        """When `pass_time` has something to do."""
        return min(self._points.next_due_ns(), self._states.next_due_ns())

    def _add(
        self, condition: WatchedCondition, definition: AlarmDefinition | None, suppression: str, now_ns: int
    ) -> None:
        if condition.subject:
            address = f"{len(self._of_states)}.{condition.subject}"
            one = _Watched(condition, definition, suppression, address)
            self._of_states.append(one)
            self._subjects.setdefault(condition.subject, []).append(one)
            self._states.add(condition.spec, (address,), now_ns=now_ns)
            return
        self._of_points.append(_Watched(condition, definition, suppression))
        self._points.add(condition.spec, condition.points, now_ns=now_ns, derive=_derive(condition))
        for address in condition.points:
            self._addresses.setdefault(address.partition(".")[0], set()).add(address)

    def _found(self, watched: list[_Watched], changes: Iterable[Change]) -> Iterator[Found]:
        for row, before, after in changes:
            one = watched[row]
            if one.definition is None:
                # An unknown condition suppresses nothing: an alarm that is not shown is worse than one too many.
                if after.level and not after.unknown:
                    self._true.add(one.suppression)
                else:
                    self._true.discard(one.suppression)
            elif (before.level, before.unknown) != (after.level, after.unknown):
                subject = _subject(one.definition)
                if after.unknown:
                    yield subject, unknown(after.since_ns)
                elif not after.level:
                    yield subject, clear(after.since_ns)
                else:
                    text = text_of(one.condition, self._values, self._described)
                    value = self._values.get(one.condition.points[0]) if one.condition.points else None
                    yield subject, AlarmFinding(level=after.level, since_ns=after.since_ns, text=text, value=value)


def _derive(condition: WatchedCondition) -> Derive | None:
    """From the values of its points to the value of the condition; None: it has one point."""
    spec = condition.spec
    if isinstance(spec, ExpressionSpec):
        return compile_expression(spec.expression, spec.names).condition
    if isinstance(spec, DeviationSpec):
        readback, setpoint = condition.points
        return lambda values: difference(values.get(readback), values.get(setpoint))
    return None


def _subject(definition: AlarmDefinition) -> AlarmSubject:
    # Without device and partition: it is folded under no other alarm, and no other one under it.
    return AlarmSubject(id=definition.id, title=definition.title)
