"""An SNMP agent as a table of OIDs describes it: what it keeps, and what it answers. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from countingroom.core.errors import OutOfRange
from countingroom.core.snmp import ber, pdu
from countingroom.core.snmp.ber import Content, Oid
from countingroom.core.snmp.pdu import Pdu, Varbind
from countingroom.core.text_patterns import VALUE, is_expression

MOST_BYTES = 1400
"""Of an answer; a longer one is too big, as for agents that send no fragments."""
_VERSION_1 = 0
_NOT_WRITABLE = pdu.NOT_WRITABLE
_INCONSISTENT_VALUE = 12
_SYSTEM = "1.3.6.1.2.1.1."
_OBJECT_ID = "1.3.6.1.4.1.8072.3.2.255"
"""That of an unknown system of Net-SNMP."""
_TAGS = {
    "integer": ber.INTEGER,
    "unsigned": ber.GAUGE32,
    "counter": ber.COUNTER32,
    "ticks": ber.TIME_TICKS,
    "string": ber.OCTET_STRING,
    "address": ber.IP_ADDRESS,
    "float": ber.OPAQUE_FLOAT,
    "double": ber.OPAQUE_DOUBLE,
}
_GOOD_WORDS = ("normal", "ok", "good", "on", "none")


class Agent:
    """The values of the table, as they stand in an answer."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        self.refuses = False
        self.taken = 0
        """Values that were written."""
        self.most_bytes = MOST_BYTES
        self.missing: set[Oid] = set()
        self.ticks = 0
        """Since its start; hundredths of a second."""
        self._rows: Mapping[str, Mapping[str, Any]] = section["values"]
        self.kept: dict[Oid, tuple[int, Content]] = {
            ber.oid(f"{_SYSTEM}1.0"): (ber.OCTET_STRING, b"a simulated agent"),
            ber.oid(f"{_SYSTEM}2.0"): (ber.OBJECT_ID, ber.oid(section.get("object_id") or _OBJECT_ID)),
            ber.oid(f"{_SYSTEM}3.0"): (ber.TIME_TICKS, 0),
        }
        self._oids = {name: ber.oid(row["oid"]) for name, row in self._rows.items()}
        self._writable: dict[Oid, str] = {}
        for name, row in self._rows.items():
            self.kept.setdefault(self._oids[name], _first(row))
            if row.get("writable"):
                self._writable[self._oids[name]] = name
        self._order = sorted(self.kept)

    @property
    def names(self) -> tuple[str, ...]:
        """The values of the table."""
        return tuple(self._rows)

    def oid(self, name: str) -> Oid:
        """The OID of a value of the table."""
        return self._oids[name]

    def put(self, name: str, text: str) -> None:
        """Let a value of the table be this, as the agent has it. OutOfRange where its type does not take it."""
        oid = self._oids[name]
        tag, _ = self.kept[oid]
        try:
            self.kept[oid] = tag, _content(tag, text)
        except ValueError as error:
            raise OutOfRange(f"{text!r} is no {ber.NAMES[tag]}: {error}", code="wrong_type") from None

    def answer(self, version: int, request: Pdu) -> Pdu:
        """The answer to a request; the version is that of the message, 0 for version 1."""
        if request.kind == pdu.SET:
            return self._set(version, request)
        varbinds: list[Varbind] = []
        for place, oid in enumerate(self._asked(request), 1):
            found = self._value(oid)
            if version == _VERSION_1 and found.tag in (ber.NO_SUCH_INSTANCE, ber.END_OF_MIB):
                return _error(request, pdu.NO_SUCH_NAME, place)
            varbinds.append(found)
        said = Pdu(pdu.RESPONSE, request.request_id, tuple(varbinds))
        return said if len(pdu.encode_pdu(said)) <= self.most_bytes else _error(request, pdu.TOO_BIG, 0)

    def _asked(self, request: Pdu) -> list[Oid | None]:
        """The OIDs of the answer; None behind the last."""
        given = [one.oid for one in request.varbinds]
        if request.kind == pdu.GET:
            return list(given)
        if request.kind == pdu.GET_NEXT:
            return [self._after(one) for one in given]
        found: list[Oid | None] = [self._after(one) for one in given[: request.error]]
        for one in given[request.error :]:
            behind = bisect_right(self._order, one)
            found.extend(self._order[behind : behind + max(0, request.index)] or [None])
        return found

    def _after(self, oid: Oid) -> Oid | None:
        behind = bisect_right(self._order, oid)
        return self._order[behind] if behind < len(self._order) else None

    def _value(self, oid: Oid | None) -> Varbind:
        if oid is None:
            return Varbind(self._order[-1], ber.END_OF_MIB)
        if oid not in self.kept or oid in self.missing:
            return Varbind(oid, ber.NO_SUCH_INSTANCE)
        tag, content = self.kept[oid]
        return Varbind(oid, tag, self.ticks % (1 << 32) if oid == ber.oid(f"{_SYSTEM}3.0") else content)

    def _set(self, version: int, request: Pdu) -> Pdu:
        for place, one in enumerate(request.varbinds, 1):
            error = self._refusal(one)
            if error:
                return _error(request, pdu.BAD_VALUE if version == _VERSION_1 else error, place)
        for one in request.varbinds:
            self.kept[one.oid] = one.tag, one.value
            readback = self._rows[self._writable[one.oid]].get("readback")
            if readback:
                self.kept[self._oids[readback]] = one.tag, one.value
            self.taken += 1
        return Pdu(pdu.RESPONSE, request.request_id, request.varbinds)

    def _refusal(self, one: Varbind) -> int:
        if one.oid not in self._writable or one.oid in self.missing:
            return _NOT_WRITABLE
        if one.tag != self.kept[one.oid][0]:
            return pdu.WRONG_TYPE
        return _INCONSISTENT_VALUE if self.refuses else pdu.NO_ERROR


def _error(request: Pdu, error: int, index: int) -> Pdu:
    return Pdu(pdu.RESPONSE, request.request_id, request.varbinds, error, index)


def _first(row: Mapping[str, Any]) -> tuple[int, Content]:
    """A value that fits the row, within its limits."""
    tag = _tag(row)
    if row.get("bit") is not None:
        return tag, bytes(row["bit"] // 8 + 1)
    if row.get("type", "float") == "string" and tag == ber.OCTET_STRING:
        return tag, b"none"
    words: Mapping[str, int] = row.get("words") or {}
    number = (_middle(row) - row.get("offset", 0.0)) / row.get("scale", 1.0)
    if words:
        number = next((words[word] for word in _GOOD_WORDS if word in words), next(iter(words.values())))
    if row.get("type") == "bool":
        number = row.get("false_value", 0)
    reply: str = row.get("reply", VALUE)
    text = f"{number:.3f}" if tag in (ber.OCTET_STRING, ber.OPAQUE_FLOAT, ber.OPAQUE_DOUBLE) else str(round(number))
    return tag, _content(tag, text if tag != ber.OCTET_STRING or is_expression(reply) else reply.replace(VALUE, text))


def _tag(row: Mapping[str, Any]) -> int:
    kind = row.get("type", "float")
    if row.get("syntax"):
        return _TAGS[row["syntax"]]
    if row.get("bit") is not None or kind == "string" or row.get("reply", VALUE) != VALUE:
        return ber.OCTET_STRING
    is_float = kind == "float" and not row.get("words") and row.get("scale", 1.0) == 1.0
    return ber.OPAQUE_FLOAT if is_float else ber.INTEGER


def _middle(row: Mapping[str, Any]) -> float:
    """Half-way between its innermost limits."""
    low, high = (
        next((float(row[key]) for key in keys if row.get(key) is not None), None)
        for keys in (("warning_low", "alarm_low", "write_low"), ("warning_high", "alarm_high", "write_high"))
    )
    if row.get("writable"):
        return min(max(0.0, low or 0.0), max(0.0, high or 0.0))
    if low is None:
        return 0.0 if high is None else high / 2
    return low if high is None else (low + high) / 2


def _content(tag: int, text: str) -> Content:
    """A text as the content of this type. ValueError where it is none."""
    if tag == ber.OCTET_STRING:
        return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()
    if tag == ber.IP_ADDRESS:
        return bytes(int(part) for part in (text if "." in text else "127.0.0.1").split("."))
    if tag in (ber.OPAQUE_FLOAT, ber.OPAQUE_DOUBLE):
        return float(text)
    if tag == ber.OBJECT_ID:
        return ber.oid(text)
    return int(text)
