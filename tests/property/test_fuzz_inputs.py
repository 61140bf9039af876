"""Anything at the inputs where people, boards and gateways write: nothing dies, nothing grows, the neighbours go on.

The decoders of messages are in test_fuzz_decoders.py. Here are whole inputs: the wire of a gateway, topics of boards,
queries of the API, times and values that are typed, and descriptions with some parts replaced.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from aiomqtt import Message, Topic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countingroom.cli.values import scalar
from countingroom.core.clock import SystemClock
from countingroom.core.errors import CountingRoomError, DeviceError, LinkError, RequestError
from countingroom.core.points import Point, Type
from countingroom.core.subsystems import parse_subsystem_cfg
from countingroom.core.times import format_time, parse_time
from countingroom.core.values import Quality
from countingroom.core.yaml.located import Mistaken, parse
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.port import Sample
from countingroom.devices.registry import build
from countingroom.devices.resources import SharedResources
from countingroom.experiment import Invalid, load_with_problems
from tests.console.stage import served, stage

DEMO = Path(__file__).parents[2] / "examples" / "demo"
slow = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
NOW = 1_790_000_000_000_000_000


# Modbus: what a gateway sends.

answers = st.lists(
    st.one_of(
        st.binary(max_size=300),
        # Header of an answer to our transaction, with any function, length and content.
        st.builds(
            lambda length, unit, content: b"\0\1\0\0" + length.to_bytes(2, "big") + bytes([unit]) + content,
            st.integers(0, 65535),
            st.integers(0, 255),
            st.binary(max_size=40),
        ),
    ),
    min_size=1,
    max_size=3,
)


@slow
@given(answers)
def test_any_answer_of_a_gateway_is_an_error_and_the_next_connection_works(found: list[bytes]) -> None:
    nonsense = list(found)
    begun = 0
    ended = asyncio.Semaphore(0)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal begun
        begun += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readexactly(12)
                if nonsense:
                    writer.write(nonsense.pop(0))
                else:
                    count = int.from_bytes(request[10:12], "big")
                    words = b"\0\7" * count
                    writer.write(
                        request[:4] + (3 + len(words)).to_bytes(2, "big") + request[6:8] + bytes([2 * count]) + words
                    )
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.release()

    async def case() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        section = ModbusSection.model_validate(
            {
                "driver": "modbus",
                "host": "127.0.0.1",
                "port": port,
                "timeout": 0.05,
                "registers": {"a": {"address": 1}, "b": {"address": 2, "type": "int16"}},
            }
        )
        resources = SharedResources()
        driver = build("m", section, resources=resources).driver
        value: object = None
        for _ in range(12):
            try:
                await driver.connect()
                samples = {one.point: one for one in await driver.read()}
                assert set(samples) == {"a", "b"}
                value = samples["a"].value
                if not nonsense and value == 7:
                    break
            except (LinkError, DeviceError):
                pass
            await driver.close()
        await driver.close()
        await resources.close()
        for _ in range(begun):
            await ended.acquire()
        server.close()
        assert value == 7

    asyncio.run(case())


# MQTT: what boards send on any topic.

levels = st.sampled_from(["a", "b", "lwt", "bridge", "", "$SYS", "\u202e", "x" * 300])
payloads = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"offline", b"online", b'{"s":"offline"}', b'{"v":1}', b'{"v":null}', b"[" * 60_000, b"1" * 70_000]
    ),
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.lists(levels, min_size=1, max_size=5).map("/".join), payloads, st.booleans()), max_size=20)
)
def test_any_topic_with_any_payload_changes_declared_points_only(messages: list[tuple[str, bytes, bool]]) -> None:
    driver = MqttSensorsDriver(
        MqttSensorsSection.model_validate(
            {
                "driver": "mqtt",
                "sensors": {"a": "", "b": ""},
                "availability": [{"topic": "{sensor}/lwt"}, {"topic": "bridge/#", "field": "s"}],
                "values": {"v": {"topic": "{sensor}/#/v", "field": "v"}, "w": {"topic": "#", "type": "string"}},
            }
        )
    )
    taken: list[Sample] = []
    driver.monitor(taken.extend)
    names = {point.name for point in driver.points}
    for topic, payload, retain in messages:
        driver._take(Message(Topic(topic or "a"), payload, 0, retain, 0, None))
    assert {one.point for one in taken} <= names
    assert len(driver._latest) <= len(names)
    assert driver._offline.keys() <= {"a", "b", ""}
    taken.clear()
    driver._take(Message(Topic("a/x/v"), b'{"v": 2.5}', 0, False, 0, None))
    assert ("a.v", 2.5, Quality.GOOD) in [(one.point, one.value, one.quality) for one in taken]


# What people type.


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=40), st.from_regex(r"\A[-+0-9.:TZ hdmsnowyetra]{1,30}\Z")))
def test_a_typed_time_is_an_instant_or_refused(text: str) -> None:
    try:
        instant = parse_time(text, now_ns=NOW)
    except RequestError as error:
        assert error.cause.code == "wrong_time"
    else:
        assert parse_time(format_time(instant), now_ns=NOW) == instant


@settings(max_examples=200)
@given(st.text(max_size=30), st.sampled_from(Type), st.sampled_from(["", "degC", "percent", "V"]))
def test_a_typed_value_has_the_type_of_its_point_or_is_refused(text: str, kind: Type, unit: str) -> None:
    point = Point(name="p", type=kind, unit=unit)
    try:
        value = scalar(text, point)
    except RequestError:
        return
    wanted = {Type.FLOAT: float, Type.INT: int, Type.BOOL: bool, Type.STRING: str}
    assert type(value) is wanted[kind]


@settings(max_examples=100)
@given(
    st.one_of(
        st.text(max_size=200),
        st.sampled_from(["[a]\nstate_file=x\n", "[a\n", "[a]\nx\n", "[[a]]\n", "a=1\n", "[a]\n[a]\n"]),
    )
)
def test_a_subsystem_file_is_read_or_a_mistake(text: str) -> None:
    with suppress(CountingRoomError):
        parse_subsystem_cfg(text, file="subsystem.cfg")


# HTTP: what a query says.

QUERIES = (
    "/api/v1/history?point={}",
    "/api/v1/history?point=a.b&from={}",
    "/api/v1/history?point=a.b&max_points={}",
    "/api/v1/history/last?point=a.b&at={}",
    "/api/v1/history/points?prefix={}",
    "/api/v1/events?before={}",
    "/api/v1/events?source={}&kind={}",
    "/api/v1/runs?from={}&partition={}",
    "/api/v1/runs/{}",
    "/api/v1/devices/{}",
    "/api/v1/devices/caen/points/{}",
    "/api/v1/partitions/{}",
    "/devices/{}",
    "/{}",
)


@settings(max_examples=2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.text(max_size=30).map(lambda one: one.encode(errors="replace"))),
        min_size=14,
        max_size=28,
    )
)
def test_a_query_of_a_request_is_refused_and_the_next_is_answered(found: list[bytes]) -> None:
    async def case() -> None:
        async with stage(SystemClock()) as here, served(here) as (_, web):
            for number, data in enumerate(found):
                path = QUERIES[number % len(QUERIES)].replace("{}", quote_from_bytes(data, safe=""))
                answer = await web.get(path)
                assert answer.status_code != 500, path
            assert (await web.get("/readyz")).status_code == 200

    asyncio.run(case())


# The description: one part of a right one replaced by something else.


def _demo() -> Any:
    value: dict[str, Any] = {}
    for name in ("experiment.yaml", "run_control.yaml"):
        found = parse((DEMO / name).read_text(), file=name, include=lambda _, place: parse("{}", file="x")).value
        for key, part in found.items():
            if not key.startswith("x-") and key != "include":
                value.setdefault(key, {}).update(part)
    return value


VALUE = _demo()
junk = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=6), st.just("x" * 400)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def _paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, inner in pairs for path in [(*above, key), *_paths(inner, (*above, key))]]


PATHS = _paths(VALUE)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PATHS), junk, st.booleans()), min_size=1, max_size=3))
def test_a_changed_description_is_right_or_every_mistake_has_its_place(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any, bool]]
) -> None:
    value = deepcopy(VALUE)
    for path, other, removes in changes:
        holder = value
        for key in path[:-1]:
            fits = (isinstance(holder, dict) and key in holder) or (
                isinstance(holder, list) and isinstance(key, int) and key < len(holder)
            )
            holder = holder[key] if fits else None
        if isinstance(holder, dict):
            if removes:
                holder.pop(path[-1], None)
            else:
                holder[path[-1]] = other
    file = tmp_path / "experiment.yaml"
    file.write_text(json.dumps(value), encoding="utf-8")
    for name in ("tables",):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(DEMO / name)
    try:
        problems = load_with_problems(file).problems
    except Invalid as invalid:
        problems = invalid.problems
    except Mistaken as mistaken:
        raise AssertionError("only Invalid is raised") from mistaken
    assert all(problem.place.file and problem.message for problem in problems)
