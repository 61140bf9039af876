"""A fake power supply for tests, behind the same ports as real devices.

`FakeSupply` is the device: channels with a voltage and a switch, and a temperature. `FakeDriver` polls it,
`FakeMonitoringDriver` receives its changes. `FakeBehaviour` has its states and commands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from countingroom.core.charts.chart import Chart, Row
from countingroom.core.errors import Cause, DeviceError, LinkError, NotFound
from countingroom.core.messages import CommandSpec, Parameter
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.behaviour import Observation, Write
from countingroom.devices.port import Sample, Sink

CHANNELS = ("a", "b", "spare")


def supply_points() -> tuple[Point, ...]:
    """A setpoint, its readback and a switch for each channel, and a temperature."""
    points = [Point(name="temperature", label="Temperature", unit="degC", deadband=0.5)]
    for channel in CHANNELS:
        points += [
            Point(
                name=f"{channel}.v_set",
                column="v_set",
                unit="V",
                writable=True,
                write_low=0.0,
                write_high=15.0,
                readback=f"{channel}.v_mon",
                tolerance=0.05,
                stale_after_s=0,
                channel=channel,
            ),
            Point(name=f"{channel}.v_mon", column="v_mon", unit="V", deadband=0.01, channel=channel),
            Point(name=f"{channel}.on", column="on", type=Type.BOOL, writable=True, stale_after_s=0, channel=channel),
        ]
    return tuple(points)


class FakeSupply:
    """The device. A test sets its attributes and checks `writes`."""

    def __init__(self) -> None:
        self.points = supply_points()
        self.values: dict[str, Scalar] = {
            point.name: False if point.type == Type.BOOL else 20.0 if point.name == "temperature" else 0.0
            for point in self.points
        }
        self.present = True
        """False: every call raises LinkError."""
        self.hanging = False
        """True: every call waits forever."""
        self.following = True
        """False: the readback does not follow a written setpoint."""
        self.complaint = ""
        """Text of the DeviceError that every call raises; empty: it works."""
        self.slow: dict[str, asyncio.Event] = {}
        """Point -> what a FakeProvingDriver waits for before it writes it."""
        self.writes: list[tuple[str, Scalar]] = []
        self.connections = 0
        self.reads = 0
        self.told: list[Sink] = []

    async def answer(self) -> None:
        """Simulate the answer of the device: wait, raise or return."""
        if self.hanging:
            await asyncio.Event().wait()
        if not self.present:
            raise LinkError("the supply does not answer", source="supply")
        if self.complaint:
            raise DeviceError(self.complaint, source="supply")

    def take(self, point: str, value: Scalar) -> None:
        """Record and apply a write."""
        self.writes.append((point, value))
        self.put(point, value)
        if self.following and point.endswith(".v_set"):
            self.put(point.replace("v_set", "v_mon"), value)

    def put(self, point: str, value: Scalar) -> None:
        """Set a value and report it to the monitors."""
        self.values[point] = value
        for sink in self.told:
            sink([Sample(point=point, value=value)])

    def drop(self) -> None:
        """Make the device disappear and report stale values to the monitors."""
        self.present = False
        for sink in self.told:
            sink([Sample(point=point.name, value=None, quality=Quality.STALE) for point in self.points])


class FakeDriver:
    """A driver that polls a FakeSupply."""

    def __init__(self, supply: FakeSupply) -> None:
        self.supply = supply
        self.connected = False
        self.closed = 0

    @property
    def points(self) -> tuple[Point, ...]:
        return self.supply.points

    async def connect(self) -> None:
        await self.supply.answer()
        self.supply.connections += 1
        self.connected = True

    async def read(self) -> Sequence[Sample]:
        await self._answer()
        self.supply.reads += 1
        return [Sample(point=name, value=value) for name, value in self.supply.values.items()]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        await self._answer()
        self.supply.take(point, value)

    async def close(self) -> None:
        self.connected = False
        self.closed += 1

    async def _answer(self) -> None:
        if not self.connected:
            raise LinkError("not connected", source="supply")
        await self.supply.answer()


class FakeMonitoringDriver(FakeDriver):
    """A driver that receives the changes of a FakeSupply."""

    def monitor(self, sink: Sink) -> None:
        self.supply.told.append(sink)


class FakeProvingDriver(FakeMonitoringDriver):
    """A driver that receives the changes of a FakeSupply and asks it whether they still hold."""

    thinned = 0

    @property
    def points(self) -> tuple[Point, ...]:
        return tuple(replace(point, stale_after_s=10.0) for point in self.supply.points)

    async def prove(self) -> Collection[str]:
        await self._answer()
        return {point.name for point in self.supply.points}

    async def write(self, point: str, value: float | int | str | bool) -> None:
        if slow := self.supply.slow.get(point):
            await slow.wait()
        await super().write(point, value)


CHART = Chart(
    name="supply",
    rows=(
        Row("DISCONNECTED", "reached", "OFF"),
        Row("OFF", "switch_on", "ON"),
        Row("ON", "switch_off", "OFF"),
        Row("OFF", "fault", "ERROR"),
        Row("ON", "fault", "ERROR"),
        Row("ERROR", "switch_off", "OFF"),
        Row("OFF", "lost", "DISCONNECTED"),
    ),
    initial="DISCONNECTED",
    safe=("OFF",),
    common={"DISCONNECTED": "no_link", "OFF": "off", "ON": "on", "ERROR": "error"},
)


class FakeBehaviour:
    """Channels are ON or OFF by their switch, ERROR above 14 V; the device is ON when one is. Switching on is one
    write; the voltage must not be set while its channel is on."""

    chart = CHART
    channel_chart: Chart | None = CHART
    channels: tuple[str, ...] = CHANNELS
    inactive = frozenset({"spare"})
    commands: tuple[CommandSpec, ...] = (
        CommandSpec(name="switch_on", event="switch_on", scope="channel", done_in=("ON",), deadline_s=5.0),
        CommandSpec(name="switch_off", event="switch_off", scope="channel", done_in=("OFF",), deadline_s=5.0),
        CommandSpec(name="switch_off", event="switch_off", done_in=("OFF",), deadline_s=5.0, dangerous=True),
        CommandSpec(
            name="ramp",
            parameters=(
                Parameter(name="volts", unit="V", low=0.0, high=12.0),
                Parameter(name="mode", type=Type.STRING, choices=("slow", "fast"), optional=True),
            ),
            deadline_s=5.0,
        ),
    )

    def __init__(self, settings: tuple[Write, ...] = ()) -> None:
        self._settings = settings

    def observe_channel(self, channel: str, readings: Mapping[str, Reading]) -> Observation:
        volts = readings[f"{channel}.v_mon"].value
        if isinstance(volts, float) and volts > 14:
            cause = Cause(code="over_voltage", message=f"{channel} is above 14 V", source=channel)
            return Observation(state="ERROR", cause=cause)
        return Observation(state="ON" if readings[f"{channel}.on"].value else "OFF")

    def observe_device(self, states: Mapping[str, str], readings: Mapping[str, Reading]) -> Observation:
        for state in ("ERROR", "ON"):
            if state in states.values():
                return Observation(state=state)
        return Observation(state="OFF")

    def writes(
        self, command: str, channel: str, arguments: Mapping[str, Scalar], readings: Mapping[str, Reading]
    ) -> tuple[Write, ...]:
        if command == "ramp":
            volts = arguments["volts"]
            assert isinstance(volts, float)  # noqa: S101 - the host has checked it; this proves it did
            return tuple(Write(point=f"{name}.v_set", value=volts) for name in ("a", "b"))
        if command not in ("switch_on", "switch_off"):
            raise NotFound(f"the supply has no command {command}")
        channels = (channel,) if channel else ("a", "b")
        return tuple(Write(point=f"{name}.on", value=command == "switch_on", confirm=False) for name in channels)

    def may_write(self, point: str, value: Scalar, readings: Mapping[str, Reading]) -> Cause | None:
        channel = point.partition(".")[0]
        if point.endswith(".v_set") and readings[f"{channel}.on"].value:
            return Cause(
                code="on",
                message=f"{point} must not be written while {channel} is on",
                source=channel,
                suggestion=f"switch {channel} off first",
            )
        return None

    def settings(self) -> tuple[Write, ...]:
        return self._settings

    def may_apply(self, channel: str, readings: Mapping[str, Reading]) -> Cause | None:
        if channel and readings[f"{channel}.on"].value:
            return Cause(code="on", message=f"{channel} is on", source=channel)
        return None
