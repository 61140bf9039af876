"""Texts of an instrument to values, and setpoints to commands. A text that cannot be read is BAD. Pure."""

from __future__ import annotations

import math
import re
from functools import cached_property

from countingroom.core.scaling import scaled, unscaled
from countingroom.core.text_patterns import command_text, reply_pattern
from countingroom.core.values import Quality, Scalar
from countingroom.devices.drivers.text.description import TextValue
from countingroom.devices.port import Sample

MOST_LETTERS = 4096
"""Of an answer; a longer one is not read."""
_SHOWN = 60
_YES = {"1": True, "on": True, "true": True, "0": False, "off": False, "false": False}
_NOT_A_NUMBER = 9.91e37
_OVERLOAD, _OVERLOAD_TO = 9.9e37, 1e38
"""SCPI-99 has the first; others round the largest number of the meter up, as 9.99999999e37."""
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class TableRow:
    """One row of the table, ready to use."""

    def __init__(self, name: str, value: TextValue) -> None:
        self.name = name
        self.value = value

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return reply_pattern(self.value.reply)

    @property
    def _is_plain(self) -> bool:
        return (self.value.scale, self.value.offset) == (1.0, 0.0)

    def sample(self, answer: str) -> Sample:
        """The sample of this answer; BAD, with the reason, where it cannot be read."""
        found = self._pattern.fullmatch(answer) if len(answer) <= MOST_LETTERS else None
        if found is None:
            return self.bad(f"{answer[:_SHOWN]!r} does not fit the reply {self.value.reply!r}")
        text = (found["value"] or "").strip()
        value = self._converted(text)
        if value is None:
            kind = f"word of {', '.join(self.value.words)}" if self.value.words else self.value.type
            return self.bad(f"{text[:_SHOWN]!r} is no {kind}")
        if reason := self._why_none(value):
            return self.bad(f"{text} means {reason}")
        return Sample(point=self.name, value=self._scaled(value))

    def bad(self, reason: str) -> Sample:
        """BAD for this reason."""
        return Sample(point=self.name, value=None, quality=Quality.BAD, reason=reason)

    def command(self, value: float | int | str | bool) -> str:
        """The command that sets this value, which was checked against its limits."""
        row = self.value
        word = next((text for text, code in row.words.items() if code == value), None)
        if word is not None:
            return command_text(row.set, word)
        if isinstance(value, bool):
            return command_text(row.set, "1" if value else "0")
        if isinstance(value, str) or self._is_plain:
            return command_text(row.set, value)
        return command_text(row.set, unscaled(value, row.scale, row.offset))

    def _converted(self, text: str) -> Scalar:
        row = self.value
        if row.words:
            return row.words.get(text)
        match row.type:
            case "string":
                return text
            case "bool":
                return _YES.get(text.lower())
            case _:
                return _number(text, keeps_whole=row.type == "int", is_whole=row.type == "int" and self._is_plain)

    def _why_none(self, value: Scalar) -> str:
        """What this number of the instrument stands for, where it is no value."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or self.value.words:
            return ""
        if self.value.no_value is None:
            return _meaning(value)
        is_none = any(math.isclose(value, one, rel_tol=1e-6) for one in self.value.no_value)
        return "that there is no value" if is_none else ""

    def _scaled(self, value: Scalar) -> Scalar:
        row = self.value
        if isinstance(value, (bool, str)) or value is None or row.words or self._is_plain:
            return value
        given = scaled(value, row.scale, row.offset)
        return round(given) if row.type == "int" and math.isfinite(given) else float(given)


def _meaning(value: float) -> str:
    """What numbers of about 1e38 stand for: SCPI has 9.91e37 for what is no number, and 9.9e37 beyond the range."""
    size = abs(value)
    if math.isclose(size, _NOT_A_NUMBER, rel_tol=1e-6):
        return "that there is no value (not a number)"
    if _OVERLOAD * (1 - 1e-6) <= size <= _OVERLOAD_TO * (1 + 1e-6):
        side = "below" if value < 0 else "above"
        return f"that there is no value (overload, {side} the range)"
    return ""


def _number(text: str, *, keeps_whole: bool, is_whole: bool) -> float | int | None:
    if not _NUMBER.fullmatch(text):
        return None
    if keeps_whole and re.fullmatch(r"[+-]?\d{1,30}", text, re.ASCII):
        return int(text)
    number = float(text)
    if not math.isfinite(number) or (is_whole and not number.is_integer()):
        return None
    return int(number) if is_whole else number
