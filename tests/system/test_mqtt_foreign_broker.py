"""A broker that breaks the rules of MQTT costs the message that breaks them, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from countingroom.core.values import Quality
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.port import Sample
from tests.patience import PATIENCE_S


def publish(topic: bytes, payload: bytes) -> bytes:
    """A PUBLISH packet of QoS 0."""
    body = len(topic).to_bytes(2, "big") + topic + payload
    return bytes([0x30, len(body)]) + body


class Broker:
    """As much of MQTT 3.1.1 as one client needs, written on a bare socket."""

    def __init__(self, packets: list[bytes]) -> None:
        self.packets = packets
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        try:
            while True:
                head, size = await reader.readexactly(2)  # every packet of this client is shorter than 128 bytes
                body = await reader.readexactly(size)
                match head >> 4:
                    case 1:
                        writer.write(b"\x20\x02\x00\x00")
                    case 8:
                        writer.write(b"\x90\x03" + body[:2] + b"\x00" + b"".join(self.packets))
                    case 12:
                        writer.write(b"\xd0\x00")
                    case _:
                        pass
        except asyncio.IncompleteReadError:
            writer.close()


@asynccontextmanager
async def driver(broker: Broker) -> AsyncIterator[tuple[MqttSensorsDriver, dict[str, Sample]]]:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    section = MqttSensorsSection.model_validate(
        {
            "driver": "mqtt",
            "host": "127.0.0.1",
            "port": server.sockets[0].getsockname()[1],
            "values": {"t": {"topic": "box/t"}},
            "client_id": "x",
        }
    )
    made = MqttSensorsDriver(section)
    seen: dict[str, Sample] = {}
    made.monitor(lambda batch: seen.update({sample.point: sample for sample in batch}))
    await made.connect()
    try:
        yield made, seen
    finally:
        await made.close()
        server.close()
        broker.writer.close()
        await broker.writer.wait_closed()


@pytest.mark.parametrize("topic", [b"box/+", b"#", b"box/\xff\xfe", b"box/\x00t"])
async def test_a_topic_that_no_message_may_have_costs_that_message_alone(topic: bytes) -> None:
    broker = Broker([publish(topic, b"1"), publish(b"box/t", b"21.5")])
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with driver(broker) as (made, seen):
        async with asyncio.timeout(PATIENCE_S):
            while "t" not in seen:
                await asyncio.sleep(0.01)
        assert (seen["t"].value, seen["t"].quality) == (21.5, Quality.GOOD)
        assert await made.read()
    assert broker.connections == 1
    assert not faults
