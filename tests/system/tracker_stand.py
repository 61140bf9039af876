"""A supply, a chiller, a plant and a board, a device host, and the adapter of the tracker DCS at a real broker.

The bus and the lines to the devices are fakes; the rules of the devices, the broker and its client are real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from aiomqtt import Client
from msgspec.structs import replace

from countingroom.app import tracker as app_tracker
from countingroom.app.broker_place import broker_place
from countingroom.bus.description import BusSection
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.clock import SystemClock
from countingroom.core.errors import LinkError
from countingroom.core.messages import Event, decode
from countingroom.core.points import Point, Type
from countingroom.core.values import Quality, Scalar
from countingroom.devices.behaviour import Behaviour
from countingroom.devices.description import DevicesSection
from countingroom.devices.drivers.caen.behaviour import CaenBehaviour
from countingroom.devices.drivers.caen.build import variables
from countingroom.devices.drivers.julabo.behaviour import JulaboBehaviour
from countingroom.devices.drivers.julabo.points import points as julabo_points
from countingroom.devices.drivers.marta.behaviour import MartaBehaviour
from countingroom.devices.drivers.marta.points import points as marta_points
from countingroom.devices.drivers.switchbox.behaviour import SwitchboxBehaviour
from countingroom.devices.drivers.switchbox.points import points as switchbox_points
from countingroom.devices.host.host import DeviceHost
from countingroom.devices.plain import PlainBehaviour
from countingroom.devices.port import Sample, Sink
from countingroom.devices.registry import Hosted
from countingroom.experiment import Experiment, load
from countingroom.mqtt.broker import BrokerPlace
from countingroom.mqtt.service import BrokerService
from countingroom.tracker.adapter import TrackerAdapter
from countingroom.tracker.description import TrackerSection
from tests.contract.drivers.mqtt import Mosquitto
from tests.patience import PATIENCE_S

USER = "tracker-dcs"
PASSWORD = "rosebud"
FASTER = 3.0
TOPICS = ["dcs/#", "julabo/#", "MARTA/#", "SB/#", "ESP01/#"]

DESCRIPTION: dict[str, Any] = {
    "experiment": {"name": "cleanroom"},
    "devices": {
        "caen": {
            "driver": "caen",
            "channels": {
                str(number): {
                    "lv": {"board": 0, "chan": number},
                    "hv": {"board": 12, "chan": number},
                    **({"module": f"module_{number}"} if number < 2 else {}),
                }
                for number in range(3)
            },
        },
        "julabo": {"driver": "julabo", "port": "/dev/null"},
        "co2": {"driver": "marta", "host": "127.0.0.1"},
        "box": {"driver": "switchbox", "port": "/dev/null"},
        "boards": {
            "driver": "mqtt",
            "sensors": {"ESP01": ""},
            "values": {"DS_temp": {"topic": "{sensor}/there"}},
        },
    },
    "tracker": {
        "caen": {"device": "caen"},
        "roles": {"device.caen": "expert", "device.julabo": "shifter", "device.co2": "shifter", "device.box": "expert"},
        "chiller": {"device": "julabo"},
        "marta": {"device": "co2"},
        "switchbox": {"device": "box"},
        "sensors": {"boards.ESP01.DS_temp": "ESP01/sensors/DS/temp"},
    },
}


class FastClock(SystemClock):
    """Seconds pass three times as fast, so that nobody waits for the once-a-second messages."""

    def monotonic(self) -> float:
        return super().monotonic() * FASTER

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / FASTER)


class Line:
    """A device and its driver, which reports each change at once. What is written to a switch shows in the status."""

    def __init__(self, points: Sequence[Point]) -> None:
        self.points = tuple(replace(point, stale_after_s=0) for point in points)  # it reports changes only
        self.values: dict[str, Scalar] = {point.name: _first(point) for point in points}
        self.written: list[tuple[str, Scalar]] = []
        self.is_there = True
        self._sink: Sink = lambda samples: None

    def monitor(self, sink: Sink) -> None:
        self._sink = sink

    async def connect(self) -> None:
        await self.read()

    async def read(self) -> Sequence[Sample]:
        if not self.is_there:
            raise LinkError("it is unplugged", source="line")
        return [Sample(point=name, value=value) for name, value in self.values.items()]

    async def write(self, point: str, value: float | int | str | bool) -> None:
        await self.read()
        self.written.append((point, value))
        self.set({point: value, **self._follows(point, value)})

    async def close(self) -> None:
        pass

    def set(self, values: dict[str, Scalar], quality: Quality = Quality.GOOD) -> None:
        """The device has these values now."""
        self.values.update(values)
        self._sink([Sample(point=name, value=value, quality=quality) for name, value in values.items()])

    def _follows(self, point: str, value: Scalar) -> dict[str, Scalar]:
        if point.endswith("_pw"):
            return {point.replace("_pw", "_status"): int(bool(value))}
        if point == "channels_on":
            return {name: False for name in self.values if name.endswith(".enabled")}
        if point == "running":
            return {"status_code": 3 if value else 2}
        readback = point.removeprefix("set_")
        return {readback: value} if readback != point and readback in self.values else {}


def _first(point: Point) -> Scalar:
    if point.name == "status_code":
        return 2
    if point.name in ("status", "used_setpoint"):
        return 1
    return {Type.BOOL: False, Type.STRING: "", Type.INT: 0}.get(point.type, 0.0)


class Stand:
    """What a test does and sees, as a dashboard that others wrote."""

    def __init__(
        self, bus: MemoryBus, lines: dict[str, Line], client: Client, audit: list[AuditEntry], port: int
    ) -> None:
        self.audit = audit
        self.port = port
        """Of the broker, on loopback."""
        self.bus = bus
        self.lines = lines
        self.client = client
        self.came: list[tuple[str, bytes]] = []
        self.active: asyncio.Task[None] | None = None
        """The adapter that is connected; another one stands by."""

    async def listen(self) -> None:
        async for message in self.client.messages:
            self.came.append((str(message.topic), bytes(message.payload)))

    def of(self, topic: str, since: int = 0) -> list[Any]:
        """The documents that came on a topic."""
        return [json.loads(payload) for name, payload in self.came[since:] if name == topic]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    async def said(self, topic: str, fits: Callable[[Any], object], since: int = 0) -> Any:
        """The first document on a topic that fits."""
        await self.until(lambda: any(fits(one) for one in self.of(topic, since)))
        return next(one for one in self.of(topic, since) if fits(one))

    async def events(self) -> list[Event]:
        async with self.bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
            return [decode(one.data, Event) async for one in stored]


def hosted(experiment: Experiment) -> list[Hosted]:
    """The devices with their own rules, at fake lines."""
    sections: dict[str, Any] = dict(experiment.section(DevicesSection).items())
    parts: dict[str, tuple[Iterable[Point], Behaviour]] = {
        "caen": ([one.point for one in variables(sections["caen"])], CaenBehaviour(sections["caen"])),
        "julabo": (julabo_points(sections["julabo"]), JulaboBehaviour(sections["julabo"])),
        "co2": (marta_points(sections["co2"]), MartaBehaviour(sections["co2"])),
        "box": (switchbox_points(stale_after_s=0, confirm_s=5.0), SwitchboxBehaviour()),
        "boards": (
            [Point(name="ESP01.DS_temp", channel="ESP01", column="DS_temp")],
            PlainBehaviour(("ESP01",)),
        ),
    }
    return [
        Hosted(
            name=name, title=name, group="g", driver=Line(tuple(points)), behaviour=behaviour, section=sections[name]
        )
        for name, (points, behaviour) in parts.items()
    ]


@asynccontextmanager
async def broker_at(
    kind: str, place: Path, *, section: str = "tracker", topics: Sequence[str] = TOPICS
) -> AsyncGenerator[dict[str, Any]]:
    """A running broker: the keys of the description that lead to it, some of them in this section."""
    secret = place / "password"
    secret.write_text(f"{PASSWORD}\n")
    if kind == "mosquitto":
        broker = Mosquitto(user=USER, password=PASSWORD)
        await broker.start()
        try:
            address = f"mqtt://127.0.0.1:{broker.port}"
            yield {section: {"broker": {"address": address, "user": USER, "password": {"file": str(secret)}}}}
        finally:
            await broker.end()
        return
    user = {"name": USER, "password_file": str(secret), "publish": list(topics), "subscribe": list(topics)}
    bus = {"mqtt": {"port": 0, "users": [user]}}
    server = EmbeddedServer(place / "bus", description=BusSection.model_validate(bus), clock=SystemClock())
    await server.start()
    try:
        yield {"bus": bus}
    finally:
        await server.stop()


def described(place: Path, keys: dict[str, Any]) -> Experiment:
    """The description with this broker."""
    section = {**DESCRIPTION["tracker"], **keys.get("tracker", {})}
    file = place / "experiment.yaml"
    file.write_text(yaml.safe_dump({**DESCRIPTION, **keys, "tracker": section}))
    return load(file)


def client_of(experiment: Experiment, place: Path) -> Client:
    """A client of the dashboards."""
    return Client("127.0.0.1", port_of(experiment, place), username=USER, password=PASSWORD)


def place_of(experiment: Experiment, place: Path) -> BrokerPlace:
    """Where the adapter finds the broker."""
    section = experiment.section(TrackerSection)
    return broker_place("tracker", section.broker, section.user, experiment.bus, place)


def port_of(experiment: Experiment, place: Path) -> int:
    """The port of the broker."""
    return place_of(experiment, place).port


@asynccontextmanager
async def tracker_stand(kind: str, place: Path, before: Sequence[tuple[str, str]] = ()) -> AsyncGenerator[Stand]:
    """Everything running, and a dashboard that listens to everything. `before`: messages that were retained earlier."""
    clock = FastClock()
    async with broker_at(kind, place) as keys:
        experiment = described(place, keys)
        section, facts = experiment.section(TrackerSection), app_tracker.facts(experiment)
        bus = MemoryBus(clock)
        await prepare(bus)
        devices = hosted(experiment)
        audit: list[AuditEntry] = []

        async def audited(entry: AuditEntry) -> None:
            audit.append(entry)

        host = DeviceHost(bus.client(), clock, devices)
        services = [
            BrokerService(
                bus.client(),
                clock,
                lambda now_s: TrackerAdapter(facts, now_s),
                lambda: place_of(experiment, place),
                section.principals["tracker.dashboard"],
                role="tracker",
                audit=audited,
                instance=instance,
            )
            for instance in ("main", "standby")
        ]
        async with client_of(experiment, place) as client:
            lines = {one.name: one.driver for one in devices if isinstance(one.driver, Line)}
            stand = Stand(bus, lines, client, audit, port_of(experiment, place))
            for topic in TOPICS:
                await client.subscribe(topic)
            for topic, payload in before:
                await client.publish(topic, payload, qos=1, retain=True)
            parts = [host.run(), *(one.run() for one in services), stand.listen()]
            tasks = [asyncio.create_task(part) for part in parts]
            stand.active = tasks[1]
            try:
                await stand.said("julabo/status", lambda one: one["fsm_state"] == "OFF")
                await stand.said("dcs/status", lambda one: one["fsm_state"] == "LV_OFF")
                yield stand
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await bus.close()
