"""Home Assistant, played by a client of the broker, finds entities, sees their values and commands devices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiomqtt import Client

from countingroom.app import home_assistant as app_home_assistant
from countingroom.app.broker_place import broker_place
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.accounts import AuditEntry
from countingroom.core.messages import Event, EventKind, decode
from countingroom.core.values import Quality
from countingroom.devices.host.host import DeviceHost
from countingroom.experiment import load
from countingroom.home_assistant.adapter import HomeAssistantAdapter
from countingroom.home_assistant.description import HomeAssistantSection
from countingroom.mqtt.service import BrokerService
from tests.patience import PATIENCE_S
from tests.system import tracker_stand
from tests.system.tracker_stand import DESCRIPTION, PASSWORD, USER, FastClock, Line, broker_at

TOPICS = ["homeassistant/#", "countingroom/#"]
SECTION: dict[str, Any] = {
    "user": USER,
    "points": ["caen.0.*", "julabo.*"],
    "commands": {
        "roles": {"device.caen": "shifter", "device.julabo": "shifter"},
        "points": ["caen.0.lv_*"],
        "buttons": ["julabo.stop", "caen.0.lv_off"],
    },
}
NUMBER = "homeassistant/number/countingroom_cleanroom/caen--0-lv_setV/config"
SWITCH = "homeassistant/switch/countingroom_cleanroom/caen--0-lv_pw/config"
GONE = "homeassistant/sensor/countingroom_cleanroom/caen--9-lv_vMon/config"


class Stand:
    """What Home Assistant does and sees."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lines: dict[str, Line] = {}
        self.audit: list[AuditEntry] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.now: dict[str, Any] = {}
        """Topic -> the last message; JSON where it is such."""
        self.counts: dict[str, int] = {}

    async def listen(self) -> None:
        async for message in self.client.messages:
            topic, payload = str(message.topic), bytes(message.payload)
            self.now[topic] = json.loads(payload) if payload[:1] == b"{" else payload
            self.counts[topic] = self.counts.get(topic, 0) + 1

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    async def shows(self, config: str, value: object) -> None:
        """Wait until an entity has this value, as its description says where; None: it is unavailable."""
        await self.until(lambda: config in self.now)
        topic = self.now[config]["state_topic"]
        await self.until(lambda: self.shown(topic) == value)

    def shown(self, topic: str) -> object:
        state = self.now.get(topic)
        is_there = self.now.get("countingroom/cleanroom/status") == b"online"
        return state["value"] if is_there and state and state["availability"] == "online" else None


async def refusals(bus: MemoryBus) -> list[Event]:
    """The events of commands that Home Assistant gave and that were refused."""
    async with bus.replay(subjects.EVENTS_STREAM, follow=False) as stored:
        events = [decode(one.data, Event) async for one in stored]
    return [one for one in events if one.department == "home_assistant" and one.kind is EventKind.REFUSED]


@asynccontextmanager
async def home_assistant(kind: str, place: Path) -> AsyncGenerator[Stand]:
    clock = FastClock()
    async with broker_at(kind, place, section="home_assistant", topics=TOPICS) as keys:
        section = {**SECTION, **keys.get("home_assistant", {})}
        parts = {key: value for key, value in DESCRIPTION.items() if key != "tracker"}
        file = place / "experiment.yaml"
        file.write_text(yaml.safe_dump({**parts, **keys, "home_assistant": section}))
        experiment = load(file)
        assert list(app_home_assistant.problems(experiment)) == []
        described, facts = experiment.section(HomeAssistantSection), app_home_assistant.facts(experiment)
        bus = MemoryBus(clock)
        await prepare(bus)
        devices = tracker_stand.hosted(experiment)

        def broker() -> Any:
            return broker_place("home_assistant", described.broker, described.user, experiment.bus, place)

        async with Client("127.0.0.1", broker().port, username=USER, password=PASSWORD) as client:
            stand = Stand(client)

            async def audited(entry: AuditEntry) -> None:
                stand.audit.append(entry)

            assert facts.commands
            services = [
                BrokerService(
                    bus.client(),
                    clock,
                    lambda now_s: HomeAssistantAdapter(facts, now_s),
                    broker,
                    facts.commands.principal,
                    role="home_assistant",
                    audit=audited,
                    instance=instance,
                )
                for instance in ("main", "standby")
            ]
            stand.lines = {one.name: one.driver for one in devices if isinstance(one.driver, Line)}
            await client.publish(GONE, "{}", qos=1, retain=True)
            await client.publish("countingroom/cleanroom/caen/0-lv_setV/set", "3", qos=1, retain=True)
            for topic in TOPICS:
                await client.subscribe(topic)
            host = DeviceHost(bus.client(), clock, devices)
            active, standby = services
            stand.tasks = [asyncio.create_task(part) for part in (host.run(), active.run(), stand.listen())]
            try:
                await stand.until(lambda: stand.now.get("countingroom/cleanroom/status") == b"online")
                stand.tasks.append(asyncio.create_task(standby.run()))
                yield stand
                # The retained command comes to the one that stood by too, at some time after it is online.
                async with asyncio.timeout(PATIENCE_S):
                    while len(refused := await refusals(bus)) < 3:
                        await asyncio.sleep(0.02)
                assert [one.cause.code for one in refused if one.cause] == ["retained", "not_understood", "retained"]
                assert {one.principal for one in refused} == {"home_assistant.automation"}
            finally:
                for task in stand.tasks:
                    task.cancel()
                await asyncio.gather(*stand.tasks, return_exceptions=True)
        await bus.close()


@pytest.mark.parametrize("kind", ["mosquitto", "builtin"])
async def test_entities_are_found_shown_commanded_and_removed(
    kind: str, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    if kind == "mosquitto":
        needs("mosquitto")
    async with home_assistant(kind, tmp_path) as stand:
        caen, errors = stand.lines["caen"], "countingroom/cleanroom/error"
        await stand.until(lambda: stand.now.get(GONE) == b"")  # it left the description while nothing ran
        await stand.until(lambda: errors in stand.now and stand.now[errors]["code"] == "retained")
        await stand.shows(NUMBER, 0.0)
        monitor = "homeassistant/sensor/countingroom_cleanroom/caen--0-lv_vMon/config"
        caen.set({"0.lv_vMon": 11.5})
        await stand.shows(monitor, 11.5)
        assert stand.now[monitor]["unit_of_measurement"] == "V"

        topic = stand.now[NUMBER]["command_topic"]
        await stand.client.publish(topic, "11.5")
        await stand.shows(NUMBER, 11.5)
        await stand.client.publish(stand.now[SWITCH]["command_topic"], "ON")
        await stand.shows(SWITCH, "ON")
        assert caen.written == [("0.lv_setV", 11.5), ("0.lv_pw", 1)]
        assert [(one.who, one.what, one.origin) for one in stand.audit] == [
            ("home_assistant.automation", "set", "mqtt"),
            ("home_assistant.automation", "lv_on", "mqtt"),
        ]
        button = "homeassistant/button/countingroom_cleanroom/caen--0-lv_off/config"
        await stand.client.publish(stand.now[button]["command_topic"], "PRESS")
        await stand.shows(SWITCH, "OFF")

        count = stand.counts[stand.now[NUMBER]["state_topic"]]
        await stand.client.publish(topic, "99")
        await stand.until(lambda: stand.now[errors]["code"] == "out_of_range")
        await stand.until(lambda: stand.counts[stand.now[NUMBER]["state_topic"]] > count)
        await stand.client.publish(topic, "much")
        await stand.until(lambda: stand.now[errors]["code"] == "not_understood")
        assert caen.written[2:] == [("0.lv_pw", 0)]

        julabo = stand.lines["julabo"]
        temperature = "homeassistant/sensor/countingroom_cleanroom/julabo--internal_temp/config"
        await stand.shows(temperature, 0.0)
        julabo.is_there = False
        julabo.set(dict.fromkeys(julabo.values, None), Quality.STALE)
        await stand.shows(temperature, None)

        count = stand.counts[NUMBER]
        await stand.client.publish("homeassistant/status", "online")
        await stand.until(lambda: stand.counts[NUMBER] > count)

        told = stand.counts["countingroom/cleanroom/status"]
        stand.tasks[1].cancel()
        await stand.until(lambda: stand.counts["countingroom/cleanroom/status"] >= told + 2)
        await stand.shows(monitor, 11.5)  # the one that stood by
