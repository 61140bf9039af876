"""The port of behaviours: states derived from readings, and commands turned into writes. Pure.

States follow the readback, never the command. A behaviour stores nothing, so a restarted host derives the right state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from msgspec import Struct

from countingroom.core.charts.chart import Chart
from countingroom.core.errors import Cause
from countingroom.core.messages import CommandSpec
from countingroom.core.values import Reading, Scalar


class Observation(Struct, frozen=True, kw_only=True):
    """The state that follows from the readings, and its cause where it is abnormal."""

    state: str
    cause: Cause | None = None


class Write(Struct, frozen=True, kw_only=True):
    """One value to send, in order. With `confirm`, the next waits until the readback agrees or the deadline passes."""

    point: str
    value: float | int | str | bool
    confirm: bool = True
    takes_s: float = 0.0
    """Duration of what the write starts (a ramp); it is added to the command's deadline."""


class Behaviour(Protocol):
    """The rules of one kind of device. No I/O, no clock, no memory.

    A channel's state and the device's follow from readings alone (and, for the device, from its channels' states), so a
    restarted host has the right state at once. The host calls `observe_channel` for channels whose points changed, then
    `observe_device`. While the link is down the host calls neither: the state is DISCONNECTED.
    """

    chart: Chart
    """The device's own. Must contain DISCONNECTED."""
    channel_chart: Chart | None
    channels: tuple[str, ...]
    inactive: frozenset[str]
    """Channels that are monitored but never commanded and do not count."""
    commands: tuple[CommandSpec, ...]

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation: ...

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        """`states`: channel -> state, active channels only."""
        ...

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        """What a legal command sends. The host has already checked the state and the declared parameters; raises
        RequestError where the readings forbid it."""
        ...

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        """Why this setpoint must not be written now (LV voltage while LV is on), or None. Limits are checked apart."""
        ...

    def settings(self) -> tuple[Write, ...]:
        """What the description asks to be written with `apply_on_connect`."""
        ...

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        """Why settings of this channel must not be applied now (HV is on), or None."""
        ...


@runtime_checkable
class CommandRules(Protocol):
    """A behaviour with rules for commands that no state of its chart tells: at most four channels, HV needs LV.

    The host shows what they forbid at the buttons, and looks again when the points of the device itself change.
    """

    def forbids(self, command: str, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        """Why this command must not be given now, or None. Asked again by `writes`, with the readings as they will be
        after the commands under way."""
        ...
