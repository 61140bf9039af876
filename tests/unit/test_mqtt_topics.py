"""Any payload on any topic becomes a sample or nothing, never an error."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.core.errors import DeviceError
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.mqtt.description import MqttSensorsSection, SensorValue
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.drivers.mqtt.topics import MOST_TOPIC, Route, TopicPattern, filter_of, routes, sample


def section(**value: object) -> MqttSensorsSection:
    return MqttSensorsSection.model_validate(
        {"driver": "mqtt", "sensors": {"ESP01": "", "ESP02": ""}, "values": {"v": {"topic": "{sensor}/v", **value}}}
    )


def route(**value: object) -> Route:
    return routes(section(**value))[0]


@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("ESP01/sensors/#/DS/temp", "ESP01/sensors/DS/temp", True),
        ("ESP01/sensors/#/DS/temp", "ESP01/sensors/rack/3/DS/temp", True),
        ("ESP01/sensors/#/DS/temp", "ESP02/sensors/DS/temp", False),
        ("ESP01/sensors/#/DS/temp", "ESP01/sensors/xDS/temp", False),
        ("a/+/c", "a/b/c", True),
        ("a/+/c", "a/b/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", False),
        ("a/#", "a/", True),
        ("#", "a/b", True),
        ("#/c", "c", True),
        ("#/c", "a/b/c", True),
        ("a/#/b/#/c", "a/b/c", True),
        ("a/#/b/#/c", "a/x/b/y/z/c", True),
        ("a/#/b/#/c", "a/c", False),
        ("a/#/a", "a", False),
        ("a/#/+", "a/b", True),
        ("a.b/c", "aXb/c", False),
    ],
)
def test_a_pattern_matches_whole_levels(pattern: str, topic: str, matches: bool) -> None:
    assert TopicPattern(pattern).matches(topic) is matches


level = st.sampled_from(["a", "b", "", "+", "#"])


@given(st.lists(level, min_size=1, max_size=6), st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=8))
def test_a_pattern_matches_what_the_regular_expression_matched(wanted: list[str], levels: list[str]) -> None:
    """The slow rule of the former version, on short topics."""
    last = len(wanted) - 1
    text = ""
    for place, one in enumerate(wanted):
        if one == "#":
            text += ".*" if place == last else "(?:[^/]*/)*"
        else:
            text += ("[^/]*" if one == "+" else re.escape(one)) + ("" if place == last else "/")
    topic = "/".join(levels)
    assert TopicPattern("/".join(wanted)).matches(topic) is bool(re.fullmatch(text, topic))


def test_a_long_topic_costs_little() -> None:
    """Steps are counted, not seconds: no level is compared more often than the parts of the pattern demand."""
    compared = 0

    class Level(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    pattern = TopicPattern("s/#/a/#/a/#/a/#/b")
    pattern._rest = [[Level(one) for one in part] for part in pattern._rest]
    assert not pattern.matches("s/" + "a/" * (MOST_TOPIC // 2 - 2) + "c")
    assert not pattern.matches("s/" + "c/" * (MOST_TOPIC // 2 - 2) + "b")
    assert compared < 10 * MOST_TOPIC
    assert not pattern.matches("s/" + "a/" * MOST_TOPIC + "b")


def test_a_subscription_ends_at_the_first_wildcard_of_many_levels() -> None:
    assert filter_of("ESP01/sensors/#/DS/temp") == "ESP01/sensors/#"
    assert filter_of("a/+/c") == "a/+/c"


def test_every_board_has_every_value_as_a_point_of_its_channel() -> None:
    points = [route.point for route in routes(section(unit="degC", stale_after="2 min"))]
    assert [(point.name, point.channel, point.unit, point.stale_after_s) for point in points] == [
        ("ESP01.v", "ESP01", "degC", 120.0),
        ("ESP02.v", "ESP02", "degC", 120.0),
    ]


@pytest.mark.parametrize(
    ("wanted", "payload", "value", "quality"),
    [
        ({}, b"21.5", 21.5, Quality.GOOD),
        ({}, b" 21 \n", 21.0, Quality.GOOD),
        ({}, b"nan", None, Quality.BAD),
        ({}, b"", None, Quality.BAD),
        ({}, b"\xff\xfe", None, Quality.BAD),
        ({}, b"twenty", None, Quality.BAD),
        ({"low": -40.0, "high": 85.0}, b"-127", -127.0, Quality.UNCERTAIN),
        ({"field": "meas1"}, b'{"meas1": 3, "meas2": 4}', 3.0, Quality.GOOD),
        ({"field": "data.1.t"}, b'{"data": [{}, {"t": "2.5"}]}', 2.5, Quality.GOOD),
        ({"field": "data.7.t"}, b'{"data": []}', None, Quality.BAD),
        ({"field": "meas1"}, b"[1, 2]", None, Quality.BAD),
        ({"field": "meas1"}, b"{", None, Quality.BAD),
        ({"field": "meas1"}, b'{"meas1": true}', None, Quality.BAD),
        ({"field": "on", "type": "bool"}, b'{"on": true}', True, Quality.GOOD),
        ({"type": "bool"}, b"OFF", False, Quality.GOOD),
        ({"type": "bool"}, b"2", None, Quality.BAD),
        ({"type": "string"}, b"ok", "ok", Quality.GOOD),
    ],
)
def test_a_payload_is_a_value_or_bad(
    wanted: dict[str, object], payload: bytes, value: Scalar, quality: Quality
) -> None:
    said = sample(route(**wanted), payload, retained=False)
    assert (said.value, said.quality) == (value, quality)


def test_a_retained_value_may_be_old() -> None:
    assert sample(route(), b"1", retained=True).quality == Quality.UNCERTAIN


@given(
    st.binary(max_size=200), st.sampled_from(("", "a", "a.0.b")), st.sampled_from(("float", "int", "bool", "string"))
)
def test_no_payload_breaks_anything(payload: bytes, field: str, kind: str) -> None:
    said = sample(route(field=field, type=kind), payload, retained=False)
    assert (said.value is None) == (said.quality == Quality.BAD)


def test_boards_must_be_listed_where_topics_name_them() -> None:
    with pytest.raises(ValidationError, match="need the boards listed"):
        MqttSensorsSection.model_validate({"driver": "mqtt", "values": {"v": {"topic": "{sensor}/v"}}})


def test_a_password_comes_from_one_place() -> None:
    with pytest.raises(ValidationError, match="not both"):
        MqttSensorsSection.model_validate({"driver": "mqtt", "password_env": "A", "password_file": "b", "values": {}})


def test_a_value_without_a_board_is_the_devices_own() -> None:
    made = MqttSensorsSection.model_validate({"driver": "mqtt", "values": {"t": SensorValue(topic="hall/t")}})
    assert [(one.point.name, one.point.channel) for one in routes(made)] == [("t", "")]


async def test_a_sensor_takes_no_value() -> None:
    driver = MqttSensorsDriver(section())
    assert not any(point.writable for point in driver.points)
    with pytest.raises(DeviceError):
        await driver.write("ESP01.v", 1.0)
