"""What is packed comes out as it was; a plan covers every value, splits none, and asks for nothing else."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.errors import DeviceError
from countingroom.devices.drivers.modbus import codec
from countingroom.devices.drivers.modbus.codec import Span, WordOrder

ORDERS = st.builds(WordOrder, st.sampled_from(["big", "little"]), st.sampled_from(["big", "little"]))
INTEGERS = {"int": (0, 65535), "uint16": (0, 65535), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1)}
KINDS = ["bool", "int", "int16", "uint16", "int32", "uint32", "float32", "float64"]
SPANS = st.lists(st.builds(Span, st.integers(0, 400), st.sampled_from([1, 2, 4])), min_size=1, max_size=80)


def test_a_float_is_big_endian_bytes_with_the_least_significant_word_first() -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", -15.5))
    assert codec.encode("float32", -15.5, WordOrder(words="little")) == (low, high) == (0x0000, 0xC178)
    assert codec.decode("float32", (0x0000, 0xC178), WordOrder(words="little")) == -15.5
    assert codec.encode("float32", -15.5, WordOrder()) == (0xC178, 0x0000)
    assert codec.encode("float32", -15.5, WordOrder(bytes="little", words="little")) == (0x0000, 0x78C1)


@given(st.floats(width=32), ORDERS)
def test_a_float_survives_its_registers_in_every_order(value: float, order: WordOrder) -> None:
    back = codec.decode("float32", codec.encode("float32", value, order), order)
    assert back == value or (math.isnan(back) and math.isnan(value))


@given(st.sampled_from(sorted(INTEGERS)).flatmap(lambda k: st.tuples(st.just(k), st.integers(*INTEGERS[k]))), ORDERS)
def test_an_integer_survives_its_registers_in_every_order(case: tuple[str, int], order: WordOrder) -> None:
    kind, value = case
    assert codec.decode(kind, codec.encode(kind, value, order), order) == value


@given(st.sampled_from(KINDS), st.lists(st.integers(-5, 70000), max_size=6), ORDERS)
def test_no_words_raise_anything_but_device_error(kind: str, words: list[int], order: WordOrder) -> None:
    try:
        codec.decode(kind, words, order)
    except DeviceError as error:
        assert error.cause.message


@given(st.sampled_from(KINDS), st.one_of(st.floats(), st.integers()), ORDERS)
def test_no_value_raises_anything_but_device_error(kind: str, value: float, order: WordOrder) -> None:
    try:
        words = codec.encode(kind, value, order)
    except DeviceError:
        return
    assert len(words) == codec.width(kind)
    assert all(0 <= word <= 0xFFFF for word in words)


@pytest.mark.parametrize(("kind", "value"), [("uint16", -1), ("int16", 40000), ("float32", 1e300)])
def test_a_value_its_registers_cannot_hold_is_refused(kind: str, value: float) -> None:
    with pytest.raises(DeviceError, match="does not fit"):
        codec.encode(kind, value, WordOrder(words="little"))


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.booleans())
def test_writing_a_bit_changes_that_bit_and_no_other(word: int, bit: int, on: bool) -> None:
    changed = codec.with_bit(word, bit, on)
    assert codec.bit_of(changed, bit) == on
    assert (changed ^ word) & ~(1 << bit) == 0
    assert codec.with_bit(changed, bit, codec.bit_of(word, bit)) == word


@given(SPANS, st.integers(0, 20))
def test_a_plan_covers_every_value_splits_none_and_keeps_the_limit(spans: list[Span], bridge: int) -> None:
    chunks = codec.plan(spans, bridge=bridge)
    assert all(chunk.count <= codec.MOST_WORDS for chunk in chunks)
    for span in spans:
        assert any(chunk.address <= span.address and span.end <= chunk.end for chunk in chunks)


@given(SPANS)
def test_without_a_bridge_no_register_outside_the_table_is_asked_for(spans: list[Span]) -> None:
    wanted = {address for span in spans for address in range(span.address, span.end)}
    asked = {address for chunk in codec.plan(spans) for address in range(chunk.address, chunk.end)}
    assert asked == wanted


def test_a_long_table_is_asked_for_in_few_questions() -> None:
    table = [Span(address, 2) for address in range(100, 500, 2)]
    assert [chunk.count for chunk in codec.plan(table)] == [124, 124, 124, 28]
