"""The bytes are those of the manual, and no answer of any kind raises anything but DeviceError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import DeviceError
from countingroom.devices.drivers.julabo import codec
from countingroom.devices.drivers.julabo.description import HIGHEST_C, LOWEST_C

PARSERS = (
    codec.parse_status,
    codec.parse_number,
    codec.parse_temperature,
    codec.parse_power,
    codec.parse_sensor,
    codec.parse_setpoint_number,
    codec.parse_switch,
)


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (b"00 MANUAL STOP", 0, "MANUAL STOP"),
        (b"02 REMOTE STOP", 2, "REMOTE STOP"),
        (b"03 REMOTE START", 3, "REMOTE START"),
        (b"-01 LOW LEVEL ALARM", -1, "LOW LEVEL ALARM"),
        (b"-01LOW LEVEL ALARM", -1, "LOW LEVEL ALARM"),
        (b"-1045 PUMP ALARM", -1045, "PUMP ALARM"),
        (b" -33 EXTERNAL SENSOR SHORT ", -33, "EXTERNAL SENSOR SHORT"),
    ],
)
def test_a_status_is_its_number_and_its_words(answer: bytes, code: int, text: str) -> None:
    assert codec.parse_status(answer) == codec.Status(code, text)


@pytest.mark.parametrize(
    ("point", "value", "request_"),
    [
        ("setpoint_1", -20, b"OUT_SP_00 -20.00\r"),
        ("setpoint_3", 12.5, b"OUT_SP_02 12.50\r"),
        ("used_setpoint", 2, b"OUT_MODE_01 1\r"),
        ("ext_is_used", True, b"OUT_MODE_04 1\r"),
        ("pressure_stage", 3, b"OUT_SP_07 3\r"),
        ("running", True, b"OUT_MODE_05 1\r"),
        ("running", False, b"OUT_MODE_05 0\r"),
    ],
)
def test_what_is_sent_is_what_the_manual_says(point: str, value: float, request_: bytes) -> None:
    assert codec.request(point, value) == request_


def test_a_reading_cannot_be_set() -> None:
    with pytest.raises(DeviceError):
        codec.request("internal_temp", 1.0)


@pytest.mark.parametrize("answer", [b"---.--", b"", b"  ", b"-----"])
def test_dashes_stand_for_a_sensor_that_is_not_there(answer: bytes) -> None:
    assert codec.parse_sensor(answer) is None


@pytest.mark.parametrize("answer", [b"-08 INVALID COMMAND", b"JULABO", b"1.2.3", b"nan", b"inf", b"1e5", b"\xff12"])
def test_words_are_no_number(answer: bytes) -> None:
    with pytest.raises(DeviceError) as caught:
        codec.parse_number(answer)
    assert caught.value.cause.evidence["answer"]


@given(st.binary(max_size=40))
def test_no_answer_raises_anything_but_device_error(answer: bytes) -> None:
    for parse in PARSERS:
        try:
            parse(answer)
        except DeviceError as error:
            assert error.cause.message
    codec.is_status(answer)
    codec.is_version(answer)
    codec.is_words(answer)
    codec.refusal(answer)


@given(st.integers(round(LOWEST_C * 100), round(HIGHEST_C * 100)))
def test_a_setpoint_survives_the_line(hundredths: int) -> None:
    sent = codec.request("setpoint_2", hundredths / 100)
    assert round(codec.parse_number(sent.split()[1]) * 100) == hundredths


@given(st.integers(-99, 99), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ ", min_size=1).map(str.strip).filter(bool))
def test_only_a_status_looks_like_a_status(code: int, text: str) -> None:
    answer = b"%02d %s" % (code, text.encode())
    assert codec.is_status(answer)
    assert not codec.is_version(answer)
    assert not codec.is_status(b"%d.00" % code)


@pytest.mark.parametrize(
    ("parse", "answer"),
    [
        (codec.parse_temperature, b"2100.00"),
        (codec.parse_temperature, b"-300"),
        (codec.parse_power, b"111.0"),
        (codec.parse_switch, b"1.00"),
        (codec.parse_setpoint_number, b"2.00"),
        (codec.parse_setpoint_number, b"3"),
    ],
)
def test_a_number_that_cannot_be_the_answer_is_nonsense(parse: Callable[[bytes], object], answer: bytes) -> None:
    with pytest.raises(DeviceError):
        parse(answer)


@pytest.mark.parametrize(
    "answer", [b"12.50", b"-08 INVALID COMMAND", b"Hello from the bath", b"02 REMOTE STOP", b"#A9?"]
)
def test_nothing_else_looks_like_a_version(answer: bytes) -> None:
    assert not codec.is_version(answer)
    assert codec.is_version(b"JULABO FP50_MH Simulator, ISIS") and codec.is_version(b"JULABO HIGHTECH FP50-HL 4.1")
