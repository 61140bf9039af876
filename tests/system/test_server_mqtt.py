"""Over MQTT a user may do what its list says and nothing else; without the section there is no such door."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest
import pytest_asyncio

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.port import Message, Subscription
from countingroom.bus.server import mqtt_sessions, mqtt_store
from countingroom.bus.server.mqtt_account import CLIENTS_SEEN
from countingroom.bus.server.permissions import BusUser, granted
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.messages import Event
from countingroom.departments import roles
from tests.patience import PATIENCE_S
from tests.system.refused_login import is_refused


class Watched(EmbeddedServer):
    """A server whose events are kept."""

    def __init__(self, data_dir: Path, *, description: BusSection, users: Sequence[BusUser]) -> None:
        self.events: list[Event] = []
        super().__init__(data_dir, description=description, users=users, on_event=self.events.append)

    def told(self) -> list[str]:
        return [event.message for event in self.events]


@pytest_asyncio.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    secret = tmp_path / "board.secret"
    secret.write_text("rosebud\n")
    monkeypatch.setenv("PANEL_PASSWORD", "sesame")
    section = BusSection.model_validate(
        {
            "mqtt": {
                "port": 0,
                "users": [
                    {
                        "name": "board",
                        "password_file": str(secret),
                        "publish": ["sensors/board/#"],
                        "subscribe": ["boards/+/set"],
                    },
                    {"name": "panel", "password_env": "PANEL_PASSWORD", "subscribe": ["sensors/#"]},
                    {
                        "name": "fast",
                        "password_env": "PANEL_PASSWORD",
                        "publish": ["fast/#"],
                        "max_messages_per_s": 50,
                    },
                    {
                        "name": "flow",
                        "password_env": "PANEL_PASSWORD",
                        "publish": ["#"],
                        "subscribe": ["#"],
                    },
                ],
            }
        }
    )
    server = Watched(tmp_path / "bus", description=section, users=[granted("console", roles()["console"].bus)])
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[NatsBus]:
    bus = await nats.connect(server.url_with_login(), name="test")
    yield bus
    await bus.close()


@asynccontextmanager
async def subscribed(client: aiomqtt.Client, *topics: str) -> AsyncGenerator[aiomqtt.client.MessagesIterator]:
    """What comes to a client that subscribes with QoS 1, and again twice a second.

    nats-server acknowledges a retained message when it is stored. A moment later it enters the list of what it sends to
    a new subscriber: on a busy machine 11 of 1318 subscribers that came at once did not get it, and each got it when it
    subscribed again.
    """

    async def subscribe() -> None:
        while True:
            await client.subscribe([(topic, 1) for topic in topics])
            await asyncio.sleep(0.5)

    subscribing = asyncio.create_task(subscribe())
    try:
        yield client.messages
    finally:
        subscribing.cancel()
        with suppress(asyncio.CancelledError):
            await subscribing


def mqtt(server: EmbeddedServer, user: str | None, password: str | None, timeout: float = PATIENCE_S) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", server.mqtt_port, username=user, password=password, timeout=timeout)


async def answer_to(client: aiomqtt.Client, topic: str, *, qos: int = 0) -> int:
    """What the server answers to a subscription: the QoS that it grants, or at least 128."""
    (answer,) = await client.subscribe(topic, qos=qos)
    return answer if isinstance(answer, int) else answer.value


async def test_a_user_publishes_its_topics_and_is_refused_others(server: EmbeddedServer, bus: NatsBus) -> None:
    async with bus.subscribe(">") as heard, mqtt(server, "board", "rosebud") as board:
        for topic in ("sensors/panel/t", "command/local/devices/caen", "sensors/board/t"):
            for qos in (0, 1):
                await board.publish(topic, b"21.5", qos=qos)
        async with asyncio.timeout(PATIENCE_S):
            seen = [m.subject for m in [await anext(heard) for _ in range(2)] if not m.subject.startswith("$")]
            while seen.count("sensors.board.t") < 2:
                seen.append((await anext(heard)).subject)
    assert {subject for subject in seen if not subject.startswith(("$", "_", CLIENTS_SEEN))} == {"sensors.board.t"}


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_user_hears_its_topics_and_is_refused_others(server: EmbeddedServer, bus: NatsBus, qos: int) -> None:
    async with mqtt(server, "board", "rosebud") as board:
        refused: list[int] = []
        for topic in (
            "#",
            "sensors/#",
            "boards/#",
            "$MQTT/#",
            "$MQTT/sub/#",
            "$MQTT/sub/+",
            "$MQTT/msgs/#",
            "$MQTT/sess/#",
            "$MQTT/+/+",
            "$SYS/#",
        ):
            refused.append(await answer_to(board, topic, qos=qos))
        assert min(refused) >= 128
        assert await answer_to(board, "boards/+/set", qos=qos) < 128
        await bus.publish("boards.one.other", b"no")
        await bus.publish("boards.one.set", b"yes")
        async with asyncio.timeout(PATIENCE_S):
            message = await anext(aiter(board.messages))
        assert (message.topic.value, message.payload) == ("boards/one/set", b"yes")


async def test_what_one_user_publishes_another_hears(server: EmbeddedServer) -> None:
    async with mqtt(server, "board", "rosebud") as board, mqtt(server, "panel", "sesame") as panel:
        await panel.subscribe("sensors/#", qos=1)
        await board.publish("sensors/board/t", b"1", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(panel.messages))).payload == b"1"


async def test_who_may_do_everything_may_not_reach_the_inside_of_the_server(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    await bus.ensure_bucket("state")
    async with mqtt(server, "flow", "sesame") as flow:
        await flow.publish("$KV/state/device/caen", b"forged", qos=1)
        await flow.publish("$JS/API/STREAM/DELETE/KV_state", b"", qos=1)
        answers = [await answer_to(flow, topic) for topic in ("$KV/#", "$MQTT/msgs/#", "_INBOX/#", "#")]
    assert [answer >= 128 for answer in answers] == [True, True, True, False]
    assert await bus.get("state", "device.caen") is None


async def test_a_wildcard_does_not_reach_the_system_not_even_by_a_last_will(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    await bus.ensure_stream("readings", ["readings.>"], max_bytes=1 << 20)
    will = aiomqtt.Will("command/local/runs/mCBM", b"stop", qos=1)
    async with bus.subscribe(">") as heard:
        with suppress(aiomqtt.MqttError):  # the server may refuse the will, or the whole client
            async with aiomqtt.Client(
                "127.0.0.1", server.mqtt_port, username="flow", password="sesame", timeout=PATIENCE_S, will=will
            ) as flow:
                for topic in ("command/local/runs/mCBM", "readings/full/caen", "agent/sts", "owner/mCBM"):
                    await flow.publish(topic, b"forged", qos=1)
                cut(flow)
        async with mqtt(server, "board", "rosebud") as board:
            await board.publish("sensors/board/t", b"1", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            seen = [message.subject async for message in until(heard, "sensors.board.t")]
    assert [subject for subject in seen if not subject.startswith(("_INBOX", "$", CLIENTS_SEEN))] == ["sensors.board.t"]
    async with bus.replay("readings", follow=False) as stored:
        assert [one async for one in stored] == []


def cut(client: aiomqtt.Client) -> None:
    """End the connection without a goodbye, so that the server publishes the last will."""
    client._client._sock_close()  # pyright: ignore[reportPrivateUsage]


async def until(heard: Subscription, last: str) -> AsyncIterator[Message]:
    async for message in heard:
        yield message
        if message.subject == last:
            return


async def test_retained_messages_fill_their_own_memory_and_nothing_of_the_system(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    await bus.ensure_bucket("state")
    async with mqtt(server, "board", "rosebud") as board:
        for number in range(120):
            await board.publish(f"sensors/board/{number}", b"x" * 60_000, qos=1, retain=True)
        retained, *_ = await mqtt_store.contents(bus)
        assert 4_000_000 < retained.size <= retained.limit
        assert retained.messages < 120
        await bus.put("state", "device.caen", b"1")
        await board.publish("sensors/board/last", b"2", qos=1, retain=True)
    async with mqtt(server, "panel", "sesame") as panel, subscribed(panel, "sensors/board/last") as messages:
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(messages)).payload == b"2"
    await mqtt_store.clear(bus)
    assert [one.messages for one in await mqtt_store.contents(bus) if one.name == "retained messages"] == [0]


async def test_a_board_that_fills_the_store_pushes_out_no_message_of_another(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    async with mqtt(server, "flow", "sesame") as other, mqtt(server, "board", "rosebud") as board:
        for number in range(20):
            await other.publish(f"hall/{number}/t", b"%d" % number, qos=1, retain=True)
        for number in range(120):
            await board.publish(f"sensors/board/{number}", b"x" * 60_000, qos=1, retain=True)
        await board.publish("sensors/board/0", b"y" * 60_000, qos=1, retain=True)
        await other.publish("hall/0/t", b"new", qos=1, retain=True)
        retained, *_ = await mqtt_store.contents(bus)
        assert 4_000_000 < retained.size <= retained.limit
    wanted = {f"hall/{number}/t": b"%d" % number for number in range(20)}
    wanted |= {"hall/0/t": b"new", "sensors/board/0": b"y" * 60_000}
    found: dict[str, bytes] = {}
    async with mqtt(server, "flow", "sesame") as panel, subscribed(panel, "hall/#", "sensors/board/0") as messages:
        async with asyncio.timeout(PATIENCE_S):
            async for message in messages:
                found[str(message.topic)] = bytes(message.payload)
                if found == wanted:
                    break


async def sessions(server: EmbeddedServer, names: Iterable[str], *, user: str = "board") -> None:
    """Persistent sessions that their clients leave, each with a subscription."""
    for name in names:
        async with aiomqtt.Client(
            "127.0.0.1", server.mqtt_port, username=user, password="rosebud", identifier=name, clean_session=False
        ) as left:
            await left.subscribe("boards/+/set", qos=1)


async def test_sessions_that_their_clients_left_are_removed_with_their_consumers(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    await sessions(server, [f"s{number}" for number in range(5)])
    async with aiomqtt.Client(
        "127.0.0.1", server.mqtt_port, username="board", password="rosebud", identifier="here", clean_session=False
    ) as here:
        await here.subscribe("boards/+/set", qos=2)
        assert {one.key: len(one.consumers) for one in await mqtt_sessions.find(bus)} == {
            mqtt_sessions.key("here"): 2,
            **{mqtt_sessions.key(f"s{number}"): 1 for number in range(5)},
        }
        console = await nats.connect(server.url_with_login("console"), name="console")
        try:
            removed = 0

            async def are_removed() -> bool:  # the server may see the end of a client a moment later
                nonlocal removed
                removed += await mqtt_sessions.remove_unconnected(console)
                return removed >= 5

            await becomes(are_removed)
            assert removed == 5
        finally:
            await console.close()
        assert [one.key for one in await mqtt_sessions.find(bus)] == [mqtt_sessions.key("here")]
        await bus.publish("boards.one.set", b"yes")
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(here.messages))).payload == b"yes"


async def becomes(wanted: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not await wanted():
            await asyncio.sleep(0.1)


async def told(server: Watched) -> list[str]:
    """What the server has told, once there is something: it is told after it is done."""

    async def is_told() -> bool:
        return bool(server.told())

    await becomes(is_told)
    return server.told()


async def test_a_user_with_many_sessions_keeps_its_share_and_others_subscribe(server: Watched, bus: NatsBus) -> None:
    async with mqtt(server, "flow", "sesame") as other:
        await other.subscribe("hall/#", qos=1)
        await sessions(server, [f"s{number}" for number in range(100)])

        async def is_reduced() -> bool:
            return len(await mqtt_sessions.find(bus)) == 32 + 1

        await becomes(is_reduced)
        (text,) = await told(server)
        assert "the MQTT user board has more than 32 sessions" in text
        assert text in server.warnings()
        await other.publish("hall/t", b"1", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(other.messages))).payload == b"1"


async def test_a_user_with_many_connections_keeps_its_share_and_others_connect(server: Watched, bus: NatsBus) -> None:
    links = [await asyncio.open_connection("127.0.0.1", server.mqtt_port) for _ in range(60)]
    try:
        for number, (reader, writer) in enumerate(links):
            writer.write(connect_packet("board", "rosebud", f"c{number}"))
            with suppress(OSError, EOFError):
                await reader.readexactly(4)
        async with mqtt(server, "panel", "sesame"):

            async def is_reduced() -> bool:
                users = [one.user for one in (await mqtt_sessions.connections(bus)).clients]
                return sorted(set(users)) == ["board", "panel"] and users.count("board") == 16

            await becomes(is_reduced)
            await told(server)
    finally:
        for _, writer in links:
            writer.close()
    assert [text for text in server.told() if "board" in text] == [
        "the MQTT user board has more than 16 connections: those beyond are disconnected"
    ]


async def test_a_user_that_publishes_too_fast_is_kept_out_and_others_go_on(server: Watched, bus: NatsBus) -> None:
    async with mqtt(server, "flow", "sesame") as other:
        await other.subscribe("hall/#", qos=1)
        with pytest.raises(aiomqtt.MqttError):
            # A message that is under way when the connection ends is waited for until its time-out.
            async with mqtt(server, "fast", "sesame", timeout=5.0) as client, asyncio.timeout(PATIENCE_S):
                while True:
                    for _ in range(200):
                        await client.publish("fast/t", b"1")
                    await asyncio.sleep(0.05)

        async def is_told() -> bool:
            return any("the MQTT user fast published" in text for text in server.warnings())

        await becomes(is_told)
        await other.publish("hall/t", b"1", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(aiter(other.messages))).payload == b"1"


def connect_packet(user: str, password: str, client_id: str) -> bytes:
    """CONNECT of MQTT 3.1.1 with a clean session."""
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c"
    for text in (client_id, user, password):
        body += len(text).to_bytes(2, "big") + text.encode()
    return bytes([0x10, len(body)]) + body


async def test_users_that_take_the_client_id_of_each_other_are_told(server: Watched) -> None:
    for user, password in [("board", "rosebud"), ("flow", "sesame")] * 3:
        async with aiomqtt.Client("127.0.0.1", server.mqtt_port, username=user, password=password, identifier="one"):
            pass

    (text,) = await told(server)
    assert "the MQTT users board and flow use the same client id 'one'" in text


async def test_a_message_above_the_limit_ends_its_client_and_no_other(server: EmbeddedServer) -> None:
    async with mqtt(server, "panel", "sesame") as panel:
        await panel.subscribe("sensors/#")
        with pytest.raises(aiomqtt.MqttError):
            async with mqtt(server, "board", "rosebud", timeout=0.5) as big:
                await big.publish("sensors/board/t", b"x" * 70_000, qos=1)
        async with mqtt(server, "board", "rosebud") as board:
            await board.publish("sensors/board/t", b"1")
            async with asyncio.timeout(PATIENCE_S):
                assert (await anext(aiter(panel.messages))).payload == b"1"


async def test_after_a_crash_of_the_server_the_streams_are_made_again_before_a_client(server: EmbeddedServer) -> None:
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(aiomqtt.MqttError, ConnectionError, EOFError):
                async with mqtt(server, "board", "rosebud", timeout=0.5) as board:
                    await board.publish("sensors/board/t", b"1", qos=1, retain=True)
                    break
            await asyncio.sleep(0.05)
    bus = await nats.connect(server.url_with_login(), name="test")
    try:

        async def is_stored() -> bool:
            retained, *_ = await mqtt_store.contents(bus)
            return (retained.messages, retained.limit) == (1, 4 << 20)

        await becomes(is_stored)
    finally:
        await bus.close()


@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("board", "wrong"), ("board", None), ("nobody", "rosebud"), ("house", None), ("house", "")],
)
async def test_who_is_not_known_does_not_come_in(
    server: EmbeddedServer, user: str | None, password: str | None
) -> None:
    with pytest.raises((aiomqtt.MqttError, ConnectionError, EOFError)):  # refused, or closed before it is told
        async with mqtt(server, user, password):
            pass


async def test_an_mqtt_user_does_not_come_in_over_nats(server: EmbeddedServer) -> None:
    assert await is_refused(server.url, user="board", password="rosebud")


async def test_the_configuration_with_its_passwords_is_for_us_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    assert (tmp_path / "bus" / "nats.conf").stat().st_mode & 0o077 == 0


async def test_without_the_section_there_is_no_door(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, description=BusSection())
    await server.start()
    try:
        assert server.mqtt_port == 0
        assert "mqtt" not in (tmp_path / "nats.conf").read_text()
    finally:
        await server.stop()


@pytest.mark.parametrize("topic", ["hall/3/t", "hall/pump.1/t", "hall//t", "/hall/t", "hall/é/t"])
async def test_a_retained_message_reaches_every_subscription_that_covers_it(server: EmbeddedServer, topic: str) -> None:
    """Also one to `#`, and where the topic has a dot or an empty level."""
    async with mqtt(server, "flow", "sesame") as board:
        await board.publish(topic, b"21.5", qos=1, retain=True)
    for pattern in (topic, "#" if not topic.startswith("/") else "/#", "/".join(["+"] * (topic.count("/") + 1))):
        async with mqtt(server, "flow", "sesame") as late, subscribed(late, pattern) as messages:
            async with asyncio.timeout(PATIENCE_S):
                async for message in messages:
                    if str(message.topic) == topic:
                        assert message.retain and message.payload == b"21.5"
                        break
