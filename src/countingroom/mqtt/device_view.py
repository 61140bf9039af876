"""The last values and states of devices, and whether they are still valid. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable

from countingroom.core.messages import DeviceState, Readings
from countingroom.core.values import Quality, Scalar

DISCONNECTED = "DISCONNECTED"
SILENT_S = 3.5
"""The values of a device are not valid after this time without a heartbeat of its host; hosts send one each second."""


class DeviceView:
    """One device as those at the broker are to see it."""

    def __init__(self, *, tells_quality: bool = False) -> None:
        """`tells_quality`: a point counts as changed also if only its quality changed."""
        self._tells_quality = tells_quality
        self.is_believed = True
        """False while its host, or the bus, is away: whatever it said may be out of date."""
        self._values: dict[str, Scalar] = {}
        """Point -> value; None where it is BAD, STALE or no finite number."""
        self._qualities: dict[str, int] = {}
        """Point -> quality, where it is told."""
        self._good: dict[str, Scalar] = {}
        """Point -> the last value that was shown."""
        self._states: dict[str, str] = {}
        """Channel -> state; the empty name is the device."""

    def take_readings(self, message: Readings) -> list[str]:
        """Take values in; the points that are shown otherwise now."""
        changed: list[str] = []
        values = self._values
        for point, value, quality in zip(message.points, message.values, message.qualities, strict=True):
            shown = value if quality <= Quality.UNCERTAIN else None
            if isinstance(shown, float) and not math.isfinite(shown):
                shown = None
            # `is` first: most values of a full message are the same object or an equal number of the same type.
            known = values.get(point)
            is_new = known is not shown and (known != shown or type(known) is not type(shown))
            if self._tells_quality:
                is_new = is_new or self._qualities.get(point) != quality
                self._qualities[point] = quality
            if is_new:
                changed.append(point)
            values[point] = shown
            if shown is not None:
                self._good[point] = shown
        return changed

    def take_state(self, state: DeviceState) -> bool:
        """Take the state of the device or of a channel in; whether it changed."""
        before = self._states.get(state.channel)
        self._states[state.channel] = state.state
        return before != state.state

    @property
    def is_known(self) -> bool:
        """Whether the state of the device was ever published."""
        return "" in self._states

    def state(self, channel: str = "") -> str:
        """The state to show: DISCONNECTED where it is not known or not believed."""
        return self._states.get(channel, DISCONNECTED) if self.is_believed else DISCONNECTED

    def value(self, point: str) -> Scalar:
        """The value to show; None where there is none that may pass for the present one."""
        return self._values.get(point) if self.is_believed else None

    def last(self, point: str) -> Scalar:
        """The last value that could be shown, however old it is."""
        return self._good.get(point)

    def quality(self, point: str) -> Quality:
        """Its quality; STALE where there is no value, or none that may pass for the present one."""
        return Quality(self._qualities.get(point, Quality.STALE)) if self.is_believed else Quality.STALE


class DeviceViews(dict[str, DeviceView]):
    """Device -> its view, for a fixed set of devices, with what their hosts tell of themselves."""

    def __init__(self, devices: Iterable[str], now_s: float, *, tells_quality: bool = False) -> None:
        super().__init__({device: DeviceView(tells_quality=tells_quality) for device in devices})
        self._beaten_s = dict.fromkeys(self, now_s)
        self._bus_is_there = True

    def beat(self, devices: Iterable[str], now_s: float) -> None:
        """The host of these devices is alive."""
        self._beaten_s.update({device: now_s for device in devices if device in self})

    def leave(self, devices: Iterable[str]) -> None:
        """The host of these devices ended."""
        self._beaten_s.update({device: float("-inf") for device in devices if device in self})

    def bus(self, *, is_there: bool, now_s: float) -> None:
        """Whether the bus is followed. After it was away, hosts have time to be heard again."""
        if is_there and not self._bus_is_there:
            self._beaten_s = dict.fromkeys(self, now_s)
        self._bus_is_there = is_there

    def believe(self, now_s: float) -> list[str]:
        """Judge all devices; those that are believed now and were not before, or the reverse."""
        changed: list[str] = []
        for device, view in self.items():
            is_believed = self._bus_is_there and now_s - self._beaten_s[device] < SILENT_S
            if is_believed is not view.is_believed:
                view.is_believed = is_believed
                changed.append(device)
        return changed

    def next_s(self) -> float:
        """When a host must be heard again; infinity: none."""
        times = [at_s + SILENT_S for device, at_s in self._beaten_s.items() if self[device].is_believed]
        return min(times, default=float("inf"))
