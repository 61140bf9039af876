"""Any bytes at any decoder: nothing dies, nothing grows, the neighbours go on.

A case is a handful of payloads at once: random bytes, known poison, and valid messages that were changed a little.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countingroom.bus import disconnects, streams
from countingroom.bus.command_request import CommandHandler, CommandRequest
from countingroom.bus.command_server import CommandServer
from countingroom.bus.dead_letters import KEPT, SUBJECTS
from countingroom.bus.memory.bus import MemoryBus
from countingroom.bus.nats.lease import holder_of
from countingroom.bus.port import Message
from countingroom.bus.presence import PROCESSES
from countingroom.bus.publisher import Publisher
from countingroom.core import subjects
from countingroom.core.alarms.queries import DefinitionQuery, HistoryQuery
from countingroom.core.alarms.states import AlarmState
from countingroom.core.apply_description.messages import ApplyQuery
from countingroom.core.charts.check import check
from countingroom.core.charts.table import read_map, read_table
from countingroom.core.clock import SystemClock
from countingroom.core.errors import Cause, CountingRoomError
from countingroom.core.messages import (
    Catalogue,
    Command,
    DeviceState,
    Event,
    Malformed,
    MessageDecoder,
    Presence,
    Readings,
    Reply,
    decode,
    decode_json,
    encode,
)
from countingroom.core.partitions import PartitionState
from countingroom.core.points import Point, Type
from countingroom.core.policy import Permission
from countingroom.core.run_queries import MoveQuery, PlanQuery
from countingroom.core.series import QueryRefusal
from countingroom.core.systems import Answer, Order, Placement, SystemState
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.epics.convert import Variable
from countingroom.devices.drivers.epics.convert import sample as of_epics
from countingroom.devices.drivers.julabo import codec as julabo
from countingroom.devices.drivers.modbus import codec as modbus
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.payloads import sample as of_mqtt
from countingroom.devices.drivers.mqtt.topics import routes
from countingroom.devices.host.points import PointTable
from countingroom.devices.port import Sample
from countingroom.devices.serial.pending_answers import PendingAnswers, Probe
from countingroom.experiment import load
from countingroom.history.columns import flatten
from countingroom.history.port import Position
from countingroom.history.queries import Queries
from countingroom.runs.monitor.system_states import SystemStates
from countingroom.runs.owner_messages import Hold, Release
from countingroom.testing.clock import FakeClock
from tests.console.stage import CHILLER, served, stage
from tests.memory_store import MemoryStore
from tests.property.payloads import VALID, payload

payloads = st.lists(payload, min_size=10, max_size=30)
few = settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

KEYS = ("device.caen", "channel.caen.0", "catalogue.chiller", "partition.a", "system.sts", "control.a", "detectors")


@few
@given(payloads)
def test_the_console_goes_on(found: list[bytes]) -> None:
    async def case() -> None:
        async with stage(SystemClock()) as here, served(here) as (app, web):
            room = app.state.context
            for number, data in enumerate(found):
                await here.bus.publish(f"presence.x.{number}", data)
                await here.bus.publish("presence.devices.main", data)
                await here.bus.append("readings.delta.caen", data)
                await here.bus.append("readings.full.chiller", data)
                await here.bus.append("events.devices.caen", data)
                await here.bus.put("state", KEYS[number % len(KEYS)], data)
            await here.catalogue(CHILLER)
            await here.readings("caen", {"0.hv_vMon": 77.0})
            number = await here.event("caen", message="later")
            for _ in range(10):
                await asyncio.sleep(0)
            room.feed.tick()
            assert room.latest.readings["caen"]["0.hv_vMon"].value == 77.0
            assert room.recent_events.recent(1)[0][0] == number
            assert room.failure is None
            assert not room.feed.troubles()
            assert (await web.get("/api/v1/devices/caen")).status_code == 200
            assert len(room.bus.dead_letters.take(10 * KEPT)) <= KEPT < SUBJECTS < PROCESSES

    asyncio.run(case())


@few
@given(payloads)
def test_run_control_goes_on(found: list[bytes]) -> None:
    async def case() -> None:
        clock = FakeClock()
        bus = MemoryBus(clock)
        await streams.prepare(bus)
        states = SystemStates(bus, clock)
        running = asyncio.create_task(states.run())
        await clock.advance(0)
        for data in found:
            await bus.put("state", "system.sts", data)
            await bus.publish("pulse.sts", data)
            await bus.publish(subjects.DEPARTURES, data)
        report = SystemState(system="trd", state="Idle", common="Idle", sequence=1, boot="b", since_ns=1)
        await bus.put("state", "system.trd", encode(report))
        await clock.advance(0)
        assert states.present("trd") == report
        assert not running.done()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(case())


class Target:
    """A target with one command that does nothing."""

    def handler(self, command: Command) -> CommandHandler:
        return CommandHandler(self._done, takes=None)

    async def _done(self, request: CommandRequest) -> None:
        return

    def permission(self, command: Command) -> Permission:
        return Permission.OPERATE

    def present(self, command: Command) -> str:
        return ""

    def refusal(self, request: CommandRequest) -> Cause | None:
        return None

    async def settle(self) -> dict[str, int]:
        return {}


@few
@given(payloads)
def test_a_command_server_answers_everything(found: list[bytes]) -> None:
    async def case() -> None:
        clock = FakeClock()
        bus = MemoryBus(clock)
        await streams.prepare(bus)
        publisher = Publisher(bus, clock, "x")
        server = CommandServer(bus, clock, "devices", "caen", Target(), publisher)
        running = asyncio.create_task(server.run())
        await clock.advance(0)
        for data in found:
            asked = asyncio.create_task(bus.request("command.ann.devices.caen", data, timeout_s=1.0))
            await clock.advance(0)
            assert isinstance(decode((await asked).data, Reply), Reply)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(case())


@few
@given(payloads)
def test_the_history_stores_what_it_understands_and_answers_every_query(found: list[bytes]) -> None:
    store = MemoryStore()
    sequence = 0
    for data in found:
        with suppress(Malformed):
            message = decode(data, Readings)
            sequence += 1
            store.append(flatten([message]), Position(sequence=sequence, stored_ns=sequence))
    queries = Queries(store, SystemClock())
    for data in found:
        for answer in queries.answers.values():
            assert answer(data)
    good = decode(VALID[1], Readings)
    store.append(flatten([good]), Position(sequence=sequence + 1, stored_ns=sequence + 1))
    with pytest.raises(Malformed):
        decode(queries.answers["last"](VALID[-1]), QueryRefusal)


DECODED: tuple[Any, ...] = (
    *(Catalogue, Command, DeviceState, Event, Order, Answer, Placement, Presence, Readings, Reply, SystemState),
    *(PartitionState, PlanQuery, MoveQuery, ApplyQuery, Hold | Release, AlarmState, DefinitionQuery, HistoryQuery),
)


@given(payload)
def test_a_decoder_of_the_bus_raises_malformed_and_nothing_else(data: bytes) -> None:
    for kind in DECODED:
        with suppress(Malformed):
            message = decode(data, MessageDecoder(kind))
            msgspec.json.encode(message)
            encode(message)  # type: ignore[arg-type]
    with suppress(Malformed):
        decode_json(data, dict[str, object])
    assert isinstance(holder_of(data), str)
    disconnects.read(Message(subject=subjects.DEPARTURES, data=data))


@given(payload, st.sampled_from(["int", "float", "string", "bool"]), st.sampled_from(["", "a", "a.0"]))
def test_a_board_makes_its_own_point_bad_and_no_other(data: bytes, kind: str, field: str) -> None:
    section = MqttSensorsSection.model_validate(
        {"driver": "mqtt", "sensors": {"b": ""}, "values": {"v": {"topic": "{sensor}/v", "type": kind, "field": field}}}
    )
    (route,) = routes(section)
    table = PointTable("d", [route.point, Point(name="other")], 0)
    given = of_mqtt(route, data, retained=False, now_ns=0)
    table.take([*([given] if given else []), Sample(point="other", value=1.0)], now_ns=1, monotonic=0.0)
    message = table.message(full=True, boot="b", sent_ns=0)
    assert message
    assert dict(decode(encode(message), Readings).rows())["other"].quality == Quality.GOOD


@given(payload)
def test_a_serial_answer_is_a_value_or_a_device_error(data: bytes) -> None:
    parsers: tuple[Callable[[bytes], object], ...] = (
        julabo.parse_status,
        julabo.parse_number,
        julabo.parse_sensor,
        julabo.parse_setpoint_number,
        julabo.parse_switch,
    )
    for parser in parsers:
        with suppress(CountingRoomError):
            parser(data)
    julabo.is_status(data)
    julabo.is_version(data)
    pending = PendingAnswers([Probe(request=b"status\r", recognises=julabo.is_status)])
    for _ in range(3):
        pending.opened(0.0)
        pending.asked(b"status\r", 0.0)
        pending.stray(data)
        pending.belongs(data)


@given(
    st.sampled_from(["int16", "uint16", "int32", "uint32", "float32", "float64"]),
    st.lists(st.integers(0, 65535), min_size=4, max_size=4),
)
def test_modbus_words_make_a_reading_that_can_be_published(kind: str, words: list[int]) -> None:
    value = modbus.decode(kind, words[: modbus.width(kind)], modbus.WordOrder())
    published(Point(name="p", type=Type.FLOAT if kind.startswith("float") else Type.INT), value)


class Update(np.ndarray):  # type: ignore[type-arg]
    """An update of Channel Access, as aioca gives it."""

    ok = True
    severity = 0
    raw_stamp = (1 << 62, 5)


@given(payload, st.sampled_from(Type), st.sampled_from([{}, {"on": True, "off": False}]))
def test_an_array_of_channel_access_makes_a_reading_that_can_be_published(
    data: bytes, kind: Type, words: dict[str, float | int | str | bool]
) -> None:
    point = Point(name="p", type=kind)
    given_ = np.frombuffer(data, np.uint8).view(Update)
    found = of_epics(Variable(pv="x", point=point, words=words), given_)
    published(point, found.value, device_ns=found.device_ns)


def published(point: Point, value: Scalar, *, device_ns: int | None = None) -> None:
    """The host takes this value of a driver, and its message can be encoded and decoded."""
    table = PointTable("d", [point], 0)
    table.take([Sample(point=point.name, value=value, device_ns=device_ns)], now_ns=1, monotonic=0.0)
    message = table.message(full=True, boot="b", sent_ns=0)
    assert message
    assert decode(encode(message), Readings).points == [point.name]


@settings(max_examples=20)
@given(payload)
def test_a_state_table_is_a_chart_or_a_mistake(data: bytes) -> None:
    text = data.decode(errors="replace")
    for file in ("a.csv", "a.yaml"):
        with suppress(CountingRoomError):
            check(read_table(text, file=file))
    with suppress(CountingRoomError):
        read_map(text, file="map.csv")


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(payload, st.sampled_from([b"experiment: {title: t}\n", b"devices:\n  a: {driver: mqtt}\n"])))
def test_a_description_is_right_or_a_mistake(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_bytes(data)
    with suppress(CountingRoomError):
        load(file)


BODIES = (
    "/api/v1/devices/caen/commands/set",
    "/api/v1/partitions/a/commands/goal",
    "/api/v1/experiment/commands/move",
    "/api/v1/systems/sts/commands/reset",
    "/api/v1/simulators/caen/faults/drop",
    "/api/v1/login",
    "/api/v1/mqtt/clear",
)


@settings(max_examples=2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(payloads)
def test_a_body_of_a_request_is_refused_and_the_next_is_answered(found: list[bytes]) -> None:
    async def case() -> None:
        async with stage(SystemClock()) as here, served(here) as (_, web):
            for number, data in enumerate(found):
                where = BODIES[number % len(BODIES)]
                answer = await web.post(where, content=data, headers={"Content-Type": "application/json"})
                assert answer.status_code != 500, (where, data)
            assert (await web.get("/readyz")).status_code == 200

    asyncio.run(case())
