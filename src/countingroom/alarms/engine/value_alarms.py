"""Alarms of points without a usable value: stale, bad, or missing since the start. Pure.

Such an alarm exists only if an override of the description names it. If a device is lost, its values are stale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from countingroom.alarms.conditions import settling_of
from countingroom.alarms.engine.finding import AlarmFinding, AlarmSubject, Found, clear, removed
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.alarms.conditions.rows import Change, ConditionRows
from countingroom.core.alarms.conditions.specs import MISSING, NEVER, QualitySpec
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import Catalogue, Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality

_WORDS = {int(Quality.STALE): "stale", int(Quality.BAD): "bad", MISSING: "missing"}


class _Value(Struct):
    address: str
    subject: AlarmSubject
    label: str
    quality: int | None = None
    """The quality of the last reading; None: no reading yet."""
    reason: str = ""
    level: int | None = None
    """The level of the last finding; None: no finding yet."""


class ValueAlarms:
    """The alarms of this kind of all devices. Its methods return the findings that changed."""

    def __init__(self, define: Callable[[str], AlarmDefinition | None], held: Callable[[str], tuple[int, int]]) -> None:
        """`define`: identity -> definition of an alarm. `held`: identity -> level and begin (ns) that the alarm had
        before a restart."""
        self._define = define
        self._held = held
        self._rows: dict[str, ConditionRows] = {}
        self._values: dict[str, list[_Value]] = {}
        """Device -> its values, in the order of its rows."""
        self._by_name: dict[str, dict[str, _Value]] = {}

    def learn(self, catalogue: Catalogue, now_ns: int) -> list[Found]:
        """Take in the catalogue of a device."""
        device = catalogue.device
        before = {one.address: one for one in self._values.pop(device, [])}
        self._rows.pop(device, None)
        self._by_name.pop(device, None)
        rows = ConditionRows()
        values: list[_Value] = []
        for point in catalogue.points:
            id = identity.of_value(device, point.name)
            if (definition := self._define(id)) is None:
                continue
            value = _value(definition, device, point)
            level, since_ns = self._held(id)
            rows.add(_spec(definition), (value.address,), now_ns=now_ns, level=level, since_ns=since_ns)
            values.append(value)
        if values:
            self._rows[device] = rows
            self._values[device] = values
            self._by_name[device] = {one.subject.point: one for one in values}
        found = [(one.subject, removed(now_ns)) for one in before.values() if one.address not in _addresses(values)]
        for one in values:
            if (known := before.get(one.address)) is not None and known.quality is not None:
                found += self._put(device, one, known.quality, known.reason, now_ns)
        return found

    def forget(self, device: str, now_ns: int) -> list[Found]:
        """Take in that a device is no longer described."""
        self._rows.pop(device, None)
        self._by_name.pop(device, None)
        return [(one.subject, removed(now_ns)) for one in self._values.pop(device, [])]

    def concerns(self, message: Readings) -> bool:
        """Whether a message has readings of points with such an alarm."""
        names = self._by_name.get(message.device)
        return names is not None and not names.keys().isdisjoint(message.points)

    def read(self, message: Readings, now_ns: int) -> list[Found]:
        """Take in readings."""
        values = self._values.get(message.device)
        if values is None:
            return []
        known = self._by_name[message.device]
        found: list[Found] = []
        for name, quality in zip(message.points, message.qualities, strict=True):
            if (one := known.get(name)) is not None:
                found += self._put(message.device, one, quality, message.reasons.get(name, ""), now_ns)
        return found

    def lost(self, device: str, why: str, now_ns: int) -> list[Found]:
        """Take in that the host of a device is gone. `why`: the reason in the text of the alarms."""
        stale = int(Quality.STALE)
        values = self._values.get(device, ())
        return [found for one in values for found in self._put(device, one, stale, why, now_ns)]

    def missing(self, now_ns: int) -> list[Found]:
        """End the wait for first readings: points without a reading are missing."""
        return [
            found
            for device, values in self._values.items()
            for one in values
            if one.quality is None
            for found in self._put(device, one, MISSING, "", now_ns)
        ]

    def pass_time(self, now_ns: int) -> list[Found]:
        """The findings of delays that are over at `now_ns`."""
        return [found for device, rows in self._rows.items() for found in self._found(device, rows.pass_time(now_ns))]

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no delay runs."""
        due_ns = min((rows.next_due_ns() for rows in self._rows.values()), default=NEVER)
        return None if due_ns == NEVER else due_ns

    def _put(self, device: str, one: _Value, quality: int, reason: str, now_ns: int) -> Iterator[Found]:
        one.quality = quality
        one.reason = reason
        yield from self._found(device, self._rows[device].put(one.address, None, quality, now_ns))

    def _found(self, device: str, changes: Iterable[Change]) -> Iterator[Found]:
        for row, _, after in changes:
            one = self._values[device][row]
            if after.level == one.level:
                continue
            one.level = after.level
            if not after.level:
                yield one.subject, clear(after.since_ns)
                continue
            why = f": {one.reason}" if one.reason else ""
            word = _WORDS.get(one.quality or 0, "not usable")
            text = f"the value of {one.label} is {word}{why}"
            yield one.subject, AlarmFinding(level=after.level, since_ns=after.since_ns, text=text)


def _addresses(values: Iterable[_Value]) -> set[str]:
    return {one.address for one in values}


def _value(definition: AlarmDefinition, device: str, point: Point) -> _Value:
    subject = AlarmSubject(
        id=definition.id, title=definition.title, device=device, channel=point.channel, point=point.name
    )
    return _Value(address=f"{device}.{point.name}", subject=subject, label=point.label or point.name)


def _spec(definition: AlarmDefinition) -> QualitySpec:
    return QualitySpec(stale=severity.LOW, bad=severity.LOW, missing=severity.LOW, **settling_of(definition))
