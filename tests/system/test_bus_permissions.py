"""Each user of the embedded server may do what its role needs, and nothing else; what is refused fails at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from countingroom.app import bus_users
from countingroom.bus import nats, streams
from countingroom.bus.description import BusSection
from countingroom.bus.nats.bus import NatsBus
from countingroom.bus.nats.connection import NatsConnection
from countingroom.bus.port import Entry, Message
from countingroom.bus.server.credentials import SUPERVISOR
from countingroom.bus.server.permissions import BusUser
from countingroom.bus.server.server import EmbeddedServer
from countingroom.core.errors import CountingRoomError, Denied, LinkError
from countingroom.experiment import load
from tests.patience import PATIENCE_S

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

DEMO = load(Path(__file__).parents[2] / "examples" / "demo" / "experiment.yaml")
USERS: list[BusUser] = bus_users.users(DEMO)
NAMES = [user.name for user in USERS]
TRD, SLOW_CONTROL = "agent-TRD", "agent-DCS"
AT_ONCE_S = 30.0
"""Half of the time-out of a request: a refusal that is not told at once is no refusal."""
DESTRUCTIVE = [
    f"$JS.API.{what}.{stream}"
    for what in ("STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.MSG.DELETE")
    for stream in ("events", "readings", "KV_state", "KV_leases")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("bus"), description=BusSection(), users=USERS)
    await server.start()
    try:
        async with client(server, SUPERVISOR) as bus:
            await streams.prepare(bus)
            yield server
    finally:
        await server.stop()


@asynccontextmanager
async def client(server: EmbeddedServer, user: str) -> AsyncGenerator[NatsBus]:
    bus = await nats.connect(server.url, name=user, login=lambda: server.login(user))
    try:
        yield bus
    finally:
        await bus.close()


async def denied(bus: NatsBus, subject: str, data: bytes = b"") -> bool:
    """Whether the server refuses the subject, and says so at once."""
    async with asyncio.timeout(AT_ONCE_S):
        try:
            await bus.request(subject, data, timeout_s=PATIENCE_S)
        except Denied:
            return True
        except LinkError:
            return False
    return False


@pytest.mark.parametrize("user", NAMES)
async def test_no_role_purges_deletes_or_changes_a_stream(server: EmbeddedServer, user: str) -> None:
    async with client(server, user) as bus:
        assert [subject for subject in DESTRUCTIVE if not await denied(bus, subject)] == []


@pytest.mark.parametrize("user", NAMES)
async def test_only_the_console_and_run_control_command_run_control(server: EmbeddedServer, user: str) -> None:
    async with client(server, user) as bus:
        assert await denied(bus, "command.local.runs.mCBM") is (user not in {"console", "runs"})


async def test_the_alarm_department_commands_in_the_names_of_its_rules_alone(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(
        "experiment: {name: x}\nalarms:\n  rules:\n    night: {reason: r, when: {cron: '0 22 * * *'}, do: [{log: x}]}\n"
    )
    server = EmbeddedServer(tmp_path / "bus", description=BusSection(), users=bus_users.users(load(file)))
    await server.start()
    try:
        async with client(server, "alarms") as bus:
            for department in ("devices", "runs"):
                assert not await denied(bus, f"command.rule=night.{department}.x")
                for user in ("local", "rule=day", "anna"):
                    assert await denied(bus, f"command.{user}.{department}.x")
            async with bus.subscribe("events.runs.*"):
                pass
    finally:
        await server.stop()


async def test_an_agent_commands_nothing_but_the_device_of_its_description(server: EmbeddedServer) -> None:
    async with client(server, TRD) as bus:
        assert await denied(bus, "command.agents.devices.co2")
        assert await denied(bus, "command.local.systems.STS")
        assert await denied(bus, "agent.STS")
    async with client(server, SLOW_CONTROL) as bus:
        assert not await denied(bus, "command.agents.devices.co2")
        assert await denied(bus, "command.local.devices.co2")
        assert await denied(bus, "command.agents.devices.chiller")


async def test_an_agent_writes_its_own_state_only(server: EmbeddedServer) -> None:
    async with client(server, TRD) as bus, asyncio.timeout(AT_ONCE_S):
        assert await bus.put("state", "system.TRD", b"mine")
        for key in ("system.STS", "system.TRD2", "partition.mCBM", "control.mCBM", "device.co2", "detectors"):
            with pytest.raises(Denied):
                await bus.put("state", key, b"not mine")
        with pytest.raises(Denied):
            await bus.acquire("partition.mCBM", ttl_s=5, holder="agent")


async def test_an_agent_cannot_listen_to_others(server: EmbeddedServer) -> None:
    async with client(server, TRD) as bus, asyncio.timeout(AT_ONCE_S):
        for subject in (">", "_INBOX.>", "_INBOX.runs.>", "command.>", "agent.STS"):
            with pytest.raises(Denied):
                async with bus.subscribe(subject):
                    pass
        async with bus.subscribe("command.*.systems.TRD"):
            pass


async def test_a_refused_event_is_not_stored(server: EmbeddedServer) -> None:
    async with client(server, TRD) as bus, asyncio.timeout(AT_ONCE_S):
        with pytest.raises(Denied):
            await bus.append("events.runs.mCBM", b"run 7 ended")
        assert await bus.append("events.systems.TRD", b"mine")


async def test_the_roles_do_what_they_need(server: EmbeddedServer) -> None:
    async with client(server, "devices") as devices, client(server, "history") as history:
        await devices.append("readings.full.co2", b"1")
        await devices.put("state", "device.co2", b"on")
        lease = await devices.acquire("device.co2", ttl_s=5, holder="host")
        assert await devices.holders() == {"device.co2": "host"}
        await lease.release()
        consumer = await history.consumer("readings", "history")
        (first,) = await consumer.fetch(1, timeout_s=PATIENCE_S)
        await consumer.acknowledge(first.sequence)

        async def answer(message: Message) -> bytes:
            return message.data

        async with (
            client(server, "console") as console,
            history.respond("query.history.range", answer),
            console.watch("state") as entries,
        ):
            assert (await console.request("query.history.range", b"q", timeout_s=PATIENCE_S)).data == b"q"
            assert isinstance(await anext(aiter(entries)), Entry)
    async with client(server, "runs") as runs:
        lease = await runs.acquire("partition.mCBM", ttl_s=5, holder="runs")
        await runs.put("state", "partition.mCBM", b"Idle")
        await lease.release()


async def test_a_message_of_a_stream_is_never_taken_for_a_command(server: EmbeddedServer) -> None:
    """A client that may read a stream can name any subject for the delivery, also one it may not publish on."""
    taken: list[bytes] = []

    async def command(message: Message) -> bytes:
        taken.append(message.data)
        return b""

    thief = NatsConnection()
    await thief.connect(server.url, name="thief", login=lambda: server.login(TRD), timeout_s=PATIENCE_S)
    try:
        async with client(server, "runs") as runs, runs.respond("command.*.runs.mCBM", command):
            await thief.store("$KV.state.system.TRD", b"stop")
            config = {"name": "c", "ack_policy": "none", "filter_subject": "$KV.state.system.TRD", "mem_storage": True}
            await thief.api(
                "CONSUMER.CREATE.KV_state.c.$KV.state.system.TRD", {"stream_name": "KV_state", "config": config}
            )
            question = json.dumps({"batch": 1, "no_wait": True}).encode()
            await thief.publish("$JS.API.CONSUMER.MSG.NEXT.KV_state.c", question, reply="command.local.runs.mCBM")
            async with client(server, "console") as console, asyncio.timeout(PATIENCE_S):
                while int((await thief.api("CONSUMER.INFO.KV_state.c"))["delivered"]["consumer_seq"]) < 1:
                    await asyncio.sleep(0.01)
                await console.request("command.local.runs.mCBM", b"genuine", timeout_s=PATIENCE_S)
        assert taken == [b"genuine"]
    finally:
        await thief.close()


async def test_a_refused_request_names_the_subject(server: EmbeddedServer) -> None:
    async with client(server, "simulators") as bus:
        with pytest.raises(CountingRoomError, match=r"does not allow this process to send to agent\.TRD"):
            await bus.request("agent.TRD", b"", timeout_s=PATIENCE_S)
