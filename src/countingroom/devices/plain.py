"""The behaviour of a device that has only points: it is CONNECTED or DISCONNECTED, and has no commands."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write

CHART = Chart(
    name="plain",
    rows=(Row("DISCONNECTED", "connect", "CONNECTED"), Row("CONNECTED", "disconnect", "DISCONNECTED")),
    initial="DISCONNECTED",
    safe=("CONNECTED",),
    common={"DISCONNECTED": "no_link", "CONNECTED": "on"},
)


class PlainBehaviour:
    """Behaviour of generic devices. A channel is CONNECTED while at least one of its points is not STALE or BAD."""

    chart = CHART
    commands: tuple[CommandSpec, ...] = ()

    def __init__(self, channels: tuple[str, ...] = (), *, settings: tuple[Write, ...] = ()) -> None:
        self.channels = channels
        self.channel_chart: Chart | None = CHART if channels else None
        self.inactive: frozenset[str] = frozenset()
        self._settings = settings
        self._names: dict[str, list[str]] = {}

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        if channel not in self._names:
            self._names[channel] = [name for name in readings if name.startswith(f"{channel}.")]
        if any(readings[name].quality <= Quality.UNCERTAIN for name in self._names[channel]):
            return Observation(state="CONNECTED")
        return Observation(
            state="DISCONNECTED",
            cause=Cause(
                code="silent",
                message=f"channel {channel} sends no values",
                source=channel,
                suggestion="check its power supply and its network connection",
            ),
        )

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        return Observation(state="CONNECTED")

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        return ()

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        return None

    def settings(self) -> tuple[Write, ...]:
        return self._settings

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        return None
