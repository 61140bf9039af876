"""The MQTT driver before brokers and boards that do not behave: nothing hangs, nothing is lost without a word."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiomqtt import Message, Topic

from countingroom.core.errors import LinkError
from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt import driver as mqtt_driver
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver, PayloadQueue
from countingroom.devices.port import Sample, ThinningDriver
from tests.patience import PATIENCE_S


def driver_of(**keys: Any) -> MqttSensorsDriver:
    values = {"v": {"topic": "{sensor}/v"}}
    section = {"driver": "mqtt", "sensors": {"a": "", "b": ""}, "values": values, **keys}
    return MqttSensorsDriver(MqttSensorsSection.model_validate(section))


def take(driver: MqttSensorsDriver, topic: str, payload: bytes, *, retain: bool = False) -> None:
    driver._take(Message(Topic(topic), payload, 0, retain, 0, None))


NOTICES = {"a/lwt": b"offline", "bridge": b"online", "b/lwt": b"online"}


@pytest.mark.parametrize("order", list(itertools.permutations(NOTICES)))
def test_a_bridge_that_is_there_makes_no_board_present_that_is_not(order: tuple[str, ...]) -> None:
    """A broker sends retained messages in any order."""
    driver = driver_of(availability=[{"topic": "{sensor}/lwt"}, {"topic": "bridge"}])
    taken: list[Sample] = []
    driver.monitor(taken.extend)
    for topic in order:
        take(driver, topic, NOTICES[topic], retain=True)
    take(driver, "a/v", b"1", retain=True)
    take(driver, "b/v", b"2", retain=True)
    assert {one.point: one.value for one in taken} == {"a.v": None, "b.v": 2.0}
    take(driver, "bridge", b"offline")
    take(driver, "bridge", b"online")
    taken.clear()
    take(driver, "a/v", b"1", retain=True)
    assert not taken, "the board has not come back with its bridge"
    take(driver, "a/lwt", b"online")
    take(driver, "a/v", b"1", retain=True)
    assert [one.value for one in taken] == [1.0]


def test_messages_that_find_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_driver, "WAITING_BYTES", 10)
    driver = driver_of()
    made: list[PayloadQueue] = []

    def make(*_: object, queue_type: Any, max_queued_incoming_messages: int, **__: object) -> None:
        made.append(queue_type(maxsize=max_queued_incoming_messages))

    monkeypatch.setattr(mqtt_driver, "WAITING", 3)
    monkeypatch.setattr(mqtt_driver, "TolerantClient", make)
    driver._new_client()
    queue = made[0]
    for payload in (b"1", b"2", b"x" * 9, b"3"):
        try:
            queue.put_nowait(Message(Topic("a/v"), payload, 0, False, 0, None))
        except asyncio.QueueFull:
            assert payload == b"x" * 9
    with pytest.raises(asyncio.QueueFull):
        queue.put_nowait(Message(Topic("a/v"), b"", 0, False, 0, None))
    assert isinstance(driver, ThinningDriver) and driver.thinned == 2


class Broker:
    """Takes connections and subscriptions, and confirms no message."""

    def __init__(self) -> None:
        self.port = 0
        self.published = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.read(1):
                body = await reader.readexactly((await reader.readexactly(1))[0])
                match head[0] >> 4:
                    case 1:
                        writer.write(b"\x20\x02\x00\x00")
                    case 8:
                        writer.write(b"\x90\x03" + body[:2] + b"\x00")
                    case 12:
                        writer.write(b"\xd0\x00")
                    case 3:
                        self.published.set()
                    case _:
                        pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def broker() -> AsyncIterator[Broker]:
    made = Broker()
    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda *ends: tasks.append(loop.create_task(made.serve(*ends))), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_setpoint_that_the_broker_does_not_confirm_fails_in_time() -> None:
    values = {"v": {"topic": "{sensor}/v", "type": "bool", "set_topic": "{sensor}/set"}}
    async with broker() as silent, asyncio.timeout(PATIENCE_S):
        driver = driver_of(port=silent.port, timeout="300 ms", values=values)
        await driver.connect()
        assert await driver.read() == [], "a board that said nothing is not off"
        with pytest.raises(LinkError, match="not confirmed"):
            await driver.write("a.v", True)
        assert silent.published.is_set()
        await driver.close()


async def test_a_setpoint_of_qos_0_to_a_broker_that_is_gone_does_not_hang() -> None:
    values = {"v": {"topic": "{sensor}/v", "type": "bool", "set_topic": "{sensor}/set", "qos": 0}}
    async with broker() as going:
        driver = driver_of(port=going.port, timeout="300 ms", values=values)
        taken: list[Sample] = []
        driver.monitor(taken.extend)
        await driver.connect()
    async with asyncio.timeout(PATIENCE_S):
        while not any(one.quality is Quality.STALE for one in taken):
            await asyncio.sleep(0)
        with pytest.raises(LinkError, match="no connection"):
            await driver.write("a.v", True)
        await driver.close()


async def test_a_value_whose_topic_the_broker_refuses_is_bad_with_the_reason() -> None:
    class Broker:
        async def subscribe(self, topic: str) -> tuple[int, ...]:
            return (0x80,) if topic == "b/v" else (0,)

    driver = driver_of()
    taken: list[Sample] = []
    driver.monitor(taken.extend)
    await driver._subscribe(Broker())  # type: ignore[arg-type]
    (one,) = taken
    assert (one.point, one.value, one.quality) == ("b.v", None, Quality.BAD)
    assert one.reason == "the broker refuses the topic b/v"
