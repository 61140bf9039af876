"""Evaluates the alarms of one device: its link, its state, its channels, and its points with limits.

A value that is stale, bad or missing leaves the alarm of its point unchanged. If the link to the device is lost, that
is one alarm; all other alarms of the device stay unchanged, because their conditions are unknown.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable, Iterator

from msgspec import Struct

from countingroom.alarms.engine.finding import (
    AbnormalReading,
    AlarmFinding,
    AlarmSubject,
    Found,
    clear,
    removed,
    unknown,
)
from countingroom.alarms.engine.point_conditions import PointCondition, spec_of
from countingroom.core import severity
from countingroom.core.alarms import identity
from countingroom.core.alarms.conditions.specs import NEVER
from countingroom.core.alarms.definition import AlarmDefinition
from countingroom.core.messages import HOST_STOPPED, Catalogue, DeviceState, Link, Readings
from countingroom.core.points import Point
from countingroom.core.values import Quality, Scalar

NOT_SERVED = "its device host is gone or sends no heartbeat"
_STALE = int(Quality.STALE)

_log = logging.getLogger(__name__)


# The quiet band of a row repeats that of `core/alarms/conditions/rows.py` on purpose. A point is evaluated with facts
# that those rows do not have: its last reading, the state of its channel, the link, an alarm that the device gives. And
# nearly all points need no memory for their condition: a specification and a state for each of 100,000 points would
# take 80 instead of 39 MB, and 1.5 times as long to make. `tests/property/test_alarm_point_levels.py` checks that both
# give the same levels.
class _Row(Struct):
    """A point with its last reading and the level that it gave."""

    point: Point
    subject: AlarmSubject
    low: float
    high: float
    """A number from `low` to `high` is within all limits."""
    value: Scalar = None
    quality: int = int(Quality.BAD)
    device_ns: int = 0
    alarm: int = 0
    """Priority of an alarm that the device itself gives; 0: none."""
    reason: str = ""
    is_read: bool = False
    level: int = severity.NORMAL
    """The last level while the value was known."""
    since_ns: int = 0
    unknown: bool = True
    """The value is unknown, or there was no reading yet."""
    condition: PointCondition | None = None
    """Set if the alarm has hysteresis, delays or a count."""
    beyond: AbnormalReading | None = None
    """The last reading that was beyond a limit."""
    is_quiet: bool = False
    """The alarm is known and at rest: a number from `low` to `high` does not change it."""


Define = Callable[[str], AlarmDefinition | None]
Held = Callable[[str], tuple[int, int]]


class DeviceAlarms:
    """The alarms of one device. Its methods return the findings that changed."""

    def __init__(self, device: str, define: Define = lambda _: None, held: Held = lambda _: (0, 0)) -> None:
        """`define`: identity -> definition of an alarm. `held`: identity -> level and begin (ns) that the alarm had
        before a restart; level 0: none."""
        self._device = device
        self._define = define
        self._held = held
        self._title = device
        self._rows: dict[str, _Row] = {}
        self._states: dict[str, DeviceState] = {}
        self._early: dict[str, tuple[Scalar, int, int, int, str]] = {}
        """Readings of points whose catalogue has not arrived yet."""
        self._gone_ns: int | None = None
        self._process = ""
        self._is_told = False
        """Whether it is known that the host is alive or gone. Until then the alarm of the link stays unchanged: an
        engine that started while a host was gone would announce that the link is back, and then that it is lost."""
        self._labels: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._looked_ns = 0

    def learn(self, catalogue: Catalogue, now_ns: int) -> Iterator[Found]:
        """Take in the catalogue: alarms of points that it no longer has are removed, new limits hold at once."""
        before = self._rows
        self._title = catalogue.title or self._device
        self._labels = dict(catalogue.channel_labels)
        self._rows = {}
        for point in catalogue.points:
            row = self._row(point, now_ns)
            if known := before.pop(point.name, None):
                row.value = known.value
                row.quality = known.quality
                row.device_ns = known.device_ns
                row.alarm = known.alarm
                row.reason = known.reason
                row.is_read = known.is_read
                row.level = known.level
                row.since_ns = known.since_ns
                row.beyond = known.beyond
            elif early := self._early.pop(point.name, None):
                row.value, row.quality, row.device_ns, row.alarm, row.reason = early
                row.is_read = True
            self._rows[point.name] = row
        for row in before.values():
            yield row.subject, removed(now_ns)
        yield from self._all_points(now_ns)

    def state(self, state: DeviceState, now_ns: int) -> Iterator[Found]:
        """Take in the state of the device or of a channel."""
        before = self._states.get(state.channel)
        self._states[state.channel] = state
        self._is_told |= before not in (None, state)  # a change comes from a host that is alive
        if state.channel:
            yield self._channel_subject(state.channel), self._channel(state)
            if before is None or before.active != state.active:
                yield from self._points_of(state.channel, now_ns)
            return
        yield from self._whole(now_ns)
        if before is None or before.link is not state.link:
            for channel, one in self._states.items():
                if channel:
                    yield self._channel_subject(channel), self._channel(one)

    def state_gone(self, channel: str, now_ns: int) -> Iterator[Found]:
        """Take in that the state of the device, or of a channel, was deleted."""
        self._states.pop(channel, None)
        if channel:
            yield self._channel_subject(channel), removed(now_ns)
            yield from self._points_of(channel, now_ns)
        else:
            yield self._subject(identity.of_device_state(self._device)), removed(now_ns)

    def served(self, is_served: bool, now_ns: int, process: str = "") -> Iterator[Found]:
        """Take in whether the host of the device is alive. `process`: the alarm of that process; empty: unknown."""
        if self._is_told and is_served == (self._gone_ns is None):
            return
        self._is_told = True
        self._process = process
        self._gone_ns = None if is_served else now_ns
        yield from self._whole(now_ns)
        for channel, one in self._states.items():
            if channel:
                yield self._channel_subject(channel), self._channel(one)
        yield from self._all_points(now_ns)

    def removed(self, now_ns: int) -> Iterator[Found]:
        """Remove all alarms of a device that is no longer described."""
        yield self._subject(identity.of_link(self._device)), removed(now_ns)
        yield self._subject(identity.of_device_state(self._device)), removed(now_ns)
        for channel in self._states:
            if channel:
                yield self._channel_subject(channel), removed(now_ns)
        for row in self._rows.values():
            yield row.subject, removed(now_ns)

    def read(self, message: Readings, now_ns: int) -> list[Found]:
        """Take in readings."""
        changed: list[Found] = []
        rows = self._rows
        alarms = message.alarms
        reasons = message.reasons
        is_plain = not alarms and self._gone_ns is None
        for name, value, quality, device_ns in zip(
            message.points, message.values, message.qualities, message.device_ns, strict=True
        ):
            row = rows.get(name)
            if row is None:  # readings and catalogues come by different ways, so readings can be first
                self._early[name] = value, quality, device_ns, alarms.get(name, 0), reasons.get(name, "")
                continue
            # A number in the quiet band of an alarm at rest changes nothing. Nearly all readings are of this kind.
            if (
                row.is_quiet
                and is_plain
                and quality < _STALE
                and (value.__class__ is float or value.__class__ is int)
                and row.low <= value <= row.high  # pyright: ignore[reportOperatorIssue]
            ):
                row.value = value
                row.quality = quality
                row.device_ns = device_ns
                row.alarm = 0
                continue
            row.value = value
            row.quality = quality
            row.device_ns = device_ns
            row.alarm = alarms.get(name, 0) if alarms else 0
            row.reason = reasons.get(name, "") if reasons else ""
            row.is_read = True
            if found := self._point(row, now_ns):
                changed.append((row.subject, found))
        return changed

    def _row(self, point: Point, now_ns: int) -> _Row:
        limits = point.limits
        lows = [one for one in (limits.alarm_low, limits.warning_low) if one is not None]
        highs = [one for one in (limits.alarm_high, limits.warning_high) if one is not None]
        label = point.label or point.name
        where = f"{self._labels.get(point.channel, '') or point.channel} {label}" if point.channel else label
        return _Row(
            point=point,
            subject=AlarmSubject(
                id=identity.of_point(self._device, point.name),
                title=f"{self._title} / {where}",
                device=self._device,
                channel=point.channel,
                point=point.name,
            ),
            # A fault flag has no band: any number but 0 is a fault.
            low=math.inf if point.severity else max(lows, default=-math.inf),
            high=min(highs, default=math.inf),
            condition=self._condition(point, now_ns),
        )

    def _condition(self, point: Point, now_ns: int) -> PointCondition | None:
        id = identity.of_point(self._device, point.name)
        definition = self._define(id)
        try:
            spec = spec_of(point, definition) if definition else None
        except ValueError as error:
            _log.warning("the alarm %s has no hysteresis, delays or count: %s", id, error)
            return None
        if spec is None:
            return None
        level, since_ns = self._held(id)
        return PointCondition(spec, now_ns, level=level, since_ns=since_ns)

    def _all_points(self, now_ns: int) -> Iterator[Found]:
        for row in self._rows.values():
            if row.is_read and (found := self._point(row, now_ns)):
                yield row.subject, found

    def _points_of(self, channel: str, now_ns: int) -> Iterator[Found]:
        for row in self._rows.values():
            if row.is_read and row.point.channel == channel and (found := self._point(row, now_ns)):
                yield row.subject, found

    def pass_time(self, now_ns: int) -> Iterator[Found]:
        """The findings of delays that are over at `now_ns`."""
        if now_ns < self._looked_ns:
            for row in self._rows.values():
                if row.condition:
                    row.condition.set_back(now_ns)
                    self._wait(row)
        self._looked_ns = now_ns
        while self._due and self._due[0][0] <= now_ns:
            _, name = heapq.heappop(self._due)
            row = self._rows.get(name)
            if row is None or row.condition is None or row.condition.state.due_ns > now_ns:
                continue
            level = row.condition.pass_time(now_ns)
            if found := self._changed(row, level):
                yield row.subject, found
            self._wait(row)

    def next_due_ns(self) -> int | None:
        """When `pass_time` must be called next; None if no point waits for a time."""
        return self._due[0][0] if self._due else None

    def _point(self, row: _Row, now_ns: int) -> AlarmFinding | None:
        """The finding of the last reading; None if it is the same as before."""
        return self._changed(row, self._level(row, now_ns))

    def _level(self, row: _Row, now_ns: int) -> int:
        channel = self._states.get(row.point.channel) if row.point.channel else None
        condition = row.condition
        if channel is not None and not channel.active:
            if condition:
                condition.reset()
            return severity.NORMAL  # a channel that is off has 0 V, which is below every low limit
        if condition:
            quality = _STALE if self._gone_ns is not None else row.quality
            level = condition.take(row.value, quality, row.alarm, now_ns)
            self._wait(row)
            return level
        if self._gone_ns is not None:
            return severity.STALE
        if row.value.__class__ is float and math.isnan(row.value):  # pyright: ignore[reportArgumentType]
            return severity.STALE  # a comparison with NaN is always false, so it would count as within all limits
        return severity.of_reading(row.point, row.value, row.quality, row.alarm)

    def _wait(self, row: _Row) -> None:
        if row.condition and row.condition.state.due_ns != NEVER:
            heapq.heappush(self._due, (row.condition.state.due_ns, row.point.name))

    def _changed(self, row: _Row, level: int) -> AlarmFinding | None:
        """The finding for this level of a point; None if it is the same as before."""
        row.is_quiet = level == severity.NORMAL and (row.condition is None or row.condition.is_at_rest)
        if level == severity.STALE:
            was_told = row.unknown or row.level == severity.NORMAL
            row.unknown = True
            return None if was_told else unknown(row.device_ns)
        was_known = not row.unknown
        row.unknown = False
        if level != row.level:
            row.level = level
            row.since_ns = row.device_ns
        elif level == severity.NORMAL and was_known:
            return None
        if level == severity.NORMAL:
            return clear(row.since_ns)
        beyond = row.beyond
        # During hysteresis or an off-delay the value is within its limits; the text keeps the last value beyond them.
        if beyond is None or row.condition is None or self._reaches(row, level):
            beyond = row.beyond = AbnormalReading(row.point, row.value, row.reason)
        return AlarmFinding(level=level, since_ns=row.since_ns, reading=beyond, value=row.value)

    def _reaches(self, row: _Row, level: int) -> bool:
        """Whether the last reading alone is of this level."""
        reached = severity.of_reading(row.point, row.value, row.quality, row.alarm)
        return severity.urgency(reached) >= severity.urgency(level)

    def _whole(self, now_ns: int) -> Iterator[Found]:
        link = self._subject(identity.of_link(self._device))
        own = self._subject(identity.of_device_state(self._device))
        state = self._states.get("")
        if self._gone_ns is not None:
            yield (
                link,
                AlarmFinding(level=severity.MEDIUM, since_ns=self._gone_ns, text=NOT_SERVED, blames=self._process),
            )
            yield own, unknown(now_ns)
        elif state is None:
            yield link, clear(now_ns)
        elif not state.active:
            yield link, clear(state.since_ns)
            yield own, clear(state.since_ns)
        elif state.link is Link.CONNECTING or _is_farewell(state):
            # The host is connecting, or was stopped in order and left this state. It is no lost link: if the host does
            # not come back, its missing heartbeats raise the alarm.
            yield link, unknown(now_ns)
            yield own, unknown(now_ns)
        elif state.link is Link.DISCONNECTED:
            yield link, _of_state(state, severity.MEDIUM)
            yield own, unknown(now_ns)
        else:
            yield link, clear(state.since_ns) if self._is_told else unknown(now_ns)
            yield own, _of_state(state, severity.of_state(state))

    def _channel(self, state: DeviceState) -> AlarmFinding:
        whole = self._states.get("")
        if not state.active:
            return clear(state.since_ns)
        # A lost device is one alarm, not one for each channel.
        if self._gone_ns is not None or (whole is not None and whole.link is not Link.CONNECTED):
            return unknown(state.since_ns)
        if _is_farewell(state):  # the next host has connected to the device, but has not found this channel yet
            return unknown(state.since_ns)
        return _of_state(state, severity.of_state(state))

    def _subject(self, id: str) -> AlarmSubject:
        return AlarmSubject(id=id, title=self._title, device=self._device)

    def _channel_subject(self, channel: str) -> AlarmSubject:
        label = self._labels.get(channel, "")
        return AlarmSubject(
            id=identity.of_channel(self._device, channel),
            title=f"{self._title} / {channel}{f' {label}' if label else ''}",
            device=self._device,
            channel=channel,
        )


def _is_farewell(state: DeviceState) -> bool:
    """Whether a device host published this state because it was stopped in order."""
    return state.link is Link.DISCONNECTED and state.cause is not None and state.cause.code == HOST_STOPPED


def _of_state(state: DeviceState, level: int) -> AlarmFinding:
    if level == severity.NORMAL:
        return clear(state.since_ns)
    text = state.cause.message if state.cause else f"is in {state.state}"
    return AlarmFinding(
        level=level,
        since_ns=state.since_ns,
        text=text if state.link is Link.CONNECTED else f"no link: {text}",
        advice=state.cause.suggestion if state.cause else "",
    )
