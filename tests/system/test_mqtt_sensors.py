"""Sensor boards on a real broker are heard, believed as far as they deserve, and missed when they are silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiomqtt import Client

from countingroom.bus import streams
from countingroom.bus.description import BusSection, Mqtt, MqttUser
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import ConfigurationError, LinkError
from countingroom.core.messages import DeviceState, Readings, decode
from countingroom.core.values import Quality, Reading
from countingroom.devices import registry
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.host.host import DeviceHost
from tests.contract.drivers.mqtt import Mosquitto
from tests.patience import PATIENCE_S


@pytest.fixture
async def broker(needs: Callable[[str], str]) -> AsyncIterator[Mosquitto]:
    needs("mosquitto")
    made = Mosquitto()
    await made.start()
    yield made
    await made.end()


def section(broker: Mosquitto, **more: object) -> MqttSensorsSection:
    return MqttSensorsSection.model_validate(
        {
            "driver": "mqtt",
            "port": broker.port,
            "reconnect_first": "50 ms",
            "sensors": {"ESP01": "cold box", "ESP02": "rack"},
            "values": {
                "DS_temp": {
                    "topic": "{sensor}/sensors/#/DS/temp",
                    "unit": "degC",
                    "low": -40,
                    "high": 85,
                    "stale_after": "700 ms",
                },
                "BME_humi": {"topic": "{sensor}/sensors/#/BME", "field": "humi", "unit": "percent"},
            },
            **more,
        }
    )


class Listener:
    """What somebody on the bus knows."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self._seen: dict[str, int] = {}
        """Point -> the message that was found last."""

    async def reading(self, point: str) -> Reading:
        async with self.bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
            messages = [decode(one.data, Readings) async for one in stored]
        return {name: reading for message in messages for name, reading in message.rows()}[point]

    async def until(self, point: str, quality: Quality, value: object = ...) -> None:
        """Wait until the point was published so, in the last message that was found of it or later: on a slow machine
        the next value may be there before this one is seen."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.bus.replay(subjects.READINGS_STREAM, follow=False) as stored:
                    messages = [decode(one.data, Readings) async for one in stored]
                begin = self._seen.get(point, 0)
                for number, message in enumerate(messages[begin:], begin):
                    reading = dict(message.rows()).get(point)
                    if reading and reading.quality == quality and value in (..., reading.value):
                        self._seen[point] = number
                        return
                await asyncio.sleep(0.02)

    async def until_state(self, key: str, state: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                entry = await self.bus.get(subjects.STATE_BUCKET, key)
                if entry and entry.data and decode(entry.data, DeviceState).state == state:
                    return
                await asyncio.sleep(0.02)


async def test_boards_are_heard_doubted_missed_and_heard_again(broker: Mosquitto) -> None:
    bus = MemoryBus(SystemClock())
    await streams.prepare(bus)
    hosted = registry.build("esp", section(broker))
    assert hosted.channel_labels == {"ESP01": "cold box", "ESP02": "rack"}
    host = asyncio.create_task(DeviceHost(bus.client(), SystemClock(), [hosted]).run())
    listener = Listener(bus)
    try:
        await listener.until_state(subjects.device_key("esp"), "CONNECTED")
        await listener.until_state(subjects.channel_key("esp", "ESP01"), "DISCONNECTED")
        async with Client("127.0.0.1", broker.port) as boards:
            await boards.publish("ESP01/sensors/rack/DS/temp", "21.5")
            await listener.until("ESP01.DS_temp", Quality.GOOD, 21.5)
            await listener.until_state(subjects.channel_key("esp", "ESP01"), "CONNECTED")
            await listener.until_state(subjects.channel_key("esp", "ESP02"), "DISCONNECTED")
            await boards.publish("ESP01/sensors/BME", '{"temp": 1, "humi": 40}')
            await listener.until("ESP01.BME_humi", Quality.GOOD, 40.0)
            await boards.publish("ESP01/sensors/BME", "\x00garbage")
            await listener.until("ESP01.BME_humi", Quality.BAD, None)
            await boards.publish("ESP01/sensors/DS/temp", "-127")
            await listener.until("ESP01.DS_temp", Quality.UNCERTAIN, -127.0)
            await listener.until("ESP01.DS_temp", Quality.STALE, -127.0)
        await broker.stop()
        await listener.until_state(subjects.device_key("esp"), "DISCONNECTED")
        await broker.start()
        await listener.until_state(subjects.device_key("esp"), "CONNECTED")
        async with Client("127.0.0.1", broker.port) as boards:
            await boards.publish("ESP02/sensors/DS/temp", "3")
            await listener.until("ESP02.DS_temp", Quality.GOOD, 3.0)
    finally:
        host.cancel()
        with suppress(asyncio.CancelledError):
            await host


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Lines of the log about topics; the server may tell something of its own."""
    return [text for text in caplog.messages if "topics" in text]


async def test_a_broker_that_lets_nobody_listen_to_a_board_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "password"
    secret.write_text("rosebud\n")
    user = MqttUser(name="dcs", password_file=secret, publish=[], subscribe=["ESP01/#"])
    server = EmbeddedServer(
        tmp_path / "server", description=BusSection(mqtt=Mqtt(port=0, users=[user])), clock=SystemClock()
    )
    await server.start()
    try:
        common = {
            "driver": "mqtt",
            "port": server.mqtt_port,
            "user": "dcs",
            "password_file": str(secret),
            "values": {"temp": {"topic": "{sensor}/sensors/DS/temp"}},
        }
        none = MqttSensorsDriver(MqttSensorsSection.model_validate({**common, "sensors": {"ESP02": ""}}))
        with pytest.raises(LinkError, match="refuses user dcs the topics ESP02/sensors/DS/temp"):
            await none.connect()
        await none.close()
        assert not refusals(caplog)
        some = MqttSensorsDriver(MqttSensorsSection.model_validate({**common, "sensors": {"ESP01": "", "ESP02": ""}}))
        await some.connect()
        (refused,) = await some.read()
        assert (refused.point, refused.quality) == ("ESP02.temp", Quality.BAD)
        assert refused.reason == "the broker refuses the topic ESP02/sensors/DS/temp"
        await some.close()
        (told,) = refusals(caplog)
        assert "refuses user dcs the topics ESP02/sensors/DS/temp" in told
    finally:
        await server.stop()


async def test_a_broker_with_users_lets_in_who_has_the_password(needs: Callable[[str], str], tmp_path: Path) -> None:
    needs("mosquitto")
    broker = Mosquitto(user="dcs", password="right")
    await broker.start()
    try:
        secret = tmp_path / "password"
        secret.write_text("right\n")
        driver = MqttSensorsDriver(section(broker, user="dcs", password_file=str(secret)))
        await driver.connect()
        await driver.close()
        secret.write_text("wrong\n")
        with pytest.raises(LinkError):
            await driver.connect()
        await driver.close()
        secret.unlink()
        with pytest.raises(ConfigurationError) as caught:
            await driver.connect()
        assert "right" not in str(caught.value.cause)
        await driver.close()
    finally:
        await broker.end()
