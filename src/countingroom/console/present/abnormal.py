"""The list of abnormal points and states, since when and why. Every page, count and metric reads this one list.

Pure: it is fed with catalogues, readings and states, and reads no clock. `since` of a reading is the device time at
which it left its former level; that of a state is the state's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from msgspec import Struct, structs

from countingroom.console.present import format as write
from countingroom.core import severity
from countingroom.core.messages import Catalogue, DeviceState, Link, encode
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


class Alarm(Struct, frozen=True, kw_only=True):
    """A point or state that is abnormal now."""

    level: int
    """Priority 1, 2 or 3."""
    since_ns: int
    device: str
    """The device, or the system of a partition."""
    partition: str = ""
    """Empty for a device."""
    channel: str = ""
    point: str = ""
    """Empty where it is a state that is abnormal."""
    what: str
    advice: str = ""
    """What to do, where its cause says so."""
    blames: str = ""
    """The device that its cause names, for an alarm of a partition."""
    after_ns: int | None = None
    """How long after its cause it came; None: it is a cause itself. `alarm_order` sets it."""
    consequences: int = 0
    """The number of alarms that follow from it. `alarm_order` sets it."""


class Summary(Struct, frozen=True, kw_only=True):
    """One device in numbers: each of its points counts once."""

    worst: int = severity.NORMAL
    normal: int = 0
    alarm: int = 0
    off: int = 0
    no_link: int = 0
    priorities: tuple[int, int, int] = (0, 0, 0)


class _Abnormal(Struct):
    level: int
    since_ns: int
    value: Scalar
    reason: str = ""


class AbnormalList:
    """The levels of all points and states."""

    def __init__(self) -> None:
        self._catalogues: dict[str, Catalogue] = {}
        self._digests: dict[str, str] = {}
        self._points: dict[str, dict[str, Point]] = {}
        self._states: dict[str, dict[str, DeviceState]] = {}
        self._levels: dict[str, dict[str, int]] = {}
        self._abnormal: dict[str, dict[str, _Abnormal]] = {}
        self._gone_since: dict[str, int] = {}

    def learn(self, catalogue: Catalogue) -> bool:
        """Take in the catalogue of a device, and forget points that are no longer in it.

        False where it is unchanged. A restarted device host alone changes nothing: otherwise every page would ask to be
        loaded again at every restart.
        """
        device, lasting = catalogue.device, structs.replace(catalogue, boot="")
        if self._catalogues.get(device) == lasting:
            return False
        self._catalogues[device] = lasting
        self._digests[device] = blake2b(encode(lasting), digest_size=8).hexdigest()
        self._points[device] = {point.name: point for point in catalogue.points}
        for known in (self._levels.setdefault(device, {}), self._abnormal.setdefault(device, {})):
            for name in known.keys() - self._points[device].keys():
                del known[name]
        return True

    def digests(self) -> dict[str, str]:
        """Device -> a digest of its catalogue, by which a page knows whether it is outdated."""
        return self._digests

    def forget(self, device: str) -> None:
        """The device is no longer described."""
        for known in (
            self._catalogues,
            self._digests,
            self._points,
            self._states,
            self._levels,
            self._abnormal,
            self._gone_since,
        ):
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

    def show(self, device: str, readings: Iterable[tuple[str, Reading]]) -> dict[str, Row]:
        """Take in readings; returns how they are shown. Points without a catalogue have no limits."""
        points = self._points.get(device, {})
        levels = self._levels.setdefault(device, {})
        abnormal = self._abnormal.setdefault(device, {})
        gone = device in self._gone_since
        shown: dict[str, Row] = {}
        for name, known_reading in readings:
            point = points.get(name)
            reading = aged(known_reading) if gone else known_reading
            value, quality = reading.value, int(reading.quality)
            level = severity.of_reading(point, value, quality, reading.alarm) if point else severity.NORMAL
            if gone:
                level = severity.STALE
            levels[name] = level
            if level == severity.NORMAL:
                abnormal.pop(name, None)
            elif (known := abnormal.get(name)) and known.level == level:
                known.value = value
                known.reason = reading.reason
            else:
                abnormal[name] = _Abnormal(level, reading.device_ns, value, reading.reason)
            row = _exact(value), quality, reading.device_ns, level
            shown[name] = (*row, reading.reason) if reading.reason else row
        return shown

    def alarms(self) -> list[Alarm]:
        """Everything abnormal except what is only stale: worst first, then newest first."""
        found = [alarm for device in self._points for alarm in self._of_device(device)]
        found.sort(key=lambda alarm: (alarm.level, -alarm.since_ns, alarm.device, alarm.channel, alarm.point))
        return found

    def summary(self, device: str) -> Summary:
        """The device in numbers."""
        states = self._states.get(device, {})
        off = {channel for channel, state in states.items() if state.common == "off"}
        counts: Counter[str] = Counter()
        for name, level in self._levels.get(device, {}).items():
            counts[self._sort(device, name, level, off)] += 1
        alarms = [alarm.level for alarm in self._of_device(device)]
        worst = max(alarms, key=severity.urgency, default=severity.STALE if counts["no_link"] else severity.NORMAL)
        return Summary(
            worst=worst,
            normal=counts["normal"],
            alarm=counts["alarm"],
            off=counts["off"],
            no_link=counts["no_link"],
            priorities=(alarms.count(1), alarms.count(2), alarms.count(3)),
        )

    def _sort(self, device: str, name: str, level: int, off: set[str]) -> str:
        if level == severity.STALE:
            return "no_link"
        point = self._points.get(device, {}).get(name)
        if level != severity.NORMAL and not self._ignored(device, point):
            return "alarm"
        return "off" if point and point.channel and point.channel in off else "normal"

    def _ignored(self, device: str, point: Point | None) -> bool:
        if point is None or not point.channel:
            return False
        state = self._states.get(device, {}).get(point.channel)
        # Limits of a channel that is off mean nothing: its voltage is below every low limit.
        return state is not None and not state.active

    def _of_device(self, device: str) -> Iterable[Alarm]:
        if device in self._gone_since:
            yield Alarm(
                level=severity.MEDIUM,
                since_ns=self._gone_since[device],
                device=device,
                what=NOT_SERVED,
            )
            return
        states = self._states.get(device, {})
        whole = states.get("")
        for channel, state in states.items():
            level = severity.of_state(state)
            # A lost device is one alarm, not one for each of its channels.
            lost_with_device = bool(channel) and whole is not None and whole.link is not Link.CONNECTED
            if level and not lost_with_device:
                what = state.cause.message if state.cause else f"is in {state.state}"
                if state.link is not Link.CONNECTED:
                    what = f"no link: {what}"
                advice = state.cause.suggestion if state.cause else ""
                yield Alarm(
                    level=level, since_ns=state.since_ns, device=device, channel=channel, what=what, advice=advice
                )
        points = self._points.get(device, {})
        for name, one in self._abnormal.get(device, {}).items():
            point = points.get(name)
            # A stale value is told by the link of its device. Alarms for each point would hide that one cause.
            if point is None or one.level == severity.STALE or self._ignored(device, point):
                continue
            yield Alarm(
                level=one.level,
                since_ns=one.since_ns,
                device=device,
                channel=point.channel,
                point=name,
                what=severity.why(point, one.value, unit=write.unit(point.unit), reason=one.reason),
            )
