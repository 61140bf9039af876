"""Each MQTT user has a share of connections, sessions and consumers; what is beyond it is removed and told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
from msgspec import structs

from countingroom.bus.description import DEFAULT_MESSAGES_PER_S, Mqtt
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.server.mqtt_clients import ConnectedClients
from countingroom.bus.server.mqtt_guard import BLIND_S, LOOK_S, QUIET_S, MqttGuard
from countingroom.bus.server.mqtt_rates import PAUSE_S, MessageRates
from countingroom.bus.server.mqtt_sessions import MqttConnection, MqttSession, key
from countingroom.bus.server.mqtt_shares import Share, surplus
from countingroom.core.messages import Event
from countingroom.testing.clock import FakeClock
from tests.patience import PATIENCE_S

SMALL = Share(connections=2, sessions=3, consumers=5)


def client(cid: int, user: str, client_id: str = "") -> MqttConnection:
    return MqttConnection(cid=cid, user=user, client_id=client_id or f"{user}{cid}")


def session(name: str, consumers: int = 1) -> MqttSession:
    return MqttSession(key=key(name), consumers=tuple(("$MQTT_msgs", f"{key(name)}_{n}") for n in range(consumers)))


def test_the_newest_connections_beyond_the_share_of_their_user_are_refused() -> None:
    clients = [client(5, "a"), client(1, "a"), client(3, "a"), client(9, "b")]
    found = surplus(clients, [], shares={"a": SMALL}, owners={})
    assert [one.cid for one in found.connections] == [5]


def test_the_newest_sessions_beyond_the_share_are_removed_and_those_of_connected_clients_last() -> None:
    sessions = [session(f"s{number}") for number in range(6)]
    owners = {one.key: "a" for one in sessions}
    found = surplus([client(1, "a", "s5")], sessions, shares={"a": SMALL}, owners=owners)
    assert found.connections == ()
    assert [one.key for one in found.sessions] == [key("s2"), key("s3"), key("s4")]


def test_a_session_with_too_many_consumers_goes_with_its_connection() -> None:
    found = surplus([client(1, "a", "s")], [session("s", 6)], shares={"a": SMALL}, owners={key("s"): "a"})
    assert [one.cid for one in found.connections] == [1]
    assert [one.key for one in found.sessions] == [key("s")]


def test_sessions_of_another_user_stay() -> None:
    sessions = [session(f"s{number}") for number in range(9)]
    owners = {one.key: "ab"[number % 2] for number, one in enumerate(sessions)}
    found = surplus([], sessions, shares={"a": SMALL}, owners=owners)
    assert {owners[one.key] for one in found.sessions} == {"a"}


def test_a_client_that_connects_again_takes_its_own_place() -> None:
    clients = ConnectedClients()
    assert [clients.add(client(cid, "a", name)) for cid, name in ((1, "x"), (2, "y"), (3, "x"))] == [1, 2, 2]
    clients.remove(client(1, "a", "x"))
    assert clients.add(client(4, "a", "z")) == 3
    clients.remove(client(3, "a", "x"))
    clients.remove(client(4, "a", "z"))
    assert clients.add(client(5, "a", "y")) == 1


class Bench:
    """A server as the guard sees it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.bus = MemoryBus(self.clock)
        self.last = 0
        self.sessions: dict[str, list[str]] = {}
        self.connections: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.fails = False
        users = [{"name": name, "password_env": "PATH", "max_connections": 400} for name in ("a", "b")]
        mqtt = Mqtt.model_validate({"users": [*users, {"name": "c", "password_env": "PATH"}]})
        self.guard = MqttGuard(self.bus, self.clock, mqtt=mqtt, on_event=self.events.append)

    def add(self, user: str, number: int, consumers: int = 1) -> None:
        """Connected clients, each with a session."""
        for _ in range(number):
            self.last = cid = self.last + 1
            self.connections.append({"cid": cid, "authorized_user": user, "mqtt_client": f"c{cid}"})
            self.sessions[key(f"c{cid}")] = [f"{key(f'c{cid}')}_{one}" for one in range(consumers)]

    async def answer(self, message: Message) -> bytes:
        word, *rest = message.subject.removeprefix("server.mqtt").lstrip("._").split(".")
        if self.fails:
            return b'{"error": {"description": "stream not found"}}'
        if word == "INFO":
            return json.dumps({"state": {"subjects": {f"$MQTT.sess.{one}": 1 for one in self.sessions}}}).encode()
        if word == "connections":
            return json.dumps({"data": {"server_id": "S", "connections": self.connections}}).encode()
        if word == "kick":
            cid = json.loads(message.data)["cid"]
            self.connections = [one for one in self.connections if one["cid"] != cid]
            self.sessions.pop(key(f"c{cid}"), None)
        if rest[0] == "NAMES":
            offset = json.loads(message.data)["offset"]
            names = [one for names in self.sessions.values() for one in names] if rest[1] == "$MQTT_msgs" else []
            return json.dumps({"total": len(names), "consumers": names[offset : offset + 300]}).encode()
        if word == "PURGE":
            self.sessions.pop(json.loads(message.data)["filter"].removeprefix("$MQTT.sess."), None)
        return b"{}"


@pytest.fixture
async def bench() -> AsyncGenerator[Bench]:
    bench = Bench()
    async with AsyncExitStack() as stack:
        for subject in (
            *("server.mqtt.INFO.*", "server.mqtt.PURGE.*", "server.mqtt_consumers.NAMES.*"),
            *("server.mqtt_consumers.DELETE.*.*", "server.mqtt_connections", "server.mqtt_kick.*"),
        ):
            await stack.enter_async_context(bench.bus.respond(subject, bench.answer))
        yield bench


async def test_nearly_all_connections_are_a_warning_with_the_user_that_has_most(bench: Bench) -> None:
    bench.add("a", 300)
    bench.add("b", 109)
    await bench.guard.look()
    assert bench.guard.warnings() == []
    bench.add("b", 1)
    await bench.guard.look()
    (text,) = bench.guard.warnings()
    assert "410 of 512 connections of MQTT clients are used, 300 by the MQTT user a" in text
    assert bench.events == []


async def test_nearly_all_consumers_are_a_warning(bench: Bench) -> None:
    bench.add("a", 100, 8)
    await bench.guard.look()
    (text,) = bench.guard.warnings()
    assert "800 of 1000 consumers of MQTT clients are used, 800 by the MQTT user a" in text


async def test_what_is_removed_is_told_once_and_is_a_warning_until_it_was_quiet(bench: Bench) -> None:
    for _ in range(2):
        bench.add("c", 20)
        await bench.guard.look()
        assert sum(one["authorized_user"] == "c" for one in bench.connections) == 16
    assert [event.source for event in bench.events] == ["mqtt"]
    assert bench.guard.warnings() == [bench.events[0].message]
    await bench.clock.advance(QUIET_S + 1)
    await bench.guard.look()
    assert bench.guard.warnings() == []


@pytest.fixture
async def running(bench: Bench) -> AsyncGenerator[Bench]:
    """With the guard at work, after its first look."""
    task = asyncio.create_task(bench.guard.run())
    await bench.clock.advance(LOOK_S - 1)
    yield bench
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_client_beyond_the_share_is_disconnected_at_once(running: Bench) -> None:
    async with running.bus.subscribe("server.mqtt_kick.*") as kicked:
        for cid in range(1, 18):
            one = {"id": cid, "user": "c", "client_id": f"c{cid}"}
            data = json.dumps({"server": {"id": "S"}, "client": one}).encode()
            await running.bus.publish("server.mqtt_clients.CONNECT", data)
        async with asyncio.timeout(PATIENCE_S):
            message = await anext(kicked)
    assert (message.subject, message.data) == ("server.mqtt_kick.S", b'{"cid": 17}')
    assert ["more than 16 connections" in event.message for event in running.events] == [True]


async def test_many_new_consumers_of_a_user_are_looked_at_at_once(running: Bench) -> None:
    running.add("c", 3, 50)
    one = {"id": 1, "user": "c", "client_id": "c1"}
    await running.bus.publish("server.mqtt_clients.CONNECT", json.dumps({"client": one}).encode())
    for number in range(129):
        assert running.events == []
        await running.bus.publish(f"server.mqtt_clients.CONSUMER.{key('c1')}_{number}", b"{}")
    await running.clock.advance(0.1)
    assert ["128 subscriptions" in event.message for event in running.events] == [True]
    assert len(running.sessions) == 2


async def test_limits_that_are_not_watched_for_long_are_a_warning(bench: Bench) -> None:
    bench.fails = True
    await bench.guard.look()
    assert bench.guard.warnings() == []
    await bench.clock.advance(BLIND_S + 1)
    await bench.guard.look()
    assert bench.guard.warnings() == ["the limits of MQTT users are not watched: " + WHY]
    bench.fails = False
    await bench.guard.look()
    assert bench.guard.warnings() == []


WHY = "the bus refuses server.mqtt.INFO.$MQTT_sess: stream not found"


async def _flood(bench: Bench, user: str, messages: int) -> None:
    """A second in which each client of the user publishes so many."""
    await bench.guard.look_at_rates()
    for one in bench.connections:
        if one["authorized_user"] == user:
            one["in_msgs"] = one.get("in_msgs", 0) + messages
    await bench.clock.advance(1.0)
    await bench.guard.look_at_rates()


async def test_a_user_that_publishes_too_fast_is_kept_out_and_told_and_no_other(bench: Bench) -> None:
    bench.add("a", 3)
    bench.add("c", 2)
    await _flood(bench, "c", DEFAULT_MESSAGES_PER_S // 2)
    assert len(bench.connections) == 5 and bench.events == []
    await _flood(bench, "c", 18_000)
    assert {one["authorized_user"] for one in bench.connections} == {"a"}
    (event,) = bench.events
    assert event.message == (
        "the MQTT user c published 36000 messages/s, more than 5000: its clients are kept out for 10 s"
    )
    assert bench.guard.warnings() == [event.message]


async def test_a_user_is_kept_out_for_a_while_and_longer_when_it_does_it_again(bench: Bench) -> None:
    for pause_s in (PAUSE_S, 2 * PAUSE_S):
        bench.add("c", 1)
        await _flood(bench, "c", 36_000)
        await bench.clock.advance(pause_s - 0.5)
        bench.add("c", 1)
        await bench.guard.look_at_rates()
        assert bench.connections == []
        await bench.clock.advance(1.0)
        bench.add("c", 1)
        await bench.guard.look_at_rates()
        assert len(bench.connections) == 1
        bench.connections.clear()
    assert [event.message.rpartition(" for ")[2] for event in bench.events] == ["10 s"], "told once while it goes on"


async def test_a_client_of_a_user_that_is_kept_out_is_disconnected_as_it_comes(running: Bench) -> None:
    running.add("c", 1)
    await _flood(running, "c", 36_000)
    async with running.bus.subscribe("server.mqtt_kick.*") as kicked:
        one = {"id": 77, "user": "c", "client_id": "again"}
        await running.bus.publish("server.mqtt_clients.CONNECT", json.dumps({"client": one}).encode())
        async with asyncio.timeout(PATIENCE_S):
            while (await anext(kicked)).data != b'{"cid": 77}':
                pass


def test_messages_of_connections_that_ended_count_and_those_before_the_first_look_do_not() -> None:
    rates = MessageRates({"a": 10})
    old, new = client(1, "a"), client(2, "a")
    assert rates.look([structs.replace(old, messages=1_000_000)], 0.0) == []
    rates.ended(old, 1_000_004)
    rates.ended(new, 6)
    assert rates.look([], 1.0) == []
    assert rates.look([structs.replace(old, messages=50)], 2.0)[0].per_s == 50
    assert rates.is_paused("a", 2.0) and not rates.is_paused("a", 2.0 + PAUSE_S)
    assert rates.look([], 2.0 + PAUSE_S) == []
    rates.ended(old, 55)  # its end is reported after the look that did not find it any more
    assert rates.look([], 3.0 + PAUSE_S) == []


def test_a_user_that_kept_its_limit_for_long_begins_with_the_short_pause_again() -> None:
    rates = MessageRates({})
    pauses: list[float] = []
    now_s = 0.0
    for wait_s in (1.0, 100.0, 100.0, 4000.0):
        now_s += wait_s
        rates.look([], now_s)
        now_s += 1.0
        pauses += [one.pause_s for one in rates.look([structs.replace(client(1, "b"), messages=100_000)], now_s)]
    assert pauses == [PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S, PAUSE_S]
