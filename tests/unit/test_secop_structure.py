"""What a SECoP node says of its parameters and commands, as points and commands; values there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.cli.secop import section_of
from countingroom.core.errors import LinkError
from countingroom.core.points import Type
from countingroom.core.values import Quality, Reading, Scalar
from countingroom.devices.drivers.secop.behaviour import SecopBehaviour
from countingroom.devices.drivers.secop.commands import node_command, offered
from countingroom.devices.drivers.secop.description import SecopSection
from countingroom.devices.drivers.secop.structure import MOST_LETTERS, differs, leaves, plain

STATUS: dict[str, Any] = {
    "type": "tuple",
    "members": [{"type": "enum", "members": {"IDLE": 100, "ERROR": 400}}, {"type": "string"}],
}


def _command(module: str, name: str, argument: dict[str, Any] | None) -> Any:
    return node_command(module, name, {"datainfo": {"type": "command", "argument": argument}})


def test_a_parameter_is_a_point_with_range_unit_and_words() -> None:
    (one,) = leaves("t", "target", {"readonly": False, "datainfo": {"type": "double", "unit": "K", "max": 300}})
    assert (one.point.name, one.point.unit, one.point.write_high, one.point.main) == ("t.target", "K", 300, True)
    (mode,) = leaves("t", "_mode", {"datainfo": {"type": "enum", "members": {"off": 0, "on": 3}}})
    assert (mode.point.codes, mode.point.choices, mode.point.writable) == ({"0": "off", "3": "on"}, (0, 3), False)
    assert [one.point.name for one in leaves("t", "status", {"datainfo": STATUS})] == ["t.status", "t.status_text"]
    (curve,) = leaves("t", "curve", {"readonly": False, "datainfo": {"type": "array", "members": {"type": "double"}}})
    assert (curve.point.type, curve.point.writable, curve.value([1.5, 2])) == (Type.STRING, False, "[1.5, 2]")


@given(st.integers(-(10**6), 10**6), st.sampled_from([0.1, 0.25, 1e-3, 2.0]))
def test_a_scaled_number_goes_there_and_back(raw: int, scale: float) -> None:
    (one,) = leaves("m", "p", {"readonly": False, "datainfo": {"type": "scaled", "scale": scale, "min": 0, "max": 9}})
    value = one.value(raw)
    assert isinstance(value, float) and one.replaced(None, value) == raw
    assert one.point.write_high == 9 * scale


_ODD = st.none() | st.booleans() | st.floats() | st.integers() | st.just(10**400) | st.text(max_size=5)


@settings(max_examples=60)
@given(_ODD | st.lists(_ODD, max_size=3))
def test_whatever_a_node_sends_is_a_value_of_the_type_or_refused(raw: Any) -> None:
    infos: list[dict[str, Any]] = [{"type": kind} for kind in ("double", "int", "bool", "string", "array", "blob")]
    infos += [{"type": "scaled", "scale": 0.1}, {"type": "enum", "members": {"a": 1}}, STATUS]
    for info in infos:
        for leaf in leaves("m", "p", {"datainfo": info}):
            try:
                value = leaf.value(raw)
            except ValueError:
                continue
            assert value is not None and leaf.point.type in {type(value).__name__.replace("str", "string"), "string"}


def test_a_member_of_a_struct_is_replaced_alone() -> None:
    info = {"type": "struct", "members": {"p": {"type": "double"}, "i": {"type": "double"}}}
    first, second = leaves("m", "ctrl", {"readonly": False, "datainfo": info})
    assert (first.point.name, second.point.name) == ("m.ctrl_p", "m.ctrl_i")
    assert second.replaced({"p": 1.0, "i": 2.0}, 5.0) == {"p": 1.0, "i": 5.0}
    with pytest.raises(ValueError, match="no part i"):
        second.value({"p": 1.0})
    with pytest.raises(ValueError, match="too long"):
        plain({"type": "string"}, "x" * (MOST_LETTERS + 1))


def test_another_type_unit_or_scale_is_told() -> None:
    kelvin = {"type": "double", "unit": "K"}
    assert differs(kelvin, {"type": "double", "unit": "K", "max": 7}) == ""
    assert differs(kelvin, {"type": "double", "unit": "degC"}) == "its unit is degC, and not K"
    assert differs(kelvin, {"type": "int"}) == "its type is int, and not double"
    assert differs({"type": "scaled", "scale": 0.1}, {"type": "scaled", "scale": 1}) == "its scale is 1, and not 0.1"
    assert differs(STATUS, {"type": "tuple", "members": []}) == "it has other members"


def test_commands_take_what_their_modules_take() -> None:
    number, other = {"type": "double", "max": 5.0}, {"type": "enum", "members": {"a": 1}}
    pair = {"type": "struct", "members": {"x": number, "y": other}, "optional": ["y"]}
    commands = offered(
        [
            _command("a", "stop", None),
            _command("b", "stop", None),
            _command("a", "go", number),
            _command("b", "go", pair),
        ]
    )
    behaviour = SecopBehaviour(("a", "b"), commands, {})
    assert {spec.name for spec in behaviour.commands} == {"stop", "go", "go_b"}
    cases: list[tuple[str, str, dict[str, Scalar], str, Scalar]] = [
        ("stop", "b", {}, "b.stop", True),
        ("go", "a", {"argument": 2.5}, "a.go", 2.5),
        ("go_b", "b", {"x": 1.5, "y": None}, "b.go", json.dumps({"x": 1.5})),
    ]
    for name, module, arguments, point, value in cases:
        (write,) = behaviour.writes(name, module, arguments, {})
        assert (write.point, write.value, write.confirm) == (point, value, False)
    refusal = behaviour.forbids("go_b", "a", {})
    assert refusal and refusal.code == "no_such_command"
    assert behaviour.may_write("b.go", "{}", {}) and not behaviour.may_write("b.target", 1, {})
    assert _command("a", "load", {"type": "array", "members": number}) is None


def test_the_state_of_a_module_is_its_status_with_its_text() -> None:
    behaviour = SecopBehaviour(("t",), {}, {"t.ramp": "the node has no t:ramp"})

    def state(code: Scalar, text: str = "") -> Any:
        values = {"t.status": code, "t.status_text": text}
        return behaviour.observe_channel(
            "t",
            {
                name: Reading(value=value, quality=Quality.GOOD, device_ns=1, received_ns=1)
                for name, value in values.items()
            },
        )

    found = [state(code).state for code in (0, 100, 130, 250, 390, 400, 999)]
    assert found == ["DISABLED", "IDLE", "IDLE", "WARN", "BUSY", "ERROR", "ERROR"]
    assert "no helium" in state(400, "no helium").cause.message
    device = behaviour.observe_device({}, {})
    assert device.state == "CHANGED" and device.cause and "t:ramp" in device.cause.message


@pytest.mark.parametrize(
    ("datainfo", "told"),
    [
        ({"type": "spline"}, "not known"),
        ({"type": "enum"}, "not that of a SECoP type"),
        ({}, "not known"),
        ({"type": "double", "min": "low"}, "its min is 'low', and no number"),
        ({"type": "enum", "members": {"a": "x"}}, "no whole numbers"),
    ],
)
def test_a_type_that_is_none_is_told_where_it_stands(datainfo: dict[str, Any], told: str) -> None:
    modules = {"t": {"accessibles": {"value": {"datainfo": datainfo}}}}
    section = SecopSection.model_validate({"driver": "secop", "host": "h", "modules": modules})
    ((path, message),) = section.problems()
    assert path == ("modules", "t", "accessibles", "value") and told in message
    with pytest.raises(ValidationError):
        SecopSection.model_validate({"driver": "secop", "host": "h", "modules": {}})


@pytest.mark.parametrize(
    "modules",
    [{}, {"t": None}, {"t": {}}, {"t": {"accessibles": []}}, {"t": {"accessibles": {"value": {"datainfo": "double"}}}}],
)
def test_a_node_that_does_not_describe_itself_is_told(modules: dict[str, Any]) -> None:
    with pytest.raises(LinkError, match=r"describes no module|does not describe itself"):
        section_of({"modules": modules}, "h:1")


def test_what_the_section_could_not_hold_is_left_out() -> None:
    kinds = {"value": {"type": "double"}, "curve": {"type": "spline"}, "odd": {"type": "enum"}, "a b": {"type": "bool"}}
    accessibles = {name: {"datainfo": info} for name, info in kinds.items()}
    section = section_of({"modules": {"t": {"accessibles": accessibles}}}, "h:1")
    assert list(section["modules"]["t"]["accessibles"]) == ["value"]
    assert not list(SecopSection.model_validate(section).problems())
