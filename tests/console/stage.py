"""A small experiment on the memory bus, played by the test: what its device host would say, the test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from msgspec import structs

from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.streams import prepare
from countingroom.console.app import create
from countingroom.core import subjects
from countingroom.core.admission import JUDGE
from countingroom.core.charts.chart import Chart, Row
from countingroom.core.clock import Clock
from countingroom.core.errors import Cause
from countingroom.core.messages import (
    Catalogue,
    Command,
    CommandSpec,
    DeviceState,
    Event,
    EventKind,
    Link,
    Presence,
    Readings,
    Reply,
    decode,
    encode,
)
from countingroom.core.points import Limits, Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.storage.database import Database
from tests.console import route_cache

route_cache.install()

CHART = Chart(
    name="caen",
    rows=(
        Row("DISCONNECTED", "connect", "LV_OFF"),
        Row("LV_OFF", "lv_on", "LV_ON"),
        Row("LV_ON", "hv_on", "HV_ON"),
        Row("LV_ON", "lv_off", "LV_OFF"),
        Row("HV_ON", "hv_off", "LV_ON"),
    ),
    initial="DISCONNECTED",
)


def channel_points(channel: str) -> tuple[Point, ...]:
    """One channel: a setpoint, its readback, a limited current and a rate."""
    named = [
        Point(
            name="hv_setV",
            label="HV V set",
            unit="V",
            precision=1,
            writable=True,
            write_low=0.0,
            write_high=800.0,
            readback=f"{channel}.hv_vMon",
            tolerance=1.0,
            rate=f"{channel}.hv_rampUpSpeed",
        ),
        Point(name="hv_vMon", label="HV V mon", unit="V", precision=1),
        Point(name="hv_iMon", label="HV I mon", unit="uA", limits=Limits(warning_high=9.0, alarm_high=10.0)),
        Point(name="hv_rampUpSpeed", label="Ramp up", unit="V/s", precision=0, main=False),
    ]
    return tuple(structs.replace(one, name=f"{channel}.{one.name}", channel=channel, column=one.name) for one in named)


def caen(channels: int = 3, boot: str = "boot1") -> Catalogue:
    """A crate of that many channels."""
    names = tuple(str(number) for number in range(channels))
    return Catalogue(
        device="caen",
        title="CAEN crate",
        driver="caen",
        group="Power supplies",
        location="epics://127.0.0.1",
        simulated=True,
        points=tuple(point for name in names for point in channel_points(name)),
        channels=names,
        channel_labels={name: f"module_{name}" for name in names},
        commands=(
            CommandSpec(name="lv_on", label="LV on", event="lv_on"),
            CommandSpec(name="hv_off", label="HV off", event="hv_off", dangerous=True),
            CommandSpec(name="hv_on", label="HV on", event="hv_on", scope="channel", done_in=("HV_ON",)),
        ),
        chart=CHART,
        channel_chart=CHART,
        boot=boot,
    )


CHILLER = Catalogue(
    device="chiller",
    title="Chiller <b>north</b>",
    driver="julabo",
    group="Cooling",
    points=(
        Point(name="internal_temp", label="Bath", unit="degC", limits=Limits(warning_high=5.0, alarm_high=10.0)),
        Point(name="status", label="Status", type=Type.STRING),
        Point(name="fault", label="Fault", type=Type.BOOL, severity=1, description="The chiller reports a fault"),
        Point(name="setpoint_1", label="Setpoint 1", unit="degC", writable=True, write_low=-50.0, write_high=50.0),
    ),
)


class Stage:
    """A bus with a device host that does what the test says."""

    def __init__(self, clock: Clock, bus: MemoryBus) -> None:
        self.clock = clock
        self.bus = bus
        self.asked: list[tuple[str, Command]] = []
        self.would_refuse: Cause | None = None
        """What a question about values is answered."""
        self.refuse: Cause | None = None
        self.outcome: EventKind | None = EventKind.DONE
        self._sequence = 0
        self._events = 0

    async def catalogue(self, catalogue: Catalogue) -> None:
        """Say what a device is."""
        await self.bus.put(subjects.STATE_BUCKET, subjects.catalogue_key(catalogue.device), encode(catalogue))

    async def state(self, device: str, state: str, *, channel: str = "", common: str = "on", **more: object) -> None:
        """Say in which state a device or channel is."""
        told = DeviceState(
            device=device,
            channel=channel,
            state=state,
            common=common,
            since_ns=self.clock.now_ns(),
            **({"link": Link.CONNECTED} | more),  # type: ignore[arg-type]
        )
        key = subjects.channel_key(device, channel) if channel else subjects.device_key(device)
        await self.bus.put(subjects.STATE_BUCKET, key, encode(told))

    async def readings(
        self, device: str, values: Mapping[str, Scalar], *, full: bool = False, quality: Quality = Quality.GOOD
    ) -> None:
        """Say some values."""
        self._sequence += 1
        now = self.clock.now_ns()
        message = Readings(
            device=device,
            boot="boot1",
            sequence=self._sequence,
            full=full,
            sent_ns=now,
            points=list(values),
            values=list(values.values()),
            qualities=[int(quality)] * len(values),
            device_ns=[now] * len(values),
            received_ns=[now] * len(values),
        )
        await self.bus.append(subjects.readings(device, full=full), encode(message))

    async def beat(self, *devices: str, leaving: bool = False) -> None:
        """One heartbeat of the device host."""
        beat = Presence(
            role="devices",
            instance="main",
            boot="boot1",
            host="here",
            pid=1,
            interval_s=1.0,
            sent_ns=self.clock.now_ns(),
            targets=devices,
            leaving=leaving,
        )
        await self.bus.publish(subjects.presence("devices", "main"), encode(beat))

    async def event(self, source: str, kind: EventKind = EventKind.NOTE, **more: object) -> int:
        """Something happened; its sequence."""
        self._events += 1
        told = {"message": f"event {self._events}", "time_ns": self.clock.now_ns()} | more
        event = Event(
            id=f"e{self._events}",
            kind=kind,
            department="devices",
            source=source,
            **told,  # type: ignore[arg-type]
        )
        return await self.bus.append(subjects.event("devices", source), encode(event))

    async def answer(self, message: Message) -> bytes:
        """What the device host answers to a command: refused as told, else accepted with its outcome at once."""
        command = decode(message.data, Command)
        if command.action == JUDGE:
            return encode(Reply(id=command.id, accepted=self.would_refuse is None, cause=self.would_refuse))
        self.asked.append((message.subject, command))
        if self.refuse:
            return encode(Reply(id=command.id, accepted=False, cause=self.refuse))
        if self.outcome:
            await self.event("caen", self.outcome, command_id=command.id, action=command.action)
        return encode(Reply(id=command.id, accepted=True))


@asynccontextmanager
async def stage(clock: Clock, *, play: bool = True) -> AsyncGenerator[Stage]:
    """A prepared bus; with `play` a crate in HV_ON and a chiller have said what they are."""
    bus = MemoryBus(clock)
    await prepare(bus)
    here = Stage(clock, bus)
    if play:
        await here.catalogue(caen())
        await here.catalogue(CHILLER)
        await here.state("caen", "HV_ON")
        for channel in ("0", "1", "2"):
            await here.state("caen", "HV_ON", channel=channel)
        await here.state("chiller", "ON")
        await here.readings("caen", {p.name: 5.0 for p in caen().points}, full=True)
        await here.readings(
            "chiller", {"internal_temp": 2.5, "status": "<i>ok</i>", "fault": False, "setpoint_1": 2.0}, full=True
        )
    async with bus.client().respond(subjects.commands_to("devices"), here.answer):
        yield here
    await bus.close()


@asynccontextmanager
async def served(here: Stage, *, database: Database | None = None) -> AsyncGenerator[tuple[FastAPI, httpx.AsyncClient]]:
    """The console over that bus, current, and a client of it."""
    app = create(here.bus.client(), here.clock, title="Test <hall>", version="0.0.1", tick_s=0.2, database=database)
    room = app.state.context
    async with app.router.lifespan_context(app):
        await room.latest.ready()
        await room.recent_events.ready()
        await here.beat("caen", "chiller")
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
            yield app, client
