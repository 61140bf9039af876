"""No message ends a task that follows the bus: malformed ones are counted, told once, and the next ones are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from countingroom.bus.ask import ask, stored_state
from countingroom.bus.dead_letters import KEPT, SUBJECTS, DeadLetters
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.port import Message
from countingroom.bus.presence import LETTERS, PROCESSES, Roster, heartbeat
from countingroom.bus.streams import prepare
from countingroom.core import subjects
from countingroom.core.clock import SystemClock
from countingroom.core.errors import MOST_DEPTH, Cause, LinkError
from countingroom.core.messages import (
    Catalogue,
    Command,
    DeviceState,
    Event,
    Link,
    Malformed,
    Presence,
    Readings,
    Reply,
    decode,
    decode_json,
    encode,
)
from countingroom.core.points import Point
from countingroom.core.systems import SystemKind, SystemState
from countingroom.runs.monitor.agent_liveness import Liveness
from countingroom.runs.monitor.system_states import SystemStates
from countingroom.testing.clock import FakeClock
from tests.console.stage import Stage, served, stage
from tests.patience import PATIENCE_S

POISON = {
    "a truncated map": bytes.fromhex("81a17a"),
    "nested arrays": b"\x91" * 2000,
    "nothing": b"\xc0",
    "nested arrays in an unknown field": b"\x81\xa1z" + b"\x91" * 2000,
    "a text that is not UTF-8": b"\x81\xa4role\xa2\xff\xff",
    "a false length": b"\x81\xa6points\xdd\xff\xff\xff\xff",
    "empty": b"",
    "JSON": b"{}",
}
KINDS = (Catalogue, DeviceState, Event, Presence, Readings, Reply, SystemState)


def beat(role: str, instance: str = "main", **more: object) -> Presence:
    known = {"boot": "b", "host": "h", "pid": 1, "interval_s": 1.0, "sent_ns": 0} | more
    return Presence(role=role, instance=instance, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", POISON.values(), ids=POISON)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_that_are_no_message_raise_one_error(data: bytes, kind: type) -> None:
    with pytest.raises(Malformed):
        decode(data, kind)


@pytest.mark.parametrize("data", [b"[" * 1100, b"\xff", b"\xef\xbb\xbf{}", b"", b'{"a":' * 1100])
def test_bytes_that_are_no_json_raise_one_error(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_json(data, dict[str, object])


def row(**more: object) -> dict[str, object]:
    """A message of readings with one row, as plain values."""
    known = {"device": "caen", "boot": "b", "sequence": 1, "full": True, "sent_ns": 1, "points": ["a"]}
    return known | {"values": [1.0], "qualities": [0], "device_ns": [1], "received_ns": [1]} | more


@pytest.mark.parametrize(
    "more",
    [
        {"values": []},
        {"points": []},
        {"qualities": [4]},
        {"qualities": [-1]},
        {"device_ns": [1 << 63]},
        {"received_ns": [-(1 << 63) - 1]},
        {"sent_ns": 1 << 63},
        {"sequence": 1 << 64},
        {"values": [[1.0]]},
    ],
)
def test_readings_that_no_reader_can_use_are_malformed(more: dict[str, object]) -> None:
    assert decode(msgspec.msgpack.encode(row()), Readings).values == [1.0]
    with pytest.raises((Malformed, OverflowError)):
        decode(msgspec.msgpack.encode(row(**more)), Readings)


@pytest.mark.parametrize("interval_s", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_heartbeat_that_keeps_its_process_for_ever_is_malformed(interval_s: float) -> None:
    with pytest.raises(Malformed):
        decode(encode(beat("x", interval_s=interval_s)), Presence)


@pytest.mark.parametrize("point", [{"precision": 1_000_000_000}, {"precision": -1}, {"severity": 7}])
def test_a_point_that_cannot_be_shown_is_malformed(point: dict[str, int]) -> None:
    with pytest.raises(Malformed):
        decode(encode(Point(name="a", **point)), Point)  # type: ignore[arg-type]


def test_a_long_chain_of_causes_is_cut_and_can_be_written() -> None:
    cause = Cause(code="a", message="m")
    for _ in range(3000):
        cause = Cause(code="a", message="m", causes=(cause,))
    assert len(str(decode(encode(cause), Cause)).splitlines()) <= MOST_DEPTH


def test_a_subject_is_told_once_and_memory_is_bounded() -> None:
    letters = DeadLetters()
    for number in range(3 * SUBJECTS):
        letters.read(f"presence.x.{number}", b"\xc0" * 10_000, Presence)
        letters.read(f"presence.x.{number}", b"\xc0", Presence)
    assert letters.count == 6 * SUBJECTS
    taken = letters.take(10 * KEPT)
    assert len(taken) == KEPT
    assert max(len(one.head) for one in taken) < 1000
    assert letters.take(1) == []


async def test_a_dead_letter_becomes_one_event_and_a_count_in_the_heartbeat() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    for _ in range(3):
        bus.dead_letters.read("presence.x.y", b"\x91" * 2000, Presence)
    async with bus.subscribe("presence.>") as beats, bus.subscribe("events.>") as events:
        task = asyncio.create_task(
            heartbeat(bus, clock, role="runs", instance="main", boot="b", troubles=lambda: ["no disk"])
        )
        await clock.advance(2)
        event = decode((await anext(events)).data, Event)
        heard = decode((await anext(beats)).data, Presence)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await bus.publish("events.end.end", b"")
        assert (await anext(events)).subject == "events.end.end"
    assert (heard.dead_letters, heard.troubles) == (3, ("no disk",))
    assert event.data["subject"] == "presence.x.y"
    assert str(event.data["head"]).startswith("91 91")


async def test_dead_letters_are_told_at_a_bounded_rate() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    for number in range(50):
        bus.dead_letters.read(f"presence.x.{number}", b"", Presence)
    async with bus.subscribe("events.>") as events:
        task = asyncio.create_task(heartbeat(bus, clock, role="runs", instance="main", boot="b"))
        await clock.advance(0)
        for _ in range(LETTERS):
            await anext(events)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(events)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_the_roster_is_bounded_and_keeps_those_it_has() -> None:
    roster = Roster(FakeClock())
    for number in range(PROCESSES + 10):
        roster.hear(beat("x", str(number)))
    roster.hear(beat("x", "0", targets=("caen",)))
    assert len(roster.present()) == PROCESSES
    assert roster.targets() == {"caen"}


async def test_an_answer_that_is_not_understood_is_a_lost_link() -> None:
    bus = MemoryBus(FakeClock())

    async def answer(message: Message) -> bytes:
        return b"\x91" * 2000

    async with bus.respond("agent.sts", answer):
        with pytest.raises(LinkError) as caught:
            await ask(bus, "agent.sts", Command(id="1", action="a", issued_ns=0, deadline_ns=0), Reply, timeout_s=1.0)
    assert caught.value.cause.code == "nonsense"


async def test_a_key_that_is_not_understood_counts_as_missing() -> None:
    bus = MemoryBus(FakeClock())
    await prepare(bus)
    await bus.put("state", "device.caen", b"\x91" * 2000)
    assert await stored_state(bus, "device.caen", DeviceState) is None
    assert bus.dead_letters.count == 1


# The console.


@pytest.fixture
async def here() -> AsyncGenerator[Stage]:
    async with stage(SystemClock()) as playing:
        yield playing


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_console_goes_on_after_messages_that_it_does_not_understand(here: Stage) -> None:
    async with served(here) as (app, web):
        room = app.state.context
        for data in POISON.values():
            await here.bus.publish("presence.x.y", data)
            await here.bus.append("readings.delta.caen", data)
            await here.bus.append("readings.full.caen", data)
            await here.bus.append("events.devices.caen", data)
            for key in ("device.caen", "channel.caen.0", "catalogue.caen", "partition.a", "control.a", "detectors"):
                await here.bus.put("state", key, data)
        await here.readings("caen", {"0.hv_vMon": 77.0})
        await here.state("caen", "LV_ON")
        await here.beat("caen")
        number = await here.event("caen", message="later")
        await settled()
        room.feed.tick()
        assert room.latest.readings["caen"]["0.hv_vMon"].value == 77.0
        assert room.latest.states["device.caen"].state == "LV_ON"
        assert room.recent_events.recent(1)[0][0] == number
        assert room.bus.dead_letters.count >= 4 * len(
            POISON
        )  # of a key the last value may be the only one that is seen
        assert (await web.get("/readyz")).status_code == 200


async def test_a_heartbeat_in_the_name_of_another_process_is_not_believed(here: Stage) -> None:
    async with served(here) as (app, _):
        await here.bus.publish("presence.x.y", encode(beat("devices", "other", targets=("ghost",))))
        await settled()
        assert "ghost" not in app.state.context.latest.alive
        assert app.state.context.bus.dead_letters.count == 1


def fail_at(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the copy of the present fail with an error of our own code."""

    async def broken() -> None:
        raise IndexError("a mistake")

    monkeypatch.setattr(app.state.context.latest, "_sweep", broken)


async def test_a_console_whose_follower_died_is_not_ready_and_says_so(
    here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countingroom.console.app import create

    app = create(here.bus.client(), here.clock, title="t", version="0")
    fail_at(app, monkeypatch)
    async with app.router.lifespan_context(app):
        with pytest.raises(Exception, match="latest of the console ended"):
            async with asyncio.timeout(PATIENCE_S):
                await app.state.context.until_failed()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as web:
            assert (await web.get("/healthz")).status_code == 200
            answer = await web.get("/readyz")
    assert answer.status_code == 503
    assert "latest of the console ended" in answer.text


async def test_a_failed_tick_of_the_live_feed_does_not_end_it_and_is_told(
    here: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(here) as (app, web):
        room = app.state.context
        failed = asyncio.Event()
        gather = room.feed._gather

        def broken() -> None:
            failed.set()
            raise TypeError("a mistake")

        monkeypatch.setattr(room.feed, "_gather", broken)
        async with asyncio.timeout(PATIENCE_S):
            await failed.wait()
        await settled()
        assert "live feed" in (await web.get("/readyz")).text
        monkeypatch.setattr(room.feed, "_gather", gather)
        await here.readings("caen", {"0.hv_vMon": 78.0})
        before = room.feed.revision
        async with asyncio.timeout(PATIENCE_S):
            while room.feed.revision == before:
                await asyncio.sleep(0.01)


async def test_readiness_names_each_role_that_is_silent_or_in_trouble(here: Stage) -> None:
    from countingroom.console.app import create

    app = create(here.bus.client(), here.clock, title="t", version="0", beside=("devices", "history", "runs"))
    async with app.router.lifespan_context(app):
        await app.state.context.latest.ready()
        await here.beat("caen")
        await here.bus.publish("presence.history.main", encode(beat("history", troubles=("the disk is full",))))
        await settled()
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as web:
            answer = await web.get("/readyz")
            metrics = (await web.get("/metrics")).text
            causes = {one["source"]: one["message"] for one in answer.json()["cause"]["causes"]}
            assert answer.status_code == 503
            assert causes == {"history": "the disk is full", "runs": "no heartbeat of the role runs is received"}
            assert 'countingroom_role_ready{role="runs"} 0.0' in metrics
            assert 'countingroom_role_ready{role="devices"} 1.0' in metrics
            for role in ("history", "runs"):
                await here.bus.publish(f"presence.{role}.main", encode(beat(role)))
            await settled()
            answer = await web.get("/readyz")
            assert answer.status_code == 200
            assert [one["role"] for one in answer.json()["roles"]] == ["console", "devices", "history", "runs"]


# Run control.


async def test_run_control_goes_on_after_messages_that_it_does_not_understand() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    await prepare(bus)
    states = SystemStates(bus, clock)
    running = asyncio.create_task(states.run())
    await clock.advance(0)
    for data in POISON.values():
        await bus.put("state", "system.sts", data)
        await bus.publish("pulse.sts", data or b"\xc0")
        await bus.publish(subjects.DEPARTURES, data)
    report = SystemState(
        system="trd", kind=SystemKind.DETECTOR, state="Idle", common="Idle", boot="b", sequence=1, since_ns=1
    )
    await bus.put("state", "system.trd", encode(report))
    await bus.publish("pulse.trd", encode(beat("agent", "trd")))
    await clock.advance(0)
    assert states.present("trd") == report
    assert not running.done()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_an_agent_is_heard_after_a_malformed_heartbeat() -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    changes: list[object] = []
    liveness = Liveness(bus, clock, changes.append)
    running = asyncio.create_task(liveness.run())
    await clock.advance(0)
    await bus.publish("pulse.trd", POISON["nested arrays in an unknown field"])
    await bus.publish("pulse.trd", encode(beat("agent", "trd")))
    await clock.advance(0)
    assert liveness.connected("trd")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_a_state_with_the_deepest_cause_can_be_shown() -> None:
    cause = Cause(code="a", message="m")
    for _ in range(900):
        cause = Cause(code="a", message="m", causes=(cause,))
    state = DeviceState(device="caen", state="ERROR", link=Link.CONNECTED, since_ns=0, cause=cause)
    assert msgspec.json.encode(decode(encode(state), DeviceState))
