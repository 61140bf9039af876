"""Any payload on any topic becomes a sample or nothing, never an error."""

from __future__ import annotations

import re

import pytest
from aiomqtt import Message, Topic
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.core.errors import DeviceError
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.mqtt.description import Availability, MqttSensorsSection, SensorValue
from countingroom.devices.drivers.mqtt.driver import MqttSensorsDriver
from countingroom.devices.drivers.mqtt.payloads import is_online, sample, setpoint
from countingroom.devices.drivers.mqtt.topics import MOST_TOPIC, Route, TopicPattern, filter_of, routes
from countingroom.devices.port import Sample


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
        ({"field": "meas1.x"}, b'{"meas1": 3}', None, Quality.BAD),
        ({"field": "meas1"}, b'{"meas1": null}', None, Quality.BAD),
        ({"field": "meas1"}, b"3", None, Quality.BAD),
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
    said = sample(route(**wanted), payload, retained=False, now_ns=0)
    assert said is not None
    assert (said.value, said.quality) == (value, quality)


@pytest.mark.parametrize(
    ("field", "payload"),
    [
        ("humidity", b'{"temperature": 21.5}'),
        ("humidity", b"{}"),
        ("data.7.t", b'{"data": []}'),
        ("update.state", b'{"update": null}'),
        ("meas1", b"[1, 2]"),
    ],
)
def test_a_message_without_the_field_leaves_the_value_as_it_is(field: str, payload: bytes) -> None:
    assert sample(route(field=field), payload, retained=False, now_ns=0) is None


@pytest.mark.parametrize(
    ("field", "payload"),
    [
        ("ENERGY.Total.kWh", b'{"ENERGY": {"Total.kWh": 3}}'),
        ("a.b", b'{"a.b": 3}'),
        ("a.b", b'{"a.b": 4, "a": {"b": 3}}'),
        (["a.b", "c"], b'{"a.b": {"c": 3}}'),
        (["a", "1"], b'{"a": [0, 3]}'),
    ],
)
def test_keys_may_have_dots(field: str | list[str], payload: bytes) -> None:
    said = sample(route(field=field), payload, retained=False, now_ns=0)
    assert said is not None
    assert said.value == 3.0


def test_a_list_of_keys_is_taken_key_by_key() -> None:
    assert sample(route(field=["a", "b"]), b'{"a.b": 3}', retained=False, now_ns=0) is None


@pytest.mark.parametrize("kind", ["float", "int"])
@pytest.mark.parametrize("text", ["1_000", "1,5", "\u0661\u0662", "0x1F", "1e999", "inf", "- 3", "3 V", "9" * 5000])
def test_what_python_takes_for_a_number_and_no_board_writes_is_bad(kind: str, text: str) -> None:
    for wanted, payload in (({}, text), ({"field": "x"}, f'{{"x": "{text}"}}')):
        said = sample(route(type=kind, **wanted), payload.encode(), retained=False, now_ns=0)
        assert said is not None
        assert said.quality == Quality.BAD


def test_a_whole_number_stays_whole() -> None:
    big = 2**53 + 1
    for payload in (str(big), f" {big}\n"):
        said = sample(route(type="int"), payload.encode(), retained=False, now_ns=0)
        assert said is not None
        assert said.value == big
    half = sample(route(type="int"), b"3.5", retained=False, now_ns=0)
    assert half is not None
    assert half.quality == Quality.BAD


@pytest.mark.parametrize(
    ("payload", "value"), [(b"open", 1), (b"closed", 0), (b"Open", None), (b"1", None), (b"", None)]
)
def test_words_are_values(payload: bytes, value: Scalar) -> None:
    one = route(type="int", words={"open": 1, "closed": 0})
    assert one.point.choices == (1, 0)
    assert one.point.codes == {"1": "open", "0": "closed"}
    said = sample(one, payload, retained=False, now_ns=0)
    assert said is not None
    assert said.value == value
    assert "word of open, closed" in said.reason or value is not None


def test_words_stand_for_json_words_too() -> None:
    said = sample(route(type="int", field="x", words={"true": 1, "false": 0}), b'{"x": true}', retained=False, now_ns=0)
    assert said is not None
    assert said.value == 1


@pytest.mark.parametrize(
    ("wanted", "value", "payload"),
    [
        ({}, 21.5, "21.5"),
        ({"type": "int"}, 3, "3"),
        ({"type": "bool"}, True, "true"),
        ({"type": "bool", "words": {"ON": True, "OFF": False}}, False, "OFF"),
        (
            {"type": "bool", "words": {"ON": True, "OFF": False}, "set_payload": '{"state": "{value}"}'},
            True,
            '{"state": "ON"}',
        ),
        ({"set_payload": '{"brightness": {value}}'}, 7.5, '{"brightness": 7.5}'),
        ({"type": "string", "set_payload": '{"text": "{value}"}'}, 'say "no"', '{"text": "say \\"no\\""}'),
    ],
)
def test_a_setpoint_is_published_as_the_board_takes_it(
    wanted: dict[str, object], value: float | int | str | bool, payload: str
) -> None:
    assert setpoint(route(**wanted).value, value) == payload


@pytest.mark.parametrize(
    ("rule", "payload", "online"),
    [
        ({}, b"online", True),
        ({}, b"Offline", False),
        ({}, b"restarting", None),
        ({}, b"\xff", None),
        ({}, b"x" * 70_000, None),
        ({"field": "state"}, b'{"state": "offline"}', False),
        ({"field": "state"}, b"online", True),
        ({"field": "state"}, b'{"other": "offline"}', None),
        ({"online": "1", "offline": "0"}, b"0", False),
    ],
)
def test_a_payload_says_whether_a_board_is_there(rule: dict[str, str], payload: bytes, online: bool | None) -> None:
    assert is_online(Availability.model_validate({"topic": "t", **rule}), payload) is online


def test_a_board_may_have_a_name_that_no_address_can_have() -> None:
    made = MqttSensorsSection.model_validate(
        {
            "driver": "mqtt",
            "sensors": {"hall": {"name": "Hall 3/0x0015:8d.1", "label": "in the hall"}, "ESP01": "lid"},
            "values": {
                "t": {"topic": "zigbee2mqtt/{sensor}", "field": "temperature"},
                "on": {
                    "topic": "zigbee2mqtt/{sensor}",
                    "field": "state",
                    "set_topic": "zigbee2mqtt/{sensor}/set",
                    "type": "bool",
                    "readback": "t",
                },
            },
        }
    )
    assert [(one.point.name, one.filter, one.set_topic, one.point.readback) for one in routes(made)] == [
        ("hall.t", "zigbee2mqtt/Hall 3/0x0015:8d.1", "", ""),
        ("ESP01.t", "zigbee2mqtt/ESP01", "", ""),
        ("hall.on", "zigbee2mqtt/Hall 3/0x0015:8d.1", "zigbee2mqtt/Hall 3/0x0015:8d.1/set", "hall.t"),
        ("ESP01.on", "zigbee2mqtt/ESP01", "zigbee2mqtt/ESP01/set", "ESP01.t"),
    ]


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"set_topic": "a"}, (), "write_low is missing"),
        ({"set_topic": "a", "type": "bool", "set_payload": "on"}, ("set_payload",), "{value} is missing"),
        ({"set_topic": "{sensor}/a", "type": "bool"}, ("set_topic",), "or in neither"),
        ({"write_low": 1}, ("write_low",), "is for values with `set_topic`"),
        ({"readback": "b"}, ("readback",), "is for values with `set_topic`"),
        ({"words": {"open": 1.5}, "type": "int"}, ("words", "open"), "1.5 is no int"),
        ({"words": {"open": 1}, "type": "bool"}, ("words", "open"), "1 is no bool"),
    ],
)
def test_keys_that_contradict_each_other_are_told(
    value: dict[str, object], path: tuple[str, ...], message: str
) -> None:
    found = list(SensorValue.model_validate({"topic": "t", **value}).problems())
    assert any(spot == path and message in text for spot, text in found), found


def test_a_setpoint_goes_to_no_pattern() -> None:
    with pytest.raises(ValidationError, match="subscriptions only"):
        SensorValue.model_validate({"topic": "t", "set_topic": "a/+/b"})


def test_a_retained_value_may_be_old() -> None:
    said = sample(route(), b"1", retained=True, now_ns=0)
    assert said is not None
    assert said.quality == Quality.UNCERTAIN


@given(
    st.binary(max_size=200), st.sampled_from(("", "a", "a.0.b")), st.sampled_from(("float", "int", "bool", "string"))
)
def test_no_payload_breaks_anything(payload: bytes, field: str, kind: str) -> None:
    said = sample(route(field=field, type=kind), payload, retained=False, now_ns=0)
    assert said is None or (said.value is None) == (said.quality == Quality.BAD)


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


def test_a_retained_value_of_a_board_that_is_offline_is_not_taken() -> None:
    driver = MqttSensorsDriver(
        MqttSensorsSection.model_validate(
            {
                "driver": "mqtt",
                "sensors": {"a": "", "b": ""},
                "availability": [{"topic": "{sensor}/lwt"}, {"topic": "bridge"}],
                "values": {"v": {"topic": "{sensor}/v"}},
            }
        )
    )
    taken: list[Sample] = []
    driver.monitor(taken.extend)

    def after(topic: str, payload: bytes, *, retain: bool = False) -> list[tuple[str, Scalar, Quality]]:
        taken.clear()
        driver._take(Message(Topic(topic), payload, 0, retain, 0, None))
        return [(one.point, one.value, one.quality) for one in taken]

    assert after("a/v", b"1", retain=True) == [("a.v", 1.0, Quality.UNCERTAIN)]
    assert after("a/lwt", b"offline", retain=True) == [("a.v", None, Quality.STALE)]
    assert after("a/v", b"1", retain=True) == []
    assert after("b/v", b"1", retain=True) == [("b.v", 1.0, Quality.UNCERTAIN)]
    assert after("a/v", b"2") == [("a.v", 2.0, Quality.GOOD)]
    assert after("bridge", b"offline") == [("a.v", None, Quality.STALE), ("b.v", None, Quality.STALE)]
    assert after("b/v", b"1", retain=True) == []
    assert after("bridge", b"online") == []
    assert after("b/v", b"1", retain=True) == [("b.v", 1.0, Quality.UNCERTAIN)]


@pytest.mark.parametrize("payload", [b"85", b"85.0", b"-127"])
def test_a_number_that_means_no_value_is_bad_and_says_so(payload: bytes) -> None:
    """What a DS18B20 tells before its first measurement, and when it is gone."""
    found = sample(route(no_value=[85, -127]), payload, retained=False, now_ns=0)
    assert found is not None and found.value is None and found.quality is Quality.BAD
    assert "means that there is no value" in found.reason
    kept = sample(route(no_value=[85, -127]), b"84.9", retained=False, now_ns=0)
    assert kept is not None and kept.value == 84.9


@pytest.mark.parametrize(
    ("time", "quality", "age_s"),
    [
        (b'"2026-11-28T10:00:00Z"', Quality.GOOD, 0),
        (b'"2026-11-28T09:59:00.000Z"', Quality.GOOD, 60),
        (b'"2026-11-28T09:58:00+00:00"', Quality.UNCERTAIN, 120),
        (b'"2026-11-28T04:00:00-05:00"', Quality.UNCERTAIN, 3600),
        (b'"2026-11-28T11:00:00+01:00"', Quality.GOOD, 0),
        (b"1795860000", Quality.GOOD, 0),
        (b"1795856400000", Quality.UNCERTAIN, 3600),
        (b'"2026-11-28T10:00:30"', Quality.GOOD, -30),
    ],
)
def test_a_value_that_says_that_it_is_old_is_uncertain(time: bytes, quality: Quality, age_s: int) -> None:
    """As zigbee2mqtt repeats the last values of its boards when it starts."""
    now_ns = 1_795_860_000_000_000_000  # 2026-11-28 10:00 UTC
    one = route(field="t", time="last_seen", stale_after=90)
    said = sample(one, b'{"t": 21.5, "last_seen": ' + time + b"}", retained=False, now_ns=now_ns)
    assert said is not None
    assert (said.value, said.quality, said.device_ns) == (21.5, quality, now_ns - age_s * 10**9)
    assert said.reason == ("" if quality is Quality.GOOD else f"the board measured it {age_s} s ago")


@pytest.mark.parametrize("payload", [b'{"t": 1}', b'{"t": 1, "last_seen": null}', b'{"t": 1, "last_seen": "noon"}'])
def test_a_value_without_its_time_is_uncertain(payload: bytes) -> None:
    said = sample(route(field="t", time="last_seen"), payload, retained=False, now_ns=0)
    assert said is not None
    assert (said.value, said.quality, said.device_ns) == (1.0, Quality.UNCERTAIN, None)
    assert said.reason == "the payload has no time at last_seen"


@given(st.binary(max_size=80) | st.integers().map(lambda number: b"%d" % number))
def test_no_time_of_a_board_breaks_anything(time: bytes) -> None:
    said = sample(route(field="t", time="x"), b'{"t": 1, "x": ' + time + b"}", retained=False, now_ns=10**18)
    assert said is None or said.quality in (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)
