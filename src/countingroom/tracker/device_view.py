"""What is known of one device: its last values and states, and whether they are believed now. Pure."""

from __future__ import annotations

import math

from countingroom.core.messages import DeviceState, Readings
from countingroom.core.values import Quality, Scalar

DISCONNECTED = "DISCONNECTED"


class DeviceView:
    """One device as dashboards are to see it."""

    def __init__(self) -> None:
        self.is_believed = True
        """False while its host, or the bus, is away: whatever it said may be out of date."""
        self._values: dict[str, Scalar] = {}
        """Point -> value; None where it is BAD, STALE or no finite number."""
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
            if known is not shown and (known != shown or type(known) is not type(shown)):
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
