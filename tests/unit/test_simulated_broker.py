"""The broker of the simulated boards speaks MQTT 3.1.1 to real clients, and no client harms it or another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiomqtt import Client, MqttError, ProtocolVersion, Will
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import LinkError
from countingroom.simulators import mqtt_packets as mqtt
from countingroom.simulators.mqtt_broker import CLIENTS, SimulatedBroker

LONGEST_S = 20.0


class Bench:
    """A broker, and what it received."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.broker = SimulatedBroker(user="sensors", password="secret", receive=self._receive)

    def _receive(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))

    def client(self, *, password: str = "secret", will: Will | None = None, name: str | None = None) -> Client:
        port = self.broker.port
        return Client(
            "127.0.0.1", port, username="sensors", password=password, identifier=name, will=will, timeout=LONGEST_S
        )

    async def raw(self, *packets: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.broker.port)
        writer.write(b"".join(packets))
        return reader, writer


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.broker.open()
    yield bench
    await bench.broker.close()


def connect(user: str = "sensors", password: str = "secret", *, level: int = 4, keep_alive_s: int = 0) -> bytes:
    texts = b"".join(len(one).to_bytes(2) + one.encode() for one in ("", user, password))
    body = b"\0\4MQTT" + bytes((level, 0xC2)) + keep_alive_s.to_bytes(2) + texts
    return bytes((0x10, len(body))) + body


async def following(client: Client, count: int) -> list[tuple[str, bytes, bool]]:
    found: list[tuple[str, bytes, bool]] = []
    async with asyncio.timeout(LONGEST_S):
        async for message in client.messages:
            found.append((str(message.topic), bytes(message.payload), message.retain))
            if len(found) == count:
                break
    return found


async def test_messages_reach_the_clients_whose_filters_cover_them(bench: Bench) -> None:
    async with bench.client() as one, bench.client() as other:
        await one.subscribe([("ESP01/#", 0), ("+/lamp", 0)])
        await other.subscribe("ESP02/sensors/+/temp", qos=1)
        await one.publish("ESP01/sensors/BME/temp", "21.5")
        await one.publish("ESP02/lamp", "on")
        await one.publish("ESP02/sensors/BME/temp", "20", qos=1)
        bench.broker.publish("ESP01", b"here")
        assert await following(one, 3) == [
            ("ESP01/sensors/BME/temp", b"21.5", False),
            ("ESP02/lamp", b"on", False),
            ("ESP01", b"here", False),
        ]
        assert await following(other, 1) == [("ESP02/sensors/BME/temp", b"20", False)]
        await one.unsubscribe("ESP01/#")
        bench.broker.publish("ESP01/x", b"")
        bench.broker.publish("a/lamp", b"off")
        assert await following(one, 1) == [("a/lamp", b"off", False)]
    assert ("ESP02/lamp", b"on") in bench.heard


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_setpoint_is_confirmed_and_taken_once(bench: Bench, qos: int) -> None:
    async with bench.client() as client:
        await client.publish("lamp/set", "3", qos=qos)
        await client.publish("lamp/set", "4", qos=1)
    assert bench.heard == [("lamp/set", b"3"), ("lamp/set", b"4")]


async def test_a_second_copy_of_a_message_with_qos_2_is_not_taken(bench: Bench) -> None:
    message = b"\x34\x06\0\1a\0\7x"
    reader, writer = await bench.raw(connect(), message, message, b"\x62\2\0\7", message)
    async with asyncio.timeout(LONGEST_S):
        received, released = b"\x50\2\0\7", b"\x70\2\0\7"
        answers = await reader.readexactly(4 + 4 * 4)
    assert answers == b"\x20\2\0\0" + received + received + released + received
    assert bench.heard == [("a", b"x"), ("a", b"x")]
    writer.close()


async def test_a_retained_message_is_for_those_who_come_later_until_it_is_cleared(bench: Bench) -> None:
    async with bench.client() as client:
        await client.publish("a", "kept", qos=1, retain=True)
        await client.subscribe("a")
        assert await following(client, 1) == [("a", b"kept", True)]
        await client.publish("a", "", qos=1, retain=True)
        await following(client, 1)
    async with bench.client() as client:
        await client.subscribe("#")
        bench.broker.publish("b", b"only")
        assert await following(client, 1) == [("b", b"only", False)]


async def test_a_will_is_published_for_a_client_that_is_lost_and_not_for_one_that_leaves(bench: Bench) -> None:
    async with bench.client() as listener:
        await listener.subscribe("status")
        async with bench.client(will=Will("status", "gone", retain=True)):
            pass
        lost = bench.client(will=Will("status", "lost"), name="board")
        async with lost:
            with pytest.raises(MqttError):
                async with bench.client(name="board"):  # the same client id: the first one is disconnected
                    await following(lost, 1)
        assert await following(listener, 1) == [("status", b"lost", False)]


async def test_a_wrong_password_and_another_version_are_refused(bench: Bench) -> None:
    with pytest.raises(MqttError):
        async with bench.client(password="wrong"):
            pass
    with pytest.raises(MqttError):
        async with Client("127.0.0.1", bench.broker.port, protocol=ProtocolVersion.V5, timeout=LONGEST_S):
            pass
    reader, writer = await bench.raw(connect(level=3))
    assert await reader.read() == b"\x20\2\0\1"
    writer.close()


TOO_LARGE = connect() + b"\x30\xc0\xa8\xa5\x04\0\1a"
"""The begin of a message of 9,000,000 bytes."""


async def test_what_is_no_mqtt_ends_only_its_own_connection(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.simulators.mqtt_broker._PATIENCE_S", 0.5)  # for packets that never end
    async with bench.client() as client:
        await client.subscribe("a")
        for junk in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff" * 9,
            b"\x30\xff\xff\xff\x7f",
            b"\xc0\0",
            connect() * 2,
            TOO_LARGE,
        ):
            reader, writer = await bench.raw(junk)
            async with asyncio.timeout(LONGEST_S):
                while await _read(reader):
                    pass
            writer.close()
        bench.broker.publish("a", b"goes on")
        assert await following(client, 1) == [("a", b"goes on", False)]


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1000)
    except ConnectionResetError:
        return b""


async def test_a_client_beyond_the_limit_is_disconnected(bench: Bench) -> None:
    clients = [await bench.raw(connect()) for _ in range(CLIENTS)]
    for reader, _ in clients:
        await reader.readexactly(4)
    reader, writer = await bench.raw()
    assert await _read(reader) == b""
    for _, one in (*clients, (reader, writer)):
        one.close()


async def test_a_client_that_is_silent_longer_than_it_said_is_lost(bench: Bench) -> None:
    reader, writer = await bench.raw(connect(keep_alive_s=1))
    async with asyncio.timeout(LONGEST_S):
        assert await reader.readexactly(4) == b"\x20\2\0\0"
        assert await _read(reader) == b""
    writer.close()


async def test_a_client_that_does_not_read_is_disconnected(bench: Bench) -> None:
    reader, writer = await bench.raw(connect(), b"\x82\x06\0\1\0\1a\0")
    await reader.readexactly(4 + 5)
    writer.transport.pause_reading()
    async with asyncio.timeout(LONGEST_S):
        while bench.broker.clients:
            bench.broker.publish("a", b"x" * 60_000)
            await asyncio.sleep(0)
    writer.close()


async def test_a_broker_that_was_closed_opens_at_its_port_again(bench: Bench) -> None:
    port = bench.broker.port
    await bench.broker.close()
    with pytest.raises(MqttError):
        async with bench.client():
            pass
    await bench.broker.open()
    await bench.broker.open()
    assert bench.broker.port == port
    async with bench.client():
        other = SimulatedBroker(user="a", password="b", receive=lambda topic, payload: None)
        with pytest.raises(LinkError):
            await other.open(port)


@pytest.mark.parametrize(
    ("wanted", "topic", "covers"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+/b", "a/b", True),
        ("+", "a/b", False),
        ("a/+/c", "a//c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
    ],
)
def test_a_filter_covers_a_topic_as_the_standard_says(wanted: str, topic: str, covers: bool) -> None:
    assert mqtt.matches(wanted, topic) is covers


@given(st.lists(st.tuples(st.text("ab/", min_size=1), st.binary(max_size=300)), max_size=5), st.data())
def test_packets_are_read_from_pieces_of_any_size(messages: list[tuple[str, bytes]], data: st.DataObject) -> None:
    stream = b"".join(mqtt.message(topic, payload) for topic, payload in messages)
    reader, found = mqtt.PacketReader(), list[mqtt.Packet]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += reader.feed(stream[:size])
        stream = stream[size:]
    assert found == [mqtt.PublishPacket(topic=topic, payload=payload) for topic, payload in messages]


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_broken_packet(data: bytes) -> None:
    reader = mqtt.PacketReader()
    try:
        reader.feed(connect() + data)
    except mqtt.BrokenPacket:
        return
    assert len(mqtt.PacketReader().feed(connect())) == 1
