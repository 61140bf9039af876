"""The readings of devices as pages show them: value, quality, level. Pure.

What is abnormal is decided by the alarm department alone: the level of a point is the priority of its open alarm. Here
only the age of a value is added: one that is stale, or of a device that is not served, has the level STALE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from msgspec import Struct, structs

from countingroom.console.present.alarm_views import is_open
from countingroom.core import severity
from countingroom.core.alarms.states import AlarmState
from countingroom.core.fleet.usage import DRIVER
from countingroom.core.messages import Catalogue, DeviceState, encode
from countingroom.core.points import Point
from countingroom.core.values import Quality, Reading, Scalar

NOT_SERVED = "its device host is gone or sends no heartbeat"

Row = tuple[Scalar, int, int, int] | tuple[Scalar, int, int, int, str]
"""value, quality, device_ns, level, and the reason where there is one: how a reading is shown."""


_MOST_EXACT = 1 << 53
"""A browser rounds greater whole numbers: its numbers have 53 bits."""


def _exact(value: Scalar) -> Scalar:
    """The value; a whole number that a browser would round as its text."""
    return str(value) if isinstance(value, int) and abs(value) > _MOST_EXACT else value


def aged(reading: Reading) -> Reading:
    """The reading of a device that is not served: an old value is STALE."""
    if reading.quality >= Quality.STALE:
        return reading
    return structs.replace(reading, quality=Quality.STALE, reason=NOT_SERVED)


def _is_stale(point: Point, value: Scalar, quality: int) -> bool:
    # Some setpoints cannot be read back: without a value they are not stale.
    if value is None and quality == Quality.BAD and point.writable:
        return False
    return quality >= Quality.STALE or value is None


class Summary(Struct, frozen=True, kw_only=True):
    """One device in numbers: each of its points counts once."""

    worst: int = severity.NORMAL
    normal: int = 0
    alarm: int = 0
    off: int = 0
    no_link: int = 0
    priorities: tuple[int, int, int] = (0, 0, 0)
    """Open alarms of priority 1, 2 and 3."""


class DeviceRows:
    """The levels of all points, and the numbers of each device."""

    def __init__(self) -> None:
        self._catalogues: dict[str, Catalogue] = {}
        self._digests: dict[str, str] = {}
        self._points: dict[str, dict[str, Point]] = {}
        self._states: dict[str, dict[str, DeviceState]] = {}
        self._levels: dict[str, dict[str, int]] = {}
        self._gone_since: dict[str, int] = {}
        self._alarms: dict[str, dict[str, AlarmState]] = {}
        """Device -> its open alarms by identity."""
        self._alarmed: dict[str, dict[str, dict[str, int]]] = {}
        """Device -> point -> identity of an active alarm -> its priority."""
        self._places: dict[str, tuple[str, str]] = {}
        """Identity of an open alarm -> its device and point."""

    def learn(self, catalogue: Catalogue) -> bool:
        """Take in the catalogue of a device, and forget points that are no longer in it.

        False where it is unchanged. A restart of the device host alone counts as unchanged: otherwise every page would
        ask to be loaded again at every restart.
        """
        device, lasting = catalogue.device, structs.replace(catalogue, boot="")
        if self._catalogues.get(device) == lasting:
            return False
        self._catalogues[device] = lasting
        if catalogue.driver != DRIVER:  # nodes are in no navigation, and change with what runs on them
            self._digests[device] = blake2b(encode(lasting), digest_size=8).hexdigest()
        self._points[device] = {point.name: point for point in catalogue.points}
        known = self._levels.setdefault(device, {})
        for name in known.keys() - self._points[device].keys():
            del known[name]
        return True

    def digests(self) -> dict[str, str]:
        """Device in the navigation -> a digest of its catalogue, by which a page knows whether it is outdated."""
        return self._digests

    def forget(self, device: str) -> None:
        """The device is no longer described. Its alarms go with their own keys."""
        for known in (self._catalogues, self._digests, self._points, self._states, self._levels, self._gone_since):
            known.pop(device, None)

    def alive(self, name: str, is_alive: bool, *, now_ns: int) -> None:
        """Whether the host of a device, or the owner of the partition of this key, is alive. If not, all is stale."""
        if is_alive:
            self._gone_since.pop(name, None)
        else:
            self._gone_since.setdefault(name, now_ns)

    def living(self) -> dict[str, bool]:
        """Device -> whether its device host is alive."""
        return {device: device not in self._gone_since for device in self._points}

    def gone_since(self, name: str) -> int | None:
        """Since when the host of a device, or the owner of the partition of this key, is gone; None: it is alive."""
        return self._gone_since.get(name)

    def state(self, state: DeviceState) -> None:
        """A device's or channel's state."""
        self._states.setdefault(state.device, {})[state.channel] = state

    def alarm(self, identity: str, alarm: AlarmState | None) -> set[tuple[str, str]]:
        """Take in the state of an alarm, None: it is at rest. Returns the (device, point) that may have another level
        now."""
        changed: set[tuple[str, str]] = set()
        if place := self._places.pop(identity, None):
            device, point = place
            self._alarms.get(device, {}).pop(identity, None)
            if self._alarmed.get(device, {}).get(point, {}).pop(identity, None) is not None:
                changed.add(place)
        if alarm is None or not alarm.device or not is_open(alarm):
            return changed
        self._places[identity] = place = alarm.device, alarm.point
        self._alarms.setdefault(alarm.device, {})[identity] = alarm
        if alarm.point and alarm.base.is_active and alarm.priority <= severity.LOW:
            self._alarmed.setdefault(alarm.device, {}).setdefault(alarm.point, {})[identity] = alarm.priority
            changed.add(place)
        return changed

    def show(self, device: str, readings: Iterable[tuple[str, Reading]]) -> dict[str, Row]:
        """Take in readings; returns how they are shown. Points without a catalogue have the level NORMAL."""
        points = self._points.get(device, {})
        levels = self._levels.setdefault(device, {})
        alarmed = self._alarmed.get(device, {})
        gone = device in self._gone_since
        shown: dict[str, Row] = {}
        for name, known_reading in readings:
            point = points.get(name)
            reading = aged(known_reading) if gone else known_reading
            value, quality = reading.value, int(reading.quality)
            if gone or (point and _is_stale(point, value, quality)):
                level = severity.STALE
            else:
                level = min(alarmed.get(name, {}).values(), default=severity.NORMAL)
            levels[name] = level
            row = _exact(value), quality, reading.device_ns, level
            shown[name] = (*row, reading.reason) if reading.reason else row
        return shown

    def summary(self, device: str) -> Summary:
        """The device in numbers."""
        states = self._states.get(device, {})
        off = {channel for channel, state in states.items() if state.common == "off"}
        counts: Counter[str] = Counter()
        for name, level in self._levels.get(device, {}).items():
            counts[self._sort(device, name, level, off)] += 1
        of_priority = [0, 0, 0]
        for alarm in self._alarms.get(device, {}).values():
            if alarm.priority <= severity.LOW:
                of_priority[alarm.priority - 1] += 1
        high, medium, low = of_priority
        worst = next((number for number, count in enumerate(of_priority, 1) if count), None)
        return Summary(
            worst=worst or (severity.STALE if counts["no_link"] else severity.NORMAL),
            normal=counts["normal"],
            alarm=counts["alarm"],
            off=counts["off"],
            no_link=counts["no_link"],
            priorities=(high, medium, low),
        )

    def _sort(self, device: str, name: str, level: int, off: set[str]) -> str:
        if level == severity.STALE:
            return "no_link"
        if level != severity.NORMAL:
            return "alarm"
        point = self._points.get(device, {}).get(name)
        return "off" if point and point.channel and point.channel in off else "normal"
