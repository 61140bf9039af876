"""Custom alarms and suppressions of the description: their conditions over points and states. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import structs

from countingroom.alarms.engine.book import about
from countingroom.alarms.engine.described_conditions import NO_MEMORY, condition_of
from countingroom.alarms.engine.finding import AlarmFinding, Found, clear, unknown
from countingroom.alarms.sections.conditions import ConditionKeys
from countingroom.core import severity, units
from countingroom.core.alarms.conditions.described import DescribedCondition, state_address, state_value
from countingroom.core.alarms.conditions.rows import Change, ConditionRows
from countingroom.core.alarms.conditions.specs import NEVER, ExpressionSpec
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.errors import ConfigurationError
from countingroom.core.messages import Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar

_STALE = int(Quality.STALE)
_SHOWN = 4
"""The most values that a text names."""


class DescribedAlarms:
    """Evaluates the conditions of custom alarms and of suppressions. Its methods return the findings that changed."""

    def __init__(
        self,
        customs: Mapping[str, ConditionKeys],
        suppressions: Mapping[str, ConditionKeys],
        definitions: Mapping[str, AlarmDefinition],
        point_of: Callable[[str], Point | None],
        held: Callable[[str], tuple[int, int]],
        now_ns: int,
    ) -> None:
        """`customs`: name -> condition. `suppressions`: name -> condition. `definitions`: name -> definition of each
        custom alarm that is on. `point_of`: address -> point. `held`: identity -> level and begin (ns) that an alarm
        had before a restart."""
        self._rows = ConditionRows()
        self._conditions: dict[int, DescribedCondition] = {}
        self._alarms: dict[int, AlarmDefinition] = {}
        self._suppressions: dict[int, str] = {}
        self._point_of = point_of
        self._values: dict[str, Scalar] = {}
        """Address -> last value of each point that a condition names."""
        self.suppressing: dict[str, bool] = dict.fromkeys(suppressions, False)
        """Name of a suppression -> whether its condition is true. An unknown condition counts as false."""
        self.problems: list[str] = []
        """Conditions that cannot be evaluated, one sentence each."""
        for name, definition in definitions.items():
            level, since_ns = held(definition.id)
            if (row := self._add(name, customs[name], definition, now_ns, level, since_ns)) is not None:
                self._alarms[row] = definition
        for name, keys in suppressions.items():
            if (row := self._add(name, keys, NO_MEMORY, now_ns, 0, 0)) is not None:
                self._suppressions[row] = name
        self._points = {address for one in self._conditions.values() for address in one.inputs}
        self._names: dict[str, dict[str, str]] = {}
        """Device -> name of a point -> its address."""
        for address in self._points:
            device, _, name = address.partition(".")
            self._names.setdefault(device, {})[name] = address

    def concerns(self, message: Readings) -> bool:
        """Whether a message has readings of points that a condition names."""
        names = self._names.get(message.device)
        return names is not None and not names.keys().isdisjoint(message.points)

    def read(self, message: Readings, now_ns: int) -> list[Found]:
        """Take in readings."""
        names = self._names.get(message.device)
        if names is None:
            return []
        for name, value in zip(message.points, message.values, strict=True):
            if (address := names.get(name)) is not None:
                self._values[address] = value
        return self._changed(self._rows.take(message, now_ns))

    def lost(self, device: str, now_ns: int) -> list[Found]:
        """Take in that the host of a device is gone: its values and states are unknown."""
        found: list[Found] = []
        for address in self._points:
            if address.startswith(f"{device}."):
                found += self._changed(self._rows.put(address, None, _STALE, now_ns))
        for subject in (f"device.{device}", *self._channels(device)):
            found += self.state(subject, None, "", now_ns)
        return found

    def state(self, subject: str, word: str | None, common: str, now_ns: int) -> list[Found]:
        """Take in the state of `device.caen`, `channel.caen.0`, `partition.mCBM`, …; `word` None: unknown."""
        address = state_address(subject)
        if address not in self._points:
            return []
        if word is None:
            return self._changed(self._rows.put(address, None, _STALE, now_ns))
        return self._changed(self._rows.put(address, state_value(word, common), int(Quality.GOOD), now_ns))

    def pass_time(self, now_ns: int) -> list[Found]:
        """The findings of times that are over at `now_ns`."""
        return self._changed(self._rows.pass_time(now_ns))

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no condition waits for a time."""
        due_ns = self._rows.next_due_ns()
        return None if due_ns == NEVER else due_ns

    def _add(
        self, name: str, keys: ConditionKeys, definition: AlarmDefinition, now_ns: int, level: int, since_ns: int
    ) -> int | None:
        try:
            condition = condition_of(keys, definition)
        except (ValueError, ConfigurationError) as error:
            self.problems.append(f"the condition of {name} in the section alarms cannot be evaluated: {error}")
            return None
        row = self._rows.add(
            condition.spec, condition.inputs, now_ns=now_ns, level=level, since_ns=since_ns, derive=condition.derive
        )
        self._conditions[row] = condition
        return row

    def _channels(self, device: str) -> Iterable[str]:
        begin = f"state of channel {device}."
        return [
            address.removeprefix("state of ").removesuffix(".word").replace(" ", ".", 1)
            for address in self._points
            if address.startswith(begin)
        ]

    def _changed(self, changes: Iterable[Change]) -> list[Found]:
        return list(self._found(changes))

    def _found(self, changes: Iterable[Change]) -> Iterator[Found]:
        for row, before, after in changes:
            if (name := self._suppressions.get(row)) is not None:
                self.suppressing[name] = bool(after.level) and not after.unknown
                continue
            definition = self._alarms[row]
            subject = about(definition)
            if after.unknown:
                if not before.unknown:
                    yield subject, unknown(after.since_ns)
            elif not after.level:
                if before.level or before.unknown:
                    yield subject, clear(after.since_ns)
            elif before.level != after.level or before.unknown:
                yield (
                    subject,
                    AlarmFinding(
                        level=after.level,
                        since_ns=after.since_ns,
                        text=self._text(self._conditions[row]),
                        value=self._values.get(self._conditions[row].inputs[0]),
                    ),
                )

    def _text(self, condition: DescribedCondition) -> str:
        limits = condition.limits
        if limits is None:
            return condition.text + self._inputs(condition)
        address = condition.inputs[0]
        value = self._values.get(address)
        point = self._point_of(address) or Point(name=address)
        return severity.why(structs.replace(point, limits=limits, severity=0), value, unit=units.written(point.unit))

    def _inputs(self, condition: DescribedCondition) -> str:
        """The values that made a condition of several points true: `: chiller.bath 20 °C, coldbox.humidity 61 %`."""
        if len(condition.inputs) == 1 and not isinstance(condition.spec, ExpressionSpec):
            return ""
        shown: list[str] = []
        for address in condition.inputs[:_SHOWN]:
            value, point = self._values.get(address), self._point_of(address)
            unit = f" {units.written(point.unit)}" if point and point.unit else ""
            number = f"{value:g}" if isinstance(value, float) else "unknown" if value is None else str(value)
            shown.append(f"{address} {number}{unit if value is not None else ''}")
        return f": {', '.join(shown)}{' …' if len(condition.inputs) > _SHOWN else ''}"
