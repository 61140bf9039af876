"""Boards of Tasmota, zigbee2mqtt and ESPHome by payloads of their shapes, at a mosquitto and at the embedded server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import Client, Will

from countingroom.bus import streams
from countingroom.bus.description import BusSection, Mqtt, MqttUser
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import DeviceError, LinkError
from countingroom.core.values import Quality
from countingroom.devices import registry
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.host.host import DeviceHost
from tests.contract.drivers.mqtt import Mosquitto
from tests.patience import PATIENCE_S
from tests.system.test_mqtt_sensors import Listener

Keys = dict[str, Any]


@pytest.fixture(params=["mosquitto", "embedded"])
async def where(request: pytest.FixtureRequest, tmp_path: Path, needs: Callable[[str], str]) -> AsyncIterator[Keys]:
    """Keys of a section with the address of a broker."""
    if request.param == "mosquitto":
        needs("mosquitto")
        broker = Mosquitto()
        await broker.start()
        yield {"port": broker.port}
        await broker.end()
        return
    secret = tmp_path / "password"
    secret.write_text("rosebud\n")
    user = MqttUser(name="dcs", password_file=secret, publish=["#"], subscribe=["#"])
    server = EmbeddedServer(
        tmp_path / "server", description=BusSection(mqtt=Mqtt(port=0, users=[user])), clock=SystemClock()
    )
    await server.start()
    yield {"port": server.mqtt_port, "user": "dcs", "password_file": str(secret)}
    await server.stop()


def client(where: Keys, **more: Any) -> Client:
    known = {"username": where["user"], "password": "rosebud"} if "user" in where else {}
    return Client("127.0.0.1", where["port"], **known, **more)


@asynccontextmanager
async def hosted(where: Keys, **keys: Any) -> AsyncIterator[Listener]:
    section = MqttSensorsSection.model_validate({"driver": "mqtt", "reconnect_first": "50 ms", **where, **keys})
    assert list(section.problems()) == []
    assert not [found for value in section.values.values() for found in value.problems()]
    bus = MemoryBus(SystemClock())
    await streams.prepare(bus)
    host = asyncio.create_task(DeviceHost(bus.client(), SystemClock(), [registry.build("d", section)]).run())
    listener = Listener(bus)
    try:
        await listener.until_state(subjects.device_key("d"), "CONNECTED")
        yield listener
    finally:
        host.cancel()
        with suppress(asyncio.CancelledError):
            await host


ZIGBEE = {
    "sensors": {"hall": {"name": "hall/0x00158d:1", "label": "Hall 3"}, "lid": "lid"},
    "availability": [
        {"topic": "zigbee2mqtt/{sensor}/availability", "field": "state"},
        {"topic": "zigbee2mqtt/bridge/state", "field": "state"},
    ],
    "values": {
        "temp": {"topic": "zigbee2mqtt/{sensor}", "field": "temperature", "unit": "degC"},
        "humi": {"topic": "zigbee2mqtt/{sensor}", "field": "humidity", "unit": "percent"},
        "version": {"topic": "zigbee2mqtt/{sensor}", "field": "update.installed_version", "type": "int"},
    },
}


async def test_a_zigbee2mqtt_board_sends_parts_and_is_gone_when_its_bridge_says_so(where: Keys) -> None:
    topic = "zigbee2mqtt/hall/0x00158d:1"
    async with client(where) as bridge, hosted(where, **ZIGBEE) as listener:
        await bridge.publish(f"{topic}/availability", '{"state": "online"}')
        await bridge.publish(
            topic, '{"battery": 97, "humidity": 48.1, "temperature": 21.5, "update": {"installed_version": 16777241}}'
        )
        await listener.until("hall.humi", Quality.GOOD, 48.1)
        await listener.until("hall.version", Quality.GOOD, 16777241)
        await bridge.publish(topic, '{"linkquality": 120, "temperature": 21.6, "update": null}')
        await listener.until("hall.temp", Quality.GOOD, 21.6)
        assert (await listener.reading("hall.humi")).quality == Quality.GOOD
        assert (await listener.reading("hall.humi")).value == 48.1
        await listener.until_state(subjects.channel_key("d", "hall"), "CONNECTED")
        await listener.until_state(subjects.channel_key("d", "lid"), "DISCONNECTED")
        await bridge.publish(f"{topic}/availability", '{"state": "offline"}')
        await listener.until("hall.temp", Quality.STALE, 21.6)
        await listener.until("hall.humi", Quality.STALE, 48.1)
        await listener.until_state(subjects.channel_key("d", "hall"), "DISCONNECTED")
        await bridge.publish(f"{topic}/availability", "online")
        await bridge.publish(topic, '{"temperature": 22}')
        await listener.until("hall.temp", Quality.GOOD, 22.0)
        await bridge.publish("zigbee2mqtt/lid", '{"temperature": 20}')
        await listener.until("lid.temp", Quality.GOOD, 20.0)
        await bridge.publish("zigbee2mqtt/bridge/state", '{"state": "offline"}')
        await listener.until("hall.temp", Quality.STALE)
        await listener.until("lid.temp", Quality.STALE)


TASMOTA = {
    "sensors": {"plug": "pump", "lamp": ""},
    "availability": [{"topic": "tele/{sensor}/LWT"}],
    "values": {
        "temp": {"topic": "tele/{sensor}/SENSOR", "field": "DS18B20.Temperature", "unit": "degC"},
        "energy": {"topic": "tele/{sensor}/SENSOR", "field": ["ENERGY", "Total.kWh"], "unit": "kW h"},
        "power": {
            "topic": "stat/{sensor}/POWER",
            "type": "bool",
            "words": {"ON": True, "OFF": False},
            "set_topic": "cmnd/{sensor}/POWER",
        },
    },
}


async def test_a_tasmota_plug_is_read_switched_and_missed_by_its_last_will(where: Keys) -> None:
    will = Will("tele/plug/LWT", "Offline", retain=True)
    plug = client(where, will=will)
    await plug.__aenter__()
    await plug.publish("tele/plug/LWT", "Online", retain=True)
    await plug.subscribe("cmnd/plug/POWER")
    async with hosted(where, **TASMOTA) as listener:
        await plug.publish(
            "tele/plug/SENSOR",
            '{"Time": "2026-11-28T12:00:00", "DS18B20": {"Temperature": 21.5}, "ENERGY": {"Total.kWh": 3.5}}',
        )
        await listener.until("plug.temp", Quality.GOOD, 21.5)
        await listener.until("plug.energy", Quality.GOOD, 3.5)
        await plug.publish("tele/plug/SENSOR", '{"Time": "2026-11-28T12:00:10", "DS18B20": {"Temperature": null}}')
        await listener.until("plug.temp", Quality.BAD)
        assert (await listener.reading("plug.energy")).quality == Quality.GOOD
        await plug.publish("stat/plug/POWER", "OFF")
        await listener.until("plug.power", Quality.GOOD, False)
        driver = MqttSensorsDriver(MqttSensorsSection.model_validate({"driver": "mqtt", **where, **TASMOTA}))
        await driver.connect()
        await driver.write("plug.power", True)
        async with asyncio.timeout(PATIENCE_S):
            order = await anext(aiter(plug.messages))
        assert (str(order.topic), order.payload, bool(order.retain)) == ("cmnd/plug/POWER", b"ON", False)
        with pytest.raises(DeviceError):
            await driver.write("plug.temp", 1.0)
        await driver.close()
        with pytest.raises(LinkError):
            await driver.write("plug.power", True)
        await plug.publish("stat/plug/POWER", "ON", retain=True)
        await listener.until("plug.power", Quality.GOOD, True)
        plug._client._sock_close()  # the plug loses its power
        with suppress(Exception):
            await plug.__aexit__(None, None, None)
        await listener.until("plug.power", Quality.STALE, True)
        await listener.until_state(subjects.channel_key("d", "plug"), "DISCONNECTED")


ESPHOME = {
    "sensors": {"fridge": ""},
    "availability": [{"topic": "{sensor}/status"}],
    "values": {
        "temp": {"topic": "{sensor}/sensor/inside/state", "unit": "degC"},
        "door": {"topic": "{sensor}/binary_sensor/door/state", "type": "int", "words": {"ON": 1, "OFF": 0}},
        "target": {
            "topic": "{sensor}/number/target/state",
            "set_topic": "{sensor}/number/target/command",
            "write_low": 2,
            "write_high": 8,
            "unit": "degC",
        },
        "light": {
            "topic": "{sensor}/light/lamp/state",
            "field": "state",
            "type": "bool",
            "words": {"ON": True, "OFF": False},
            "set_topic": "{sensor}/light/lamp/command",
            "set_payload": '{"state": "{value}"}',
        },
    },
}


async def test_an_esphome_node_is_read_and_set(where: Keys) -> None:
    async with client(where) as node, hosted(where, **ESPHOME) as listener:
        await node.subscribe("fridge/+/+/command")
        await node.publish("fridge/status", "online")
        await node.publish("fridge/sensor/inside/state", "4.2")
        await listener.until("fridge.temp", Quality.GOOD, 4.2)
        await node.publish("fridge/sensor/inside/state", "nan")
        await listener.until("fridge.temp", Quality.BAD)
        await node.publish("fridge/binary_sensor/door/state", "ON")
        await listener.until("fridge.door", Quality.GOOD, 1)
        await node.publish("fridge/binary_sensor/door/state", "ajar")
        await listener.until("fridge.door", Quality.BAD)
        driver = MqttSensorsDriver(MqttSensorsSection.model_validate({"driver": "mqtt", **where, **ESPHOME}))
        await driver.connect()
        await driver.write("fridge.target", 5.5)
        await driver.write("fridge.light", True)
        orders = aiter(node.messages)
        async with asyncio.timeout(PATIENCE_S):
            got = [await anext(orders), await anext(orders)]
        assert [(str(one.topic), one.payload) for one in got] == [
            ("fridge/number/target/command", b"5.5"),
            ("fridge/light/lamp/command", b'{"state": "ON"}'),
        ]
        await driver.close()
        await node.publish("fridge/binary_sensor/door/state", "OFF")
        await listener.until("fridge.door", Quality.GOOD, 0)
        await node.publish("fridge/status", "offline")
        await listener.until("fridge.door", Quality.STALE)


@pytest.mark.parametrize(
    "keys", [{"version": "5"}, {"transport": "websockets"}, {"version": "5", "transport": "websockets"}]
)
async def test_mqtt_5_and_websockets_carry_values_and_setpoints(keys: Keys, needs: Callable[[str], str]) -> None:
    needs("mosquitto")
    broker = Mosquitto()
    await broker.start()
    try:
        port = broker.websocket_port if "transport" in keys else broker.port
        name = "Hall 3/0x00158d:1.a"
        section = {
            "port": port,
            "sensors": {"hall": {"name": name}},
            "values": {"t": {"topic": "{sensor}/t", "set_topic": "{sensor}/set", "write_low": 0, "write_high": 9}},
            **keys,
        }
        async with Client("127.0.0.1", broker.port) as board, hosted({}, **section) as listener:
            await board.subscribe(f"{name}/set")
            await board.publish(f"{name}/t", "3.5")
            await listener.until("hall.t", Quality.GOOD, 3.5)
            driver = MqttSensorsDriver(MqttSensorsSection.model_validate({"driver": "mqtt", **section}))
            await driver.connect()
            await driver.write("hall.t", 2.0)
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(aiter(board.messages))).payload == b"2.0"
            await driver.close()
            await broker.stop()
            await listener.until("hall.t", Quality.STALE, 3.5)
    finally:
        await broker.end()
