"""Tables of registers as users have them: types, orders, scales and functions, and what a table cannot mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import DeviceError
from countingroom.core.points import Type
from countingroom.devices.drivers.marta.description import MartaSection
from countingroom.devices.drivers.modbus import codec, pdu
from countingroom.devices.drivers.modbus.codec import NumberFormat, WordOrder
from countingroom.devices.drivers.modbus.description import ModbusSection
from countingroom.devices.drivers.modbus.driver import ModbusDriver
from countingroom.devices.drivers.modbus.points import points
from countingroom.simulators.modbus import ModbusSimulator

BIG = WordOrder()
LITTLE = WordOrder(words="little")
ORDERS = st.builds(WordOrder, st.sampled_from(["big", "little"]), st.sampled_from(["big", "little"]))


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("int64", -2, (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE)),
        ("uint64", 2**63 + 1, (0x8000, 0, 0, 1)),
        ("float32", -15.5, (0xC178, 0)),
        ("uint32", 0x00010002, (1, 2)),
    ],
)
def test_the_most_significant_word_is_first_by_default(kind: str, value: float, words: tuple[int, ...]) -> None:
    assert codec.encode(kind, value, BIG) == words
    assert codec.encode(kind, value, LITTLE) == words[::-1]
    assert codec.decode(kind, words, BIG) == value


def test_the_words_of_a_plant_stay_as_they_were() -> None:
    assert MartaSection(host="h").word_order == "little"
    assert ModbusSection.model_validate({"host": "h", "registers": {"a": {"address": 1}}}).word_order == "big"


@pytest.mark.parametrize(("value", "length", "words"), [(1234, 1, (0x1234,)), (99991234, 2, (0x9999, 0x1234))])
def test_a_bcd_number_has_four_digits_in_each_register(value: int, length: int, words: tuple[int, ...]) -> None:
    layout = NumberFormat(kind="bcd", length=length)
    assert codec.encode_scaled(layout, value, BIG) == words
    assert codec.decode_scaled(layout, words, BIG) == value


@pytest.mark.parametrize("value", [-1, 10_000])
def test_a_number_that_its_digits_cannot_hold_is_refused(value: int) -> None:
    with pytest.raises(DeviceError):
        codec.encode_scaled(NumberFormat(kind="bcd"), value, BIG)
    with pytest.raises(DeviceError):
        codec.decode_scaled(NumberFormat(kind="bcd"), (0x12AB,), BIG)


@given(st.text(max_size=8).filter(lambda text: "\0" not in text and text == text.rstrip()), ORDERS)
def test_a_text_survives_its_registers(text: str, order: WordOrder) -> None:
    length = max(1, (len(text.encode()) + 1) // 2)
    assert codec.decode_text(codec.encode_text(text, length, order), order) == text


@given(st.lists(st.integers(0, 65535), max_size=5), ORDERS)
def test_no_registers_raise_anything_but_device_error(words: list[int], order: WordOrder) -> None:
    for is_text in (True, False):
        try:
            if is_text:
                codec.decode_text(words, order)
            else:
                codec.decode_scaled(NumberFormat(kind="bcd", length=len(words)), words, order)
        except DeviceError as error:
            assert error.cause.message


@given(st.binary(max_size=12), st.sampled_from([1, 2, 3, 4, 5, 6, 15, 16, 23]))
def test_no_answer_raises_anything_but_device_error(answer: bytes, function: int) -> None:
    reads = {number: table for table, number in pdu.READ.items()}
    request = pdu.read_request(reads[function], 1, 2) if function in reads else pdu.write_request(function, 1, [1])
    try:
        pdu.values_of(request, answer)
        pdu.rtu_size(answer)
    except DeviceError as error:
        assert error.cause.message


def test_the_check_sum_is_that_of_the_standard() -> None:
    assert pdu.rtu_frame(0x11, bytes.fromhex("03006b0003")) == bytes.fromhex("1103006b00037687")
    with pytest.raises(DeviceError, match="check sum"):
        pdu.rtu_parts(bytes.fromhex("1103006b00037688"))


def table(**registers: dict[str, Any]) -> ModbusSection:
    return ModbusSection.model_validate({"host": "h", "registers": registers})


def test_scale_and_offset_make_a_point_of_decimals_or_keep_whole_numbers() -> None:
    section = table(
        t={"address": 1, "type": "int16", "scale": 0.1, "offset": -40.0, "precision": 1},
        n={"address": 2, "scale": 10},
        s={"address": 3, "type": "string", "length": 4},
        c={"address": 4, "table": "coil"},
    )
    assert [point.type for point in points(section)] == [Type.FLOAT, Type.INT, Type.STRING, Type.BOOL]
    layout = section.registers["t"].layout
    assert codec.decode_scaled(layout, (625,), BIG) == pytest.approx(22.5)
    assert codec.encode_scaled(layout, 22.5, BIG) == (625,)
    assert points(section)[0].tolerance == pytest.approx(0.05)
    many = NumberFormat(kind="uint64", scale=10, offset=-7)
    assert codec.encode_scaled(many, 90_071_992_547_409_923, BIG) == codec.encode("uint64", 2**53 + 1, BIG)
    assert codec.decode_scaled(many, codec.encode("uint64", 2**53 + 1, BIG), BIG) == 90_071_992_547_409_923
    floating = table(f={"address": 1, "type": "float32", "scale": 0.001}).registers["f"].layout
    assert codec.decode_scaled(floating, (0x465A, 0x162B), BIG) == pytest.approx(13.957542, abs=1e-6)


@pytest.mark.parametrize(
    ("register", "key"),
    [
        ({"address": 1, "table": "input", "input": True, "write_low": 0, "write_high": 1}, "input"),
        ({"address": 1, "table": "discrete", "input": True}, "input"),
        ({"address": 1, "table": "coil", "type": "int16"}, "type"),
        ({"address": 1, "table": "coil", "bit": 2}, "bit"),
        ({"address": 1, "table": "coil", "input": True, "write_function": 6}, "write_function"),
        ({"address": 1, "input": True, "write_low": 0, "write_high": 1, "write_function": 5}, "write_function"),
        (
            {"address": 1, "type": "int32", "input": True, "write_low": 0, "write_high": 1, "write_function": 6},
            "write_function",
        ),
        ({"address": 1, "type": "bool", "scale": 2}, "scale"),
        ({"address": 1, "scale": 0}, "scale"),
        ({"address": 1, "type": "bool", "no_value": [1]}, "no_value"),
        ({"address": 1, "length": 3}, "length"),
        ({"address": 1, "type": "bcd", "length": 5}, "length"),
        ({"address": 65535, "type": "string", "length": 2}, "address"),
    ],
)
def test_what_a_value_cannot_mean_is_told_at_its_key(register: dict[str, Any], key: str) -> None:
    assert [path for path, _ in table(x=register).registers["x"].problems()] == [(key,)]


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({}, ("host",)),
        ({"host": "h", "serial": "/dev/ttyS0"}, ("host",)),
        ({"host": "h", "most_registers": 3}, ("registers", "x")),
    ],
)
def test_what_a_section_cannot_mean_is_told_at_its_key(keys: dict[str, Any], place: tuple[str, ...]) -> None:
    section = ModbusSection.model_validate({"registers": {"x": {"address": 1, "type": "float64"}}, **keys})
    assert [path for path, _ in section.problems()] == [place]


EVERY: dict[str, Any] = {
    "float": {"address": 0, "type": "float32", "input": True, "write_low": -9, "write_high": 9},
    "turned": {"address": 2, "type": "float64", "word_order": "little", "byte_order": "little", "input": True},
    "long": {"address": 6, "type": "int64", "input": True},
    "text": {"address": 20, "type": "string", "length": 6, "input": True},
    "digits": {"address": 30, "type": "bcd", "length": 2, "input": True},
    "scaled": {"address": 40, "type": "int16", "scale": 0.1, "input": True, "write_function": 6},
    "both": {"address": 41, "type": "uint32", "input": True, "write_function": 23},
    "coil": {"address": 3, "table": "coil", "input": True},
    "coils": {"address": 4, "table": "coil", "input": True, "write_function": 15},
    "seen": {"address": 3, "table": "discrete"},
    "level": {"address": 3, "table": "input", "type": "uint16"},
    "elsewhere": {"address": 40, "device_id": 7, "type": "int16", "input": True},
}
WRITTEN: dict[str, Any] = {
    "float": -2.5,
    "turned": 1.0e-7,
    "long": -(2**53),
    "text": "Kühler 1",
    "digits": 12345678,
    "scaled": -12.3,
    "both": 4_000_000_000,
    "coil": True,
    "coils": True,
    "elsewhere": -5,
}


async def test_every_kind_of_value_is_written_and_read_back() -> None:
    simulator = ModbusSimulator({"registers": EVERY})
    address = await simulator.start()
    driver = ModbusDriver(ModbusSection.model_validate({**address, "registers": EVERY}))
    try:
        await driver.connect()
        for name, value in WRITTEN.items():
            await driver.write(name, value)
        values = {sample.point: sample.value for sample in await driver.read()}
        assert {name: values[name] for name in WRITTEN} == pytest.approx(WRITTEN)
        assert (values["seen"], values["level"]) == (False, 0)
        assert {name: simulator.image.get(name) for name in WRITTEN} == pytest.approx(WRITTEN)
        with pytest.raises(DeviceError, match="12 fit"):
            await driver.write("text", "much too long a text")
    finally:
        await driver.close()
        await simulator.stop()


@pytest.mark.parametrize(
    ("keys", "register", "warned"),
    [
        ({}, {"type": "float32"}, True),
        ({"word_order": "little"}, {"type": "float32"}, False),
        ({}, {"type": "float32", "word_order": "big"}, False),
        ({}, {"type": "int16"}, False),
        ({}, {"type": "string", "length": 4}, False),
    ],
)
def test_an_order_that_is_not_written_is_warned_of(
    keys: dict[str, Any], register: dict[str, Any], warned: bool
) -> None:
    registers = {"x": {"address": 1, **register}}
    section = ModbusSection.model_validate({"host": "h", "registers": registers, **keys})
    assert [path for path, _ in section.warnings()] == ([("registers", "x")] if warned else [])


@pytest.mark.parametrize(
    ("register", "none", "some"),
    [
        ({"type": "int16", "scale": 0.1, "no_value": [0x8000, 32766]}, [(0x8000,), (0x7FFE,)], ((0x7FFF,), 3276.7)),
        ({"type": "int16", "no_value": [-32768]}, [(0x8000,)], ((0,), 0)),
        ({"no_value": [0xFFFF]}, [(0xFFFF,)], ((0xFFFE,), 65534)),
        ({"type": "int32", "no_value": [0x80000000]}, [(0x8000, 0)], ((0x8000, 1), -(1 << 31) + 1)),
        ({"type": "uint64", "no_value": [0xFFFFFFFFFFFFFFFF]}, [(0xFFFF,) * 4], ((0, 0, 0, 5), 5)),
        ({"type": "float32", "no_value": [-3.4e38]}, [(0xFF7F, 0xC99E)], ((0, 0), 0)),
        ({"type": "float32", "no_value": [-9999]}, [(0xC61C, 0x3C00)], ((0, 0), 0)),
        ({"type": "bcd", "no_value": [9999]}, [(0x9999,)], ((0x9998,), 9998)),
    ],
)
def test_a_number_that_means_no_value_is_bad_and_says_so(
    register: dict[str, Any], none: list[tuple[int, ...]], some: tuple[tuple[int, ...], float]
) -> None:
    layout = table(t={"address": 1, **register}).registers["t"].layout
    for words in none:
        with pytest.raises(DeviceError, match="no value"):
            codec.decode_scaled(layout, words, BIG)
    assert codec.decode_scaled(layout, some[0], BIG) == pytest.approx(some[1])
