"""Requests and answers of SNMP, and the messages of versions 1 and 2c that carry them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from countingroom.core.snmp.ber import (
    INTEGER,
    NULL,
    OBJECT_ID,
    OCTET_STRING,
    BerError,
    BerReader,
    Content,
    Oid,
    encoded,
    sequence,
)

GET, GET_NEXT, RESPONSE, SET, GET_BULK, REPORT = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA8
KINDS = (GET, GET_NEXT, RESPONSE, SET, GET_BULK, REPORT)
VERSIONS = {"1": 0, "2c": 1, "3": 3}
"""Version as it is written -> its number in a message."""

NO_ERROR, TOO_BIG, NO_SUCH_NAME, BAD_VALUE, READ_ONLY, GENERAL_ERROR, NO_ACCESS, WRONG_TYPE = range(8)
AUTHORIZATION_ERROR, NOT_WRITABLE = 16, 17
"""Errors of an answer that a program looks at."""
_ERRORS = (
    "noError",
    "tooBig",
    "noSuchName",
    "badValue",
    "readOnly",
    "genErr",
    "noAccess",
    "wrongType",
    "wrongLength",
    "wrongEncoding",
    "wrongValue",
    "noCreation",
    "inconsistentValue",
    "resourceUnavailable",
    "commitFailed",
    "undoFailed",
    "authorizationError",
    "notWritable",
    "inconsistentName",
)


class Varbind(Struct, frozen=True):
    """An OID with its value."""

    oid: Oid
    tag: int = NULL
    value: Content = None


class Pdu(Struct, frozen=True):
    """A request or an answer. In a GET_BULK, `error` is non-repeaters and `index` max-repetitions."""

    kind: int
    request_id: int
    varbinds: tuple[Varbind, ...]
    error: int = NO_ERROR
    index: int = 0
    """Place of the varbind with the error, from 1."""


def error_name(error: int) -> str:
    """`noAccess`."""
    return _ERRORS[error] if 0 <= error < len(_ERRORS) else f"error {error}"


def asked(oids: Iterable[Oid]) -> tuple[Varbind, ...]:
    """The varbinds of a question."""
    return tuple(Varbind(one) for one in oids)


def encode_pdu(pdu: Pdu) -> bytes:
    """BerError where a value does not fit its tag."""
    varbinds = (sequence(encoded(OBJECT_ID, one.oid), encoded(one.tag, one.value)) for one in pdu.varbinds)
    return sequence(
        encoded(INTEGER, pdu.request_id),
        encoded(INTEGER, pdu.error),
        encoded(INTEGER, pdu.index),
        sequence(*varbinds),
        tag=pdu.kind,
    )


def read_pdu(reader: BerReader) -> Pdu:
    """The next value, which is a PDU; BerError where it is none."""
    kind = reader.next_tag()
    if kind not in KINDS:
        raise BerError(f"there is no PDU with tag {kind:#x}")
    inside = reader.inside(kind)
    request_id, error, index = inside.integer(), inside.integer(), inside.integer()
    listed = inside.inside()
    varbinds: list[Varbind] = []
    while not listed.is_at_end:
        one = listed.inside()
        varbinds.append(Varbind(one.object_id(), *one.value()))
    return Pdu(kind, request_id, tuple(varbinds), error, index)


def encode_message(version: int, community: bytes, pdu: Pdu) -> bytes:
    """A message of version 1 or 2c."""
    return sequence(encoded(INTEGER, version), encoded(OCTET_STRING, community), encode_pdu(pdu))


def decode_message(data: bytes) -> tuple[int, bytes, Pdu]:
    """Version, community and PDU of a message of version 1 or 2c; BerError where it is none."""
    reader = BerReader(data).inside()
    version = reader.integer()
    if version not in (0, 1):
        raise BerError(f"the message has version number {version}")
    return version, reader.octets(), read_pdu(reader)
