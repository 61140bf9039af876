"""Messages that are taken as columns give the rows that they give as `Readings`, and are refused alike."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countingroom.core.messages import Malformed, MessageDecoder, Readings, encode
from countingroom.history.columns import Columns, flatten
from countingroom.history.packed_readings import Packed, PackedDecoder, unpack

NOW = 1_790_000_000_000_000_000
SMALL, WIDE = -(2**63), 2**63 - 1
stamps = st.one_of(
    st.integers(NOW - 10**11, NOW + 10**11), st.sampled_from([0, 1, -1, 2**32 - 1, 2**32, SMALL, WIDE, NOW])
)
floats = st.floats(allow_nan=True, allow_infinity=True)
scalars = st.one_of(floats, st.integers(SMALL, 2**64 - 1), st.booleans(), st.text(max_size=5), st.none())
DECODER = MessageDecoder(Readings)


@st.composite
def readings(draw: st.DrawFn) -> Readings:
    points = draw(st.lists(st.sampled_from(["v", "i", "ch.0", "long name of a point", "µ"]), max_size=8))
    size = len(points)

    def column(of: st.SearchStrategy[int]) -> list[int]:
        return draw(st.lists(of, min_size=size, max_size=size))

    regular = st.integers(2**33, WIDE)
    return Readings(
        device=draw(st.sampled_from(["caen", "julabo", ""])),
        boot="b",
        sequence=draw(st.integers(0, 9)),
        full=draw(st.booleans()),
        sent_ns=draw(stamps),
        points=points,
        values=draw(st.lists(draw(st.sampled_from([floats, scalars])), min_size=size, max_size=size)),
        qualities=column(st.integers(0, 3)),
        device_ns=column(draw(st.sampled_from([stamps, regular]))),
        received_ns=column(draw(st.sampled_from([stamps, regular]))),
        alarms=draw(st.dictionaries(st.sampled_from(["v", "µ", "other"]), st.integers(1, 3), max_size=2)),
        reasons=draw(st.dictionaries(st.sampled_from(["v"]), st.text(max_size=3), max_size=1)),
    )


def same(one: Columns, other: Columns) -> None:
    for name in Columns.ARRAYS:
        found, wanted = getattr(one, name), getattr(other, name)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted, equal_nan=name == "number"), name
    assert (one.names, one.texts) == (other.names, other.texts)


@given(st.lists(readings(), max_size=4))
def test_a_batch_has_the_rows_of_its_messages(messages: list[Readings]) -> None:
    decoder = PackedDecoder()
    for _ in range(2):  # the second time the names are known
        packed = [decoder.decode(encode(message)) for message in messages]
        same(unpack(packed), flatten(messages))
        for one, message in zip(packed, messages, strict=True):
            assert (one.device, one.boot, one.sequence) == (message.device, message.boot, message.sequence)


@given(readings(), st.data())
def test_damaged_bytes_are_refused_as_those_of_readings_are(message: Readings, data: st.DataObject) -> None:
    damaged = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    decoder, wanted = PackedDecoder(), None
    with suppress(Malformed):
        wanted = DECODER.decode(bytes(damaged))
    if wanted is None:
        with pytest.raises(Malformed):
            decoder.decode(bytes(damaged))
    else:
        same(unpack([decoder.decode(bytes(damaged))]), flatten([wanted]))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_the_usual_message_is_taken_as_it_is_encoded(count: int) -> None:
    message = Readings(
        device="caen",
        boot="b",
        sequence=1,
        full=False,
        sent_ns=NOW,
        points=[f"p{n}" for n in range(count)],
        values=[float(n) for n in range(count)],
        qualities=[n % 4 for n in range(count)],
        device_ns=[NOW + n for n in range(count)],
        received_ns=[NOW + 2 * n for n in range(count)],
    )
    packed = PackedDecoder().decode(encode(message))
    assert packed.values is None
    assert len(packed.numbers) == 9 * count
    same(unpack([packed]), flatten([message]))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("qualities", [0, 4]),
        ("qualities", [0]),
        ("values", [1.0, [2.0]]),
        ("values", [1.0, 2.0, 3.0]),
        ("device_ns", [NOW, 2**63]),
        ("device_ns", [NOW, float(NOW)]),
        ("received_ns", [NOW, "now"]),
        ("points", ["a", 1]),
        ("points", {"a": 1}),
        ("alarms", {"a": 4}),
        ("reasons", {"a": 4}),
    ],
)
def test_a_wrong_column_is_refused_with_its_reason(field: str, value: object) -> None:
    columns: dict[str, object] = {"points": ["a", "b"], "values": [1.0, 2.0], "qualities": [0, 0]}
    columns |= {"device_ns": [NOW, NOW], "received_ns": [NOW, NOW], field: value}
    head = {"device": "caen", "boot": "b", "sequence": 1, "full": False, "sent_ns": NOW}
    data = msgspec.msgpack.encode(head | columns)
    with pytest.raises(Malformed) as wanted:
        DECODER.decode(data)
    with pytest.raises(Malformed) as refused:
        PackedDecoder().decode(data)
    assert str(refused.value) == str(wanted.value)


def test_names_are_right_also_when_too_many_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countingroom.history.packed_readings._KEPT", 5)
    decoder, messages, packed = PackedDecoder(), list[Readings](), list[Packed]()
    for number in range(20):
        messages.append(
            Readings(
                device=f"d{number % 3}",
                boot="b",
                sequence=number,
                full=False,
                sent_ns=NOW,
                points=[f"p{number % 7}", "p"],
                values=[1.0, 2.0],
                qualities=[0, 0],
                device_ns=[NOW, NOW],
                received_ns=[NOW, NOW],
            )
        )
        packed.append(decoder.decode(encode(messages[-1])))
    same(unpack(packed), flatten(messages))
