"""A table of queries and commands: what an answer means, what a setpoint becomes, and mistakes that are told."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from countingroom.core.errors import ConfigurationError
from countingroom.core.points import Type
from countingroom.core.text_patterns import command_pattern, command_text, reply_pattern, with_value
from countingroom.core.values import Quality
from countingroom.devices.description import DevicesSection
from countingroom.devices.drivers.text.codec import MOST_LETTERS, TableRow
from countingroom.devices.drivers.text.description import TextSection, TextValue
from countingroom.devices.drivers.text.points import channels, points
from countingroom.simulators.text import TextSimulator
from countingroom.simulators.text_instrument import Instrument
from tests.contract.drivers.text import SUPPLY

WORDS = st.text("ABCDVOLT?:;@()+.*[]\\ ", max_size=12)


def row(**keys: Any) -> TableRow:
    return TableRow("v", TextValue.model_validate({"query": "V?", **keys}))


@settings(max_examples=50)
@given(WORDS, WORDS, st.floats(-1e6, 1e6).map(lambda number: f"{number:.3f}"))
def test_a_form_finds_the_value_that_was_put_into_it(before: str, after: str, value: str) -> None:
    form = f"{before}{{value}}{after}"
    found = reply_pattern(form).fullmatch(form.replace("{value}", value))
    assert found and float(found["value"]) == float(value)
    taken = command_pattern(form).fullmatch(command_text(form, value))
    assert taken and float(taken["value"]) == float(value)
    assert (
        with_value(form.replace("{value}", "1"), reply_pattern(form), value).strip()
        == form.replace("{value}", value).strip()
    )


@pytest.mark.parametrize("form", ["VOLT {value} V", "A B {value} C D", "{value}", " {value} V"])
def test_no_answer_holds_a_form_up(form: str) -> None:
    answer = form.strip().replace("{value}", "1").replace(" ", " " * 1000)[: MOST_LETTERS - 1] + "?"
    began = monotonic()
    reply_pattern(form).fullmatch(answer)
    assert monotonic() - began < 20.0  # it was minutes


@pytest.mark.parametrize(
    ("expression", "is_endless"),
    [
        (r"(?P<value>(\d+)*)V", True),
        (r"(?:a|aa)+(?P<value>b)", True),
        (r"(?=(a+)+)(?P<value>b)", True),
        (r"(?:[^,]*,){3}(?P<value>.*)", False),
        (r"[^,]*,(?P<value>\d+(?:\.\d+)?)", False),
        (r"(?:\d++,)*(?P<value>.*)", False),
        (r"(?:ON|OFF) (?P<value>a|bc)", False),
    ],
)
def test_an_expression_that_can_take_for_ever_is_a_mistake(expression: str, is_endless: bool) -> None:
    if is_endless:
        with pytest.raises(ValueError, match="for ever"):
            reply_pattern(expression)
        with pytest.raises(ValidationError, match="for ever"):
            TextValue.model_validate({"query": "V?", "set": "V {value}", "type": "string", "set_reply": expression})
    else:
        reply_pattern(expression)


@pytest.mark.parametrize(
    ("expression", "is_slow"),
    [
        (r".*.*(?P<value>.*)x", True),
        (r"(?:.*,){3}(?P<value>\d+)", True),
        (r"\d*[\d.]*(?P<value>\d*)x", True),
        (r"(?:.*|a).*(?P<value>.+)", True),
        (r"\S*,\S*,(?P<value>\S*),\S*", True),
        (r".*V (?P<value>.*)", False),
        (r"[^,]*,[^,]*,[^,]*,(?P<value>\d+),.*", False),
        (r"\w+,\w+:\d*\.(?P<value>\d+)V.*", False),
        (r".*+.*+.*+(?P<value>.*)", False),
    ],
)
def test_an_expression_that_can_take_minutes_is_a_mistake(expression: str, is_slow: bool) -> None:
    if is_slow:
        with pytest.raises(ValueError, match="can take minutes"):
            reply_pattern(expression)
    else:
        reply_pattern(expression).fullmatch("," * 4096)


@pytest.mark.parametrize(
    ("keys", "answer", "value"),
    [
        ({}, "+1.25E+01", 12.5),
        ({"reply": "VOLT {value} V"}, "VOLT  3.5 V", 3.5),
        ({"reply": r"(?P<value>[^,]*),.*"}, "1.5,ON", 1.5),
        ({"scale": 0.001, "unit": "A"}, "250", 0.25),
        ({"offset": -273.15}, "273.15", 0.0),
        ({"type": "int"}, "+3.000E+00", 3),
        ({"type": "int", "scale": 10}, "1.49", 15),
        ({"type": "int", "scale": 10}, "900719925474099301", 9007199254740993010),
        ({"type": "int", "offset": -5}, "9007199254740993", 9007199254740988),
        ({"type": "bool"}, "ON", True),
        ({"type": "bool"}, "0", False),
        ({"type": "bool", "words": {"RUN": True, "HALT": False}}, "HALT", False),
        ({"type": "string"}, '"CH 1"', '"CH 1"'),
        ({}, "9.8E37", 9.8e37),
        ({}, "1.1E38", 1.1e38),
        ({"no_value": []}, "9.9E37", 9.9e37),
        ({"no_value": [0]}, "9.91E37", 9.91e37),
    ],
)
def test_an_answer_is_a_value(keys: dict[str, Any], answer: str, value: object) -> None:
    sample = row(**keys).sample(answer)
    assert sample.quality is Quality.GOOD
    assert sample.value == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("keys", "answer", "why"),
    [
        ({}, "", "is no float"),
        ({}, "1,5", "is no float"),
        ({}, "nan", "is no float"),
        ({}, "1_0", "is no float"),
        ({}, "9.9E37", "no value"),
        ({}, "+9.91000000E+37", "no value"),
        ({}, "-9.900000E+37", "no value"),
        ({}, "-9.91E37", "no value"),
        ({"unit": "V", "scale": 1000}, "-9.9E+37", "no value"),
        ({}, "9.99999999e+37", "overload, above the range"),
        ({}, "-9.99999999E37", "overload, below the range"),
        ({}, "1.0E+38", "overload"),
        ({}, "-9.910000E+37", "not a number"),
        ({"type": "int"}, "+9.90000E+37", "overload"),
        ({"no_value": [9999.9]}, "9999.9", "no value"),
        ({}, "1e999", "is no float"),
        ({"type": "int"}, "1.5", "is no int"),
        ({"reply": "V={value};"}, "I=3;", "does not fit"),
        ({"words": {"CV": 1}}, "XX", "word of CV"),
        ({"type": "bool"}, "2", "is no bool"),
        ({}, "1" * (MOST_LETTERS + 1), "does not fit"),
    ],
)
def test_what_is_no_value_is_bad_with_the_reason(keys: dict[str, Any], answer: str, why: str) -> None:
    sample = row(**keys).sample(answer)
    assert sample.quality is Quality.BAD and sample.value is None and why in sample.reason


@pytest.mark.parametrize(
    ("keys", "value", "text"),
    [
        ({"set": "VOLT {value:.3f},(@1)"}, 1.5, "VOLT 1.500,(@1)"),
        ({"set": "V{value}"}, 2.25, "V2.25"),
        ({"set": "I{value:.0f}", "scale": 0.001}, 0.25, "I250"),
        ({"set": "N {value:03d}", "type": "int"}, 7, "N 007"),
        ({"set": "OUTP {value}", "type": "bool"}, True, "OUTP 1"),
        ({"set": "OUTP {value}", "type": "bool", "words": {"ON": True, "OFF": False}}, False, "OUTP OFF"),
        ({"set": "MODE {value}", "type": "string"}, "FAST", "MODE FAST"),
    ],
)
def test_a_setpoint_is_a_command(keys: dict[str, Any], value: float | str, text: str) -> None:
    assert row(write_low=-10, write_high=10, **keys).command(value) == text


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"set": "VOLT", "write_low": 0, "write_high": 1}, ("set",)),
        ({"set": "VOLT {value:q}", "write_low": 0, "write_high": 1}, ("set",)),
        ({"set": "VOLT {value}"}, ()),
        ({"query": ""}, ("query",)),
        ({"reply": "VOLT"}, ("reply",)),
        ({"reply": "(?P<value>["}, ("reply",)),
        ({"reply": "V={value}", "example": "I=3"}, ("example",)),
        ({"set_reply": "OK"}, ("set_reply",)),
        ({"write_low": 0}, ("write_low",)),
        ({"type": "string", "scale": 2}, ("scale",)),
        ({"scale": 0}, ("scale",)),
    ],
)
def test_a_row_that_cannot_work_is_told(keys: dict[str, Any], path: tuple[str, ...]) -> None:
    value = TextValue.model_validate({"query": "V?", **keys})
    assert path in [where for where, _ in value.problems()]


def test_a_table_that_cannot_work_is_told() -> None:
    values = {"error": {"query": "E?"}, "v": {"set": "V {value}", "type": "bool", "readback": "x"}}
    keys = {"driver": "text", "port": "socket://x", "errors": {}, "values": values, "settings": {"w": 1}}
    section = DevicesSection.model_validate({"psu": keys})["psu"]
    assert isinstance(section, TextSection)
    paths = [path for path, _ in section.problems()]
    assert paths == [("port",), ("values", "error"), ("values", "v", "readback"), ("settings", "w")]


@pytest.mark.parametrize(
    "keys",
    [{"values": {"v": {"query": "A\nB"}}}, {"values": {}}, {"identify": {"reply": "["}}, {"line_end": "TAB"}],
)
def test_what_no_instrument_has_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TextSection.model_validate({**SUPPLY, **keys})


def test_the_table_makes_points_and_channels() -> None:
    section = TextSection.model_validate(SUPPLY)
    table = {point.name: point for point in points(section)}
    assert channels(section) == ("1",)
    assert list(table)[-2:] == ["identification", "error"]
    assert table["1.mode"].choices == (0, 1) and table["1.mode"].codes == {"0": "CV", "1": "CC"}
    assert table["1.set_voltage"].writable and table["1.set_voltage"].readback == "1.voltage"
    assert table["output"].type is Type.BOOL and not table["temperature"].writable


def test_a_simulator_says_which_answer_it_does_not_know() -> None:
    values = {"v": {"query": "V?", "reply": "(?P<value>.*);"}}
    with pytest.raises(ConfigurationError, match="reply of v") as caught:
        TextSimulator({"values": values})
    assert "example" in caught.value.cause.suggestion
    with pytest.raises(ConfigurationError, match="identification"):
        Instrument({"values": {}, "identify": {"query": "ID?", "reply": r"ACME \d+"}})


def test_values_of_one_query_share_its_answer() -> None:
    reply = {"query": "ALL?", "example": "1.0,2.0"}
    values = {
        "a": {**reply, "reply": "(?P<value>[^,]*),.*"},
        "b": {**reply, "reply": "[^,]*,(?P<value>.*)", "set": "B {value}", "write_low": 0, "write_high": 5},
    }
    instrument = Instrument({"values": values})
    assert instrument.answer("ALL?") == "1.0,2.0"
    assert instrument.answer("B 4.5") is None and instrument.answer("ALL?") == "1.0,4.5"
