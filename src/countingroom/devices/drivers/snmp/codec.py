"""Answers of an agent to values, and setpoints to what is sent. An answer that is no such value is BAD. Pure."""

from __future__ import annotations

import math
import re
from functools import cached_property

from countingroom.core.errors import DeviceError
from countingroom.core.scaling import scaled, unscaled
from countingroom.core.snmp import ber
from countingroom.core.snmp.pdu import Varbind
from countingroom.core.text_patterns import command_text, reply_pattern
from countingroom.core.values import Quality
from countingroom.devices.drivers.snmp.description import TAGS, SnmpValue
from countingroom.devices.port import Sample

MOST_LETTERS = 4096
"""Of a text that is searched for a value."""
_SHOWN = 60
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING = {
    ber.NO_SUCH_OBJECT: "no such object",
    ber.NO_SUCH_INSTANCE: "no such instance",
    ber.END_OF_MIB: "nothing behind it",
    ber.NULL: "no value",
}
_WHOLE = {
    ber.INTEGER: (-(1 << 31), (1 << 31) - 1),
    ber.GAUGE32: (0, (1 << 32) - 1),
    ber.COUNTER32: (0, (1 << 32) - 1),
    ber.TIME_TICKS: (0, (1 << 32) - 1),
    ber.COUNTER64: (0, (1 << 64) - 1),
}


class OidRow:
    """One row of the table, ready to use."""

    def __init__(self, name: str, value: SnmpValue) -> None:
        self.name = name
        self.value = value
        self.oid = ber.oid(value.oid)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return reply_pattern(self.value.reply)

    def sample(self, answer: Varbind) -> Sample:
        """The sample of this answer; BAD, with the OID and the reason, where it is no such value."""
        if answer.tag in _MISSING:
            return self.bad(f"the agent has {_MISSING[answer.tag]}")
        row = self.value
        if row.bit is not None:
            return self._bit(answer, row.bit)
        if row.type == "string":
            text = text_of(answer)
            found = self._pattern.fullmatch(text) if len(text) <= MOST_LETTERS else None
            return Sample(point=self.name, value=found["value"]) if found else self._unfit(text)
        number = self._number(answer)
        if number is None or not math.isfinite(number):
            return self._unfit(text_of(answer))
        if any(math.isclose(number, one, rel_tol=1e-6) for one in row.no_value):
            return self.bad(f"{number:g} means that there is no value")
        if row.type == "bool":
            if number not in (row.true_value, row.false_value):
                return self.bad(f"{number:g} is neither true ({row.true_value}) nor false ({row.false_value})")
            return Sample(point=self.name, value=number == row.true_value)
        given = scaled(number, row.scale, row.offset)
        return Sample(point=self.name, value=_rounded(given) if row.type == "int" else float(given))

    def bad(self, reason: str) -> Sample:
        """BAD for this reason."""
        return Sample(point=self.name, value=None, quality=Quality.BAD, reason=f"{self.value.oid}: {reason}")

    def varbind(self, value: float | int | str | bool, answered: int | None) -> Varbind:
        """What is sent for a value that was checked against its limits. `answered`: the tag of the last answer.

        DeviceError where the type is not known, or the value does not fit it.
        """
        tag = TAGS[self.value.syntax] if self.value.syntax else answered
        if tag is None or tag in _MISSING:
            raise DeviceError(
                f"the type of {self.name} ({self.value.oid}) is not known, as the agent did not answer it",
                code="wrong_type",
                suggestion="give its `syntax`",
            )
        content = self._content(tag, value)
        low, high = _WHOLE.get(tag, (0, 0))
        if tag in _WHOLE and not (isinstance(content, int) and low <= content <= high):
            raise self._no_such(value, tag)
        return Varbind(self.oid, tag, content)

    def _content(self, tag: int, value: float | int | str | bool) -> ber.Content:
        row = self.value
        number: float | int | str = value
        if isinstance(value, bool):
            number = row.true_value if value else row.false_value
        elif not isinstance(value, str) and (row.scale, row.offset) != (1.0, 0.0):
            number = unscaled(value, row.scale, row.offset)
        if tag == ber.OCTET_STRING:
            return command_text(row.reply, number if isinstance(number, str) else _plain(number)).encode()
        if tag == ber.IP_ADDRESS:
            parts = str(number).split(".")
            if len(parts) != 4 or not all(part.isdigit() and int(part) < 256 for part in parts):
                raise self._no_such(value, tag)
            return bytes(int(part) for part in parts)
        if isinstance(number, str):
            raise self._no_such(value, tag)
        if tag in (ber.OPAQUE_FLOAT, ber.OPAQUE_DOUBLE):
            return float(number)
        return round(number) if tag in _WHOLE else None

    def _no_such(self, value: object, tag: int) -> DeviceError:
        name = ber.NAMES.get(tag, f"type {tag:#x}")
        return DeviceError(f"{value!r} cannot be written to {self.name}, an {name}", code="wrong_type")

    def _bit(self, answer: Varbind, bit: int) -> Sample:
        if not isinstance(answer.value, bytes):
            return self._unfit(text_of(answer))
        octet = answer.value[bit // 8] if bit // 8 < len(answer.value) else 0  # trailing zeros may be left out
        return Sample(point=self.name, value=bool(octet & 0x80 >> bit % 8))

    def _number(self, answer: Varbind) -> float | int | None:
        if isinstance(answer.value, (int, float)):
            return answer.value
        text = text_of(answer)
        if answer.tag != ber.OCTET_STRING or len(text) > MOST_LETTERS:
            return None
        if (found := self._pattern.fullmatch(text)) is None:
            return None
        text = found["value"].strip()
        if text in self.value.words:
            return self.value.words[text]
        if not _NUMBER.fullmatch(text):
            return None
        return int(text) if re.fullmatch(r"[+-]?\d{1,30}", text, re.ASCII) else float(text)

    def _unfit(self, shown: str) -> Sample:
        return self.bad(f"{shown[:_SHOWN]!r} is no {self.value.type}")


def text_of(answer: Varbind) -> str:
    """A value as a text: letters where an OctetString has them, otherwise its bytes in hexadecimal: `00:1b:21`."""
    value = answer.value
    match value:
        case None:
            return ""
        case bytes() if answer.tag == ber.IP_ADDRESS and len(value) == 4:
            return ".".join(map(str, value))
        case bytes():
            try:
                text = value.rstrip(b"\0").decode()
            except UnicodeDecodeError:
                return value.hex(":")
            return text if all(letter.isprintable() or letter.isspace() for letter in text) else value.hex(":")
        case tuple():
            return ber.dotted(value)
        case _:
            return str(value)


def _rounded(number: float | int) -> float | int:
    return round(number) if math.isfinite(number) else number


def _plain(number: float | int) -> float | int:
    return int(number) if float(number).is_integer() else number
