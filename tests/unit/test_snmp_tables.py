"""Values of a table of OIDs: what agents answer there and back, and mistakes of a section."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.core.errors import DeviceError
from countingroom.core.snmp import ber
from countingroom.core.snmp.ber import Content
from countingroom.core.snmp.pdu import Varbind
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.snmp.codec import OidRow, text_of
from countingroom.devices.drivers.snmp.description import SnmpSection, SnmpValue
from countingroom.devices.drivers.snmp.points import points
from countingroom.devices.section import Problem
from countingroom.experiment import load_with_problems

OID = "1.3.6.1.4.1.9.1.0"


def _row(**keys: Any) -> OidRow:
    return OidRow("one", SnmpValue.model_validate({"oid": OID, **keys}))


def _answer(tag: int, value: Content = None) -> Varbind:
    return Varbind(ber.oid(OID), tag, value)


@pytest.mark.parametrize(
    ("keys", "tag", "content", "value"),
    [
        ({}, ber.INTEGER, -5, -5.0),
        ({"scale": 0.1}, ber.GAUGE32, 235, 23.5),
        ({"scale": 0.1, "offset": -40}, ber.INTEGER, 500, 10.0),
        ({"type": "int"}, ber.COUNTER64, (1 << 64) - 1, (1 << 64) - 1),
        ({"type": "int", "scale": 8}, ber.COUNTER64, (1 << 60) + 1, (1 << 63) + 8),
        ({"scale": 0.01}, ber.TIME_TICKS, 100, 1.0),
        ({}, ber.OPAQUE_FLOAT, 2.5, 2.5),
        ({}, ber.OPAQUE_DOUBLE, -2.5, -2.5),
        ({}, ber.OCTET_STRING, b" 21.50 ", 21.5),
        ({"type": "int"}, ber.OCTET_STRING, b"-12\0", -12),
        ({"reply": "{value} V"}, ber.OCTET_STRING, b"11.9 V", 11.9),
        ({"reply": "T=(?P<value>[^;]*);.*"}, ber.OCTET_STRING, b"T=3e2;ok", 300.0),
        ({"type": "int", "words": {"low": 3}}, ber.OCTET_STRING, b"low", 3),
        ({"type": "int", "words": {"low": 3}}, ber.INTEGER, 4, 4),
        ({"type": "bool"}, ber.INTEGER, 1, True),
        ({"type": "bool", "false_value": 2}, ber.INTEGER, 2, False),
        ({"type": "bool", "bit": 0}, ber.OCTET_STRING, b"\x80", True),
        ({"type": "bool", "bit": 9}, ber.OCTET_STRING, b"\x00\x40", True),
        ({"type": "bool", "bit": 9}, ber.OCTET_STRING, b"\xff", False),
        ({"type": "string"}, ber.OCTET_STRING, "Halle 3 – Süd".encode(), "Halle 3 – Süd"),
        ({"type": "string"}, ber.OCTET_STRING, bytes.fromhex("001b21ff0102"), "00:1b:21:ff:01:02"),
        ({"type": "string"}, ber.OCTET_STRING, b"", ""),
        ({"type": "string"}, ber.IP_ADDRESS, bytes((10, 0, 0, 7)), "10.0.0.7"),
        ({"type": "string"}, ber.OBJECT_ID, (1, 3, 6, 1), "1.3.6.1"),
        ({"type": "string"}, ber.INTEGER, 7, "7"),
    ],
)
def test_an_answer_becomes_a_value(keys: dict[str, Any], tag: int, content: Content, value: Scalar) -> None:
    sample = _row(**keys).sample(_answer(tag, content))
    assert (sample.value, sample.quality) == (value, Quality.GOOD)
    assert isinstance(sample.value, type(value))


@pytest.mark.parametrize(
    ("keys", "tag", "content", "reason"),
    [
        ({}, ber.NO_SUCH_OBJECT, None, "no such object"),
        ({}, ber.NO_SUCH_INSTANCE, None, "no such instance"),
        ({}, ber.NULL, None, "no value"),
        ({}, ber.OCTET_STRING, b"n/a", "'n/a' is no float"),
        ({}, ber.OCTET_STRING, b"\xff\x00\x01", "'ff:00:01' is no float"),
        ({}, ber.OCTET_STRING, b"1" * 5000, "is no float"),
        ({}, ber.IP_ADDRESS, bytes(4), "'0.0.0.0' is no float"),
        ({}, ber.OPAQUE_FLOAT, math.inf, "is no float"),
        ({"no_value": [-1, 2147483647]}, ber.INTEGER, -1, "-1 means that there is no value"),
        ({"type": "bool"}, ber.INTEGER, 2, "2 is neither true (1) nor false (0)"),
        ({"type": "bool", "bit": 0}, ber.INTEGER, 1, "'1' is no bool"),
        ({"type": "string", "reply": "v{value}"}, ber.OCTET_STRING, b"x1", "'x1' is no string"),
    ],
)
def test_an_answer_that_is_no_such_value_is_bad_with_its_oid(
    keys: dict[str, Any], tag: int, content: Content, reason: str
) -> None:
    sample = _row(**keys).sample(_answer(tag, content))
    assert sample.quality is Quality.BAD and sample.value is None
    assert sample.reason.startswith(f"{OID}: ") and reason in sample.reason


_LIMITS = {"writable": True, "write_low": -1000, "write_high": 1000}


@given(st.sampled_from([ber.INTEGER, ber.OPAQUE_FLOAT, ber.OCTET_STRING]), st.integers(-1000, 1000))
def test_what_is_written_is_read_back(tag: int, tenths: int) -> None:
    row = _row(scale=0.1, reply="{value} V", **_LIMITS)
    sent = row.varbind(tenths / 10, tag)
    assert sent.tag == tag
    assert row.sample(sent).value == pytest.approx(tenths / 10, abs=1e-4)


@pytest.mark.parametrize(
    ("keys", "answered", "value", "content"),
    [
        ({"type": "bool", "false_value": 2}, ber.INTEGER, False, 2),
        ({"type": "string"}, ber.OCTET_STRING, "hall 3", b"hall 3"),
        ({"type": "string", "syntax": "address"}, None, "10.0.0.7", bytes((10, 0, 0, 7))),
        ({**_LIMITS, "syntax": "float"}, ber.INTEGER, 3, 3.0),
        ({**_LIMITS, "type": "int", "syntax": "unsigned"}, None, 7, 7),
        ({"type": "int", "words": {"on": 1, "off": 2}}, ber.INTEGER, 2, 2),
    ],
)
def test_a_value_is_sent_in_the_type_of_the_agent(
    keys: dict[str, Any], answered: int | None, value: float | str | bool, content: Content
) -> None:
    assert _row(**{"writable": True, **keys}).varbind(value, answered).value == content


@pytest.mark.parametrize(
    ("keys", "answered", "value"),
    [
        ({}, None, 1.0),
        ({}, ber.NO_SUCH_INSTANCE, 1.0),
        ({}, ber.GAUGE32, -1.0),
        ({"scale": 1e-9}, ber.INTEGER, 1000.0),
        ({}, ber.IP_ADDRESS, 1.0),
        ({}, ber.OBJECT_ID, 1.0),
        ({"type": "string"}, ber.INTEGER, "many"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused(keys: dict[str, Any], answered: int | None, value: float | str) -> None:
    row = _row(**{**_LIMITS, **keys})
    with pytest.raises((DeviceError, ber.BerError)) as refused:
        sent = row.varbind(value, answered)
        ber.encoded(sent.tag, sent.value)
    assert "one" in str(refused.value) or "is no" in str(refused.value)


def _section(value: dict[str, Any] | None = None, **keys: Any) -> SnmpSection:
    values = {"one": {"oid": OID, **(value or {})}}
    return SnmpSection.model_validate({"driver": "snmp", "host": "ups.lab", "values": values, **keys})


def _problems(section: SnmpSection) -> list[Problem]:
    return [*section.problems(), *section.values["one"].problems()]


SECRET = {"env": "SNMP_SECRET"}


@pytest.mark.parametrize(
    ("keys", "value", "place", "told"),
    [
        ({"version": "3"}, {}, (), "version 3 needs a user"),
        ({"version": "3", "user": "u", "authentication": "SHA"}, {}, ("authentication",), "or neither"),
        ({"version": "3", "user": "u", "privacy": "AES"}, {}, ("privacy",), "authentication is missing"),
        ({"version": "3", "user": "u", "community": SECRET}, {}, ("community",), "not for version 3"),
        ({"user": "u"}, {}, ("user",), "user is not for version 2c"),
        ({"settings": {"one": 1}}, {}, ("settings", "one"), "no such value with `writable: true`"),
        ({}, {"writable": True}, (), "says its limits: write_low is missing"),
        ({}, {"writable": True, "choices": [1, 2], "readback": "two"}, ("values", "one", "readback"), "no value two"),
        ({}, {"write_low": 1}, ("write_low",), "write_low is for values with `writable: true`"),
        ({}, {"bit": 3}, ("bit",), "a bit is a bool; this is float"),
        ({}, {"type": "bool", "true_value": 0}, ("false_value",), "0 cannot mean true and false"),
        ({}, {"true_value": 2}, ("true_value",), "true_value is for a bool; this is float"),
        ({}, {"words": {"on": 1}, "scale": 0.1}, ("words",), "without scale and offset"),
        ({}, {"scale": 0}, ("scale",), "with scale 0"),
        ({}, {"reply": "no place"}, ("reply",), "{value} once"),
        ({}, {"syntax": "float"}, ("syntax",), "syntax is for values with"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    keys: dict[str, Any], value: dict[str, Any], place: tuple[str, ...], told: str
) -> None:
    found = _problems(_section(value, **keys))
    assert any(where == place and told in text for where, text in found), found


def test_a_right_section_has_no_problem() -> None:
    value = {"type": "int", "words": {"off": 0, "on": 1}, "writable": True}
    keys = {"version": "3", "user": "u", "authentication": "SHA-256", "password": SECRET, "privacy": "AES"}
    section = _section(value, **keys)
    assert _problems(section) == []
    (point,) = points(section)
    assert point.codes == {"0": "off", "1": "on"} and point.choices == (0, 1) and point.writable


def test_a_setpoint_of_whole_numbers_is_confirmed_by_the_nearest() -> None:
    (point,) = points(_section({**_LIMITS, "scale": 0.1}))
    assert point.tolerance == 0.05


def test_a_text_without_letters_is_shown_in_bytes() -> None:
    assert text_of(_answer(ber.OCTET_STRING, b"\x07\xe8")) == "07:e8"


def test_a_version_may_be_written_as_a_number() -> None:
    assert _section(version=1).version == "1"
    for wrong in (2, 3.0, True):
        with pytest.raises(ValidationError):
            _section(version=wrong)


def test_a_secret_that_stands_in_the_section_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    table = f"values: {{ one: {{ oid: {OID} }} }}"
    device = f"{{ driver: snmp, host: ups.lab, community: very-secret, {table} }}"
    file.write_text(f"experiment: {{ name: lab }}\ndevices:\n  ups: {device}\n")
    (told,) = [problem.message for problem in load_with_problems(file).problems]
    assert "{ env: NAME } or { file: PATH }" in told and "very-secret" not in told
