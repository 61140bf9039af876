"""Messages of SNMP: their bytes there and back, the keys of RFC 3414, and bytes that are no message."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from countingroom.core.snmp import ber, usm
from countingroom.core.snmp.ber import BerError, Content, Oid
from countingroom.core.snmp.pdu import GET, RESPONSE, Pdu, Varbind, asked, decode_message, encode_message
from countingroom.core.snmp.usm import Keys, V3Message

NUMBERS = st.integers(0, (1 << 32) - 1)
OIDS = st.one_of(
    st.tuples(st.integers(0, 1), st.integers(0, 39), NUMBERS, NUMBERS), st.tuples(st.just(2), NUMBERS, NUMBERS)
)
VALUES: st.SearchStrategy[tuple[int, Content]] = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(1 << 31), (1 << 31) - 1)),
    st.tuples(st.sampled_from([ber.COUNTER32, ber.GAUGE32, ber.TIME_TICKS]), NUMBERS),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, (1 << 64) - 1)),
    st.tuples(st.just(ber.OCTET_STRING), st.binary(max_size=300)),
    st.tuples(st.just(ber.IP_ADDRESS), st.binary(min_size=4, max_size=4)),
    st.tuples(st.just(ber.OBJECT_ID), OIDS),
    st.tuples(st.just(ber.OPAQUE_FLOAT), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just(ber.OPAQUE_DOUBLE), st.floats(allow_nan=False)),
    st.tuples(st.sampled_from([ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB]), st.none()),
)
PDUS = st.builds(
    Pdu,
    st.sampled_from([GET, RESPONSE]),
    st.integers(0, (1 << 31) - 1),
    st.lists(st.tuples(OIDS, VALUES).map(lambda one: Varbind(one[0], *one[1])), max_size=5).map(tuple),
    st.integers(0, 18),
    st.integers(0, 20),
)


@given(st.integers(0, 1), st.binary(max_size=40), PDUS)
def test_a_message_is_read_as_it_was_written(version: int, community: bytes, pdu: Pdu) -> None:
    assert decode_message(encode_message(version, community, pdu)) == (version, community, pdu)


@given(PDUS, st.data())
def test_bytes_that_are_no_message_are_told(pdu: Pdu, data: st.DataObject) -> None:
    whole = bytearray(encode_message(1, b"public", pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    for given_bytes in (bytes(whole), bytes(whole[: data.draw(st.integers(0, len(whole)))])):
        for read in (decode_message, usm.decode):
            with suppress(BerError):
                read(given_bytes)


def test_what_agents_write_in_another_way_is_read() -> None:
    counter = ber.BerReader(bytes((ber.COUNTER32, 4, 0xFF, 0xFF, 0xFF, 0xFE)))  # without the zero before the high bit
    assert counter.value() == (ber.COUNTER32, 4294967294)
    opaque = ber.BerReader(bytes.fromhex("44079f780442280000"))  # Net-SNMP's Opaque Float: 42.0
    assert opaque.value() == (ber.OPAQUE_FLOAT, 42.0)
    strange = ber.BerReader(bytes.fromhex("44039f7804"))
    assert strange.value() == (ber.OPAQUE, bytes.fromhex("9f7804"))
    long_length = ber.BerReader(bytes.fromhex("0483000003616263"))
    assert long_length.octets() == b"abc"


@pytest.mark.parametrize("wrong", ["", "1", "1.3.x", "1.3..6", "3.1.2", "1.40.1", "1.3.4294967296", "sysUpTime.0"])
def test_an_oid_is_numbers(wrong: str) -> None:
    with pytest.raises(ValueError, match="OID"):
        ber.oid(wrong)


def test_an_oid_may_have_a_leading_dot() -> None:
    assert ber.dotted(ber.oid(".1.3.6.1.4.1.19947")) == "1.3.6.1.4.1.19947"


@pytest.mark.parametrize(
    ("tag", "value"), [(ber.INTEGER, "7"), (ber.OPAQUE_FLOAT, 1e300), (ber.OCTET_STRING, 5), (ber.OBJECT_ID, b"1")]
)
def test_a_value_that_does_not_fit_its_type_is_refused(tag: int, value: Content) -> None:
    with pytest.raises(BerError):
        ber.encoded(tag, value)


def test_the_keys_are_those_of_the_example_in_rfc_3414() -> None:
    engine = bytes(11) + b"\x02"
    key = usm.password_key("maplesyrup", "SHA")
    assert key.hex() == "9fb5cc0381497b3793528939ff788d5d79145211"
    assert usm.localized(key, engine, "SHA").hex() == "6695febc9288e36282235fc7151f128497b38f3f"


QUESTION = V3Message(
    77, Pdu(GET, 77, asked([(1, 3, 6, 1)])), usm.IS_REPORTABLE, b"\x80agent", 3, 4000, b"reader", context=b"ups-2"
)
OTHER: Oid = (1, 3, 6, 2)


def _keys(protocol: str, *, private: bool = True) -> Keys:
    key = usm.localized(usm.password_key("a long password", protocol), QUESTION.engine_id, protocol)
    return Keys(protocol, key, key if private else b"")


@pytest.mark.parametrize("protocol", usm.AUTHENTICATION)
@pytest.mark.parametrize("private", [False, True])
def test_a_signed_message_is_genuine_until_a_byte_changes(protocol: str, private: bool) -> None:
    if private:
        pytest.importorskip("cryptography")
    keys = _keys(protocol, private=private)
    data = usm.encode(QUESTION, keys, bytes(8))
    message = usm.decode(data)
    assert usm.is_genuine(data, message, keys)
    assert (message.pdu is None) is private
    clear = usm.decrypted(message, keys)
    assert clear.pdu == QUESTION.pdu
    assert (clear.context, clear.context_engine_id, clear.user) == (b"ups-2", b"\x80agent", b"reader")
    for place in (40, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            found = usm.decode(bytes(changed))
        except BerError:
            continue
        assert not usm.is_genuine(bytes(changed), found, keys)


def test_another_password_neither_verifies_nor_decrypts() -> None:
    pytest.importorskip("cryptography")
    data = usm.encode(QUESTION, _keys("SHA-256"), bytes(8))
    message = usm.decode(data)
    wrong = Keys("SHA-256", bytes(32), bytes(16))
    assert not usm.is_genuine(data, message, wrong)
    assert not usm.is_genuine(data, message, Keys())
    with pytest.raises(BerError):
        usm.decrypted(message, Keys())
    with pytest.raises(BerError):
        usm.decrypted(message, wrong)
    with pytest.raises(BerError):
        usm.encode(replace(QUESTION, pdu=None), Keys())


def test_an_unsigned_message_has_no_signature() -> None:
    data = usm.encode(QUESTION, Keys())
    message = usm.decode(data)
    assert message.flags == usm.IS_REPORTABLE and message.pdu == QUESTION.pdu
    assert not usm.is_genuine(data, message, _keys("SHA"))


def test_no_key_stands_in_a_representation() -> None:
    keys = _keys("SHA", private=False)
    assert keys.signing.hex() not in repr(keys) and repr(keys.signing) not in repr(keys)
