"""Over MQTT a user may do what its list says and nothing else; without the section there is no such door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest
import pytest_asyncio

from countingroom.bus import nats
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.errors import Denied


@pytest_asyncio.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EmbeddedServer]:
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
                        "name": "flow",
                        "password_env": "PANEL_PASSWORD",
                        "publish": ["#"],
                        "subscribe": ["#"],
                    },
                ],
            }
        }
    )
    server = EmbeddedServer(tmp_path / "bus", description=section)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[NatsBus]:
    bus = await nats.connect(server.url, name="test")
    yield bus
    await bus.close()


def mqtt(server: EmbeddedServer, user: str | None, password: str | None) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", server.mqtt_port, username=user, password=password, timeout=5)


async def test_a_user_publishes_its_topics_and_is_refused_others(server: EmbeddedServer, bus: NatsBus) -> None:
    async with bus.subscribe(">") as heard, mqtt(server, "board", "rosebud") as board:
        for topic in ("sensors/panel/t", "command/local/devices/caen", "sensors/board/t"):
            for qos in (0, 1):
                await board.publish(topic, b"21.5", qos=qos)
        async with asyncio.timeout(10):
            seen = [m.subject for m in [await anext(heard) for _ in range(2)] if not m.subject.startswith("$")]
            while seen.count("sensors.board.t") < 2:
                seen.append((await anext(heard)).subject)
    assert {subject for subject in seen if not subject.startswith(("$", "_"))} == {"sensors.board.t"}


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_user_hears_its_topics_and_is_refused_others(server: EmbeddedServer, bus: NatsBus, qos: int) -> None:
    async with mqtt(server, "board", "rosebud") as board:
        refused = []
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
            (granted,) = await board.subscribe(topic, qos=qos)
            refused.append(granted.value)
        assert min(refused) >= 128
        (granted,) = await board.subscribe("boards/+/set", qos=qos)
        assert granted.value < 128
        await bus.publish("boards.one.other", b"no")
        await bus.publish("boards.one.set", b"yes")
        async with asyncio.timeout(10):
            message = await anext(aiter(board.messages))
        assert (message.topic.value, message.payload) == ("boards/one/set", b"yes")


async def test_what_one_user_publishes_another_hears(server: EmbeddedServer) -> None:
    async with mqtt(server, "board", "rosebud") as board, mqtt(server, "panel", "sesame") as panel:
        await panel.subscribe("sensors/#", qos=1)
        await board.publish("sensors/board/t", b"1", qos=1)
        async with asyncio.timeout(10):
            assert (await anext(aiter(panel.messages))).payload == b"1"


async def test_who_may_do_everything_may_not_reach_the_inside_of_the_server(
    server: EmbeddedServer, bus: NatsBus
) -> None:
    await bus.ensure_bucket("state")
    async with mqtt(server, "flow", "sesame") as flow:
        await flow.publish("$KV/state/device/caen", b"forged", qos=1)
        await flow.publish("$JS/API/STREAM/DELETE/KV_state", b"", qos=1)
        granted = [(await flow.subscribe(topic))[0].value for topic in ("$KV/#", "$MQTT/msgs/#", "_INBOX/#", "#")]
    assert [value >= 128 for value in granted] == [True, True, True, False]
    assert await bus.get("state", "device.caen") is None


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
    with pytest.raises(Denied):
        await nats.connect(server.url, name="test", user="board", password="rosebud", timeout_s=1)


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
