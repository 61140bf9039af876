"""The entities of Home Assistant that are made of a catalogue, their names, units and values."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.errors import RequestError
from countingroom.core.messages import Catalogue, CommandSpec, Parameter
from countingroom.core.points import Point, Type
from countingroom.core.policy import Principal, Role
from countingroom.core.values import Scalar
from countingroom.home_assistant.entities import Entity, entities_of, shown, system_entities
from countingroom.home_assistant.facts import CommandFacts, HomeAssistantFacts
from countingroom.home_assistant.names import slug
from countingroom.home_assistant.orders import order_of
from countingroom.home_assistant.units import of_home_assistant

POINTS = (
    Point(name="temp", label="Temperatur Öl/Wasser", unit="degC", precision=1),
    Point(name="humidity", unit="percent"),
    Point(name="current", unit="uA"),
    Point(name="count", type=Type.INT),
    Point(name="fault", type=Type.BOOL, severity=1, main=False),
    Point(name="door/Tür", type=Type.BOOL),
    Point(name="mode", type=Type.INT, codes={"0": "idle", "1": "cooling", "2": "heating"}),
    Point(name="set_mode", type=Type.INT, codes={"0": "idle", "1": "cooling", "2": "heating"}, writable=True),
    Point(name="setpoint", unit="degC", precision=2, writable=True, write_low=-40.0, write_high=60.0),
    Point(name="steps", type=Type.INT, writable=True),
    Point(name="ioc_set", writable=True, limited_by="IOC"),
    Point(name="pump", type=Type.BOOL, writable=True),
    Point(name="valve", type=Type.INT, choices=(0, 1), writable=True),
    Point(name="limit", writable=True, dangerous=True, write_low=0.0, write_high=1.0),
    Point(name="message", type=Type.STRING, writable=True),
    Point(name="kick", type=Type.BOOL, writable=True, momentary=True),
    Point(
        name="0.lv_pw",
        channel="0",
        column="lv_pw",
        label="LV",
        type=Type.INT,
        choices=(0, 1),
        writable=True,
        command_only=True,
        commands={"0": "lv_off", "1": "lv_on"},
    ),
)
CATALOGUE = Catalogue(
    device="chiller",
    title="Chiller of the box",
    driver="julabo",
    group="Cooling",
    points=POINTS,
    channels=("0",),
    channel_labels={"0": "module_7"},
    commands=(
        CommandSpec(name="start", label="Start"),
        CommandSpec(name="explode", dangerous=True),
        CommandSpec(name="set_pressure", parameters=(Parameter(name="press"),)),
        CommandSpec(name="lv_on", scope="channel"),
        CommandSpec(name="lv_off", scope="channel"),
    ),
)
FACTS = HomeAssistantFacts(
    experiment="lab", title="The lab", version="1.2", devices=frozenset(["chiller"]), points=("*",), expire_after_s=29.5
)
SHIFTER = Principal(name="home_assistant.automation", role=Role.VIEWER, roles={"device.chiller": Role.SHIFTER})
COMMANDED = replace(FACTS, commands=CommandFacts(principal=SHIFTER, points=("*",), buttons=("*",)))


def made(facts: HomeAssistantFacts, catalogue: Catalogue = CATALOGUE) -> dict[str, Entity]:
    """Name of the point or command, or label -> its entity."""
    found = entities_of(facts, catalogue).values()
    return {one.point.name if one.point else one.command or one.config["name"]: one for one in found}


def test_a_point_is_described_with_its_device_unit_and_availability() -> None:
    entity = made(FACTS)["temp"]
    assert entity.topic == "homeassistant/sensor/countingroom_lab/chiller--temp/config"
    assert entity.config == {
        "name": "Temperatur Öl/Wasser",
        "unique_id": "countingroom:lab:chiller:temp",
        "state_topic": "countingroom/lab/chiller/temp/state",
        "value_template": "{{ value_json.value }}",
        "json_attributes_topic": "countingroom/lab/chiller/temp/state",
        "json_attributes_template": "{{ {'quality': value_json.quality} | tojson }}",
        "availability": [
            {"topic": "countingroom/lab/status"},
            {
                "topic": "countingroom/lab/chiller/temp/state",
                "value_template": "{{ value_json.availability }}",
            },
        ],
        "availability_mode": "all",
        "device": {
            "identifiers": ["countingroom:lab:chiller"],
            "name": "Chiller of the box",
            "manufacturer": "JULABO",
            "model": "julabo",
            "via_device": "countingroom:lab",
        },
        "origin": {"name": "countingroom", "sw_version": "1.2"},
        "state_class": "measurement",
        "unit_of_measurement": "°C",
        "device_class": "temperature",
        "suggested_display_precision": 1,
        "expire_after": 30,
    }


def test_without_commands_nothing_can_be_changed() -> None:
    entities = made(FACTS)
    assert {one.component for one in entities.values()} == {"sensor", "binary_sensor"}
    assert not any(one.command_topic for one in entities.values())
    assert entities["fault"].config["device_class"] == "problem"
    assert entities["fault"].config["entity_category"] == "diagnostic"
    assert entities["State"].config["state_topic"] == "countingroom/lab/chiller/device"
    assert "kick" not in entities


def test_the_principal_gets_what_it_may_change_and_no_more() -> None:
    entities = made(COMMANDED)
    settable = {name: one.component for name, one in entities.items() if one.command_topic}
    assert settable == {
        "set_mode": "select",
        "setpoint": "number",
        "steps": "number",
        "pump": "switch",
        "valve": "switch",
        "0.lv_pw": "switch",
        "start": "button",
        "lv_on": "button",
        "lv_off": "button",
    }
    assert entities["setpoint"].config["min"] == -40.0
    assert entities["setpoint"].config["step"] == 0.01
    assert "expire_after" not in entities["setpoint"].config
    assert entities["set_mode"].config["options"] == ["idle", "cooling", "heating"]
    assert entities["0.lv_pw"].config["name"] == "0 (module_7) LV"
    assert entities["lv_on"].config["name"] == "0 (module_7) lv_on"
    assert entities["limit"].component == "sensor"  # dangerous
    nobody = replace(COMMANDED, commands=CommandFacts(principal=replace(SHIFTER, roles={}), points=("*",)))
    assert not any(one.command_topic for one in made(nobody).values())


def test_limits_that_the_device_gives_later_make_a_number_of_it() -> None:
    points = [replace(one, write_low=0.0, write_high=5.0) if one.name == "ioc_set" else one for one in POINTS]
    assert made(COMMANDED)["ioc_set"].component == "sensor"
    assert made(COMMANDED, replace(CATALOGUE, points=tuple(points)))["ioc_set"].component == "number"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temp", 21.5, 21.5),
        ("fault", True, "ON"),
        ("mode", 1, "cooling"),
        ("mode", 9, "9"),
        ("message", "x" * 300, "x" * 255),
        ("message", "", None),
        ("setpoint", 61.0, None),  # Home Assistant would ignore it, and go on showing the one before
        ("setpoint", 60.0, 60.0),
        ("set_mode", 2, "heating"),
        ("set_mode", 7, None),
        ("valve", 0, "OFF"),
        ("pump", None, None),
    ],
)
def test_a_value_is_one_that_the_entity_takes_or_none(name: str, value: Scalar, expected: Scalar) -> None:
    assert shown(made(COMMANDED)[name], value) == expected


@pytest.mark.parametrize(
    ("name", "payload", "action", "channel", "arguments"),
    [
        ("setpoint", "21.5", "set", "", {"point": "setpoint", "value": 21.5}),
        ("setpoint", "999", "set", "", {"point": "setpoint", "value": 999.0}),  # the device host refuses it
        ("steps", "3.0", "set", "", {"point": "steps", "value": 3}),
        ("pump", "OFF", "set", "", {"point": "pump", "value": False}),
        ("valve", "ON", "set", "", {"point": "valve", "value": 1}),
        ("set_mode", "cooling", "set", "", {"point": "set_mode", "value": 1}),
        ("0.lv_pw", "OFF", "lv_off", "0", {}),
        ("start", "PRESS", "start", "", {}),
        ("lv_on", "PRESS", "lv_on", "0", {}),
    ],
)
def test_a_message_is_a_command(name: str, payload: str, action: str, channel: str, arguments: dict[str, Any]) -> None:
    order = order_of(made(COMMANDED)[name], CATALOGUE, payload.encode())
    assert (order.device, order.action, order.channel, order.arguments) == ("chiller", action, channel, arguments)
    assert order.is_off is (action == "lv_off")


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("setpoint", b"nan", "not_understood"),
        ("setpoint", b"", "not_understood"),
        ("steps", b"1.5", "not_understood"),
        ("pump", b"on", "not_understood"),
        ("set_mode", b"boiling", "not_understood"),
        ("start", b"", "not_understood"),
        ("setpoint", b"\xff", "not_understood"),
        ("setpoint", b"1" * 2000, "too_long"),
    ],
)
def test_what_an_entity_does_not_send_is_refused(name: str, payload: bytes, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        order_of(made(COMMANDED)[name], CATALOGUE, payload)
    assert refused.value.cause.code == code


def test_the_experiment_itself_has_entities() -> None:
    assert [one.config["name"] for one in system_entities(FACTS).values()] == ["Connected"]
    assert len(system_entities(COMMANDED)) == 2
    (connected,) = system_entities(FACTS).values()
    assert connected.config["state_topic"] == "countingroom/lab/status"
    assert connected.config["device"]["identifiers"] == ["countingroom:lab"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("degC", ("°C", "temperature")),
        ("uA", ("µA", "")),  # no class of Home Assistant accepts it
        ("mA", ("mA", "current")),
        ("percent", ("%", "")),
        ("mbar", ("mbar", "pressure")),
        ("K", ("K", "")),  # with a class it would be shown in °C
        ("g/s", ("g/s", "")),
        ("l/min", ("L/min", "volume_flow_rate")),
        ("", ("", "")),
    ],
)
def test_units_are_those_of_home_assistant(unit: str, expected: tuple[str, str]) -> None:
    assert of_home_assistant(unit) == expected


@given(st.lists(st.text(alphabet="aB0_-./ ä#+", min_size=1, max_size=8), unique=True, min_size=2, max_size=6))
def test_slugs_are_legal_and_differ(names: list[str]) -> None:
    found = [slug(name) for name in names]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", one) for one in found)
    assert len(set(found)) == len(names)
