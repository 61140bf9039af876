"""The section of an instrument that is asked in lines of text: its line, and a table of queries and commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from countingroom.core.text_patterns import VALUE, command_pattern, command_text, expression, reply_pattern
from countingroom.core.yaml.section import Section
from countingroom.devices.section import (
    Address,
    DeviceSection,
    Duration,
    Plain,
    Precision,
    Problem,
    Silence,
    TableValue,
)
from countingroom.devices.serial.address import socket_problem

IDENTIFICATION, ERROR = "identification", "error"
"""Points that `identify` and `errors` make."""

ValueName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)?$")]
"""`name`, or `channel.column`."""


def _line(text: str) -> str:
    if any(ord(letter) < 32 or ord(letter) > 255 for letter in text):
        raise ValueError(f"a line has no control characters and no letters beyond Latin-1; got {text!r}")
    return text


def _expression(text: str) -> str:
    expression(text)
    return text


Line = Annotated[str, AfterValidator(_line)]
Expression = Annotated[str, AfterValidator(_expression)]


class Identification(Section):
    """How the instrument says what it is. It also brings a line back into step, as an answer like no other."""

    query: Annotated[Line, Field(min_length=1)] = "*IDN?"
    reply: Annotated[Expression, Field(min_length=1)]
    """A regular expression that is found in the answer of this instrument and in no other answer: `ACME,PS-12`."""
    example: str = ""
    """An answer, for the simulator. Empty: `reply` itself, where it fits."""


class ErrorQueue(Section):
    """How the instrument tells its errors, one for each query, until there is none."""

    query: Annotated[Line, Field(min_length=1)] = "SYST:ERR?"
    none: Expression = r"[+-]?0\b.*"
    """A regular expression for the whole answer when there is no error."""


class TextValue(TableValue):
    """One value of the table: the query that reads it, and the command that sets it."""

    query: Line = ""
    """`MEAS:VOLT?`. Values with the same query share its answer. Empty: it cannot be read, and has a `readback`."""
    reply: str = VALUE
    """Where the value is in the answer: `VOLT {value} V`, or a regular expression of the whole answer with the group
    `value`: `[^,]*,(?P<value>.*)`."""
    example: str = ""
    """An answer, for the simulator, and checked against `reply`. A regular expression needs one to be simulated."""
    type: Literal["float", "int", "bool", "string"] = "float"
    precision: Precision | None = None
    """2 for floats, 0 for the rest."""
    scale: float = 1.0
    """The value is that of the instrument times this, plus `offset`."""
    offset: float = 0.0
    words: dict[str, Plain] = {}
    """Text of the instrument -> value: `{CV: 0, CC: 1}`. Other texts are BAD."""
    no_value: list[float] | None = None
    """Numbers that mean that there is no value. Such a value is BAD. Without this key: those of SCPI (9.9e37 beyond the
    range, 9.91e37 not a number), and every other from 9.9e37 to 1e38, of both signs: meters write the overload as
    9.99999999e37, too. With it only these: `[]` takes all numbers."""
    poll: Duration | None = None
    """Where it is asked for more seldom than the others."""
    set: Line = ""
    """The command of a setpoint: `VOLT {value:.3f}`. Empty: read only."""
    set_reply: Expression = ""
    """A regular expression of the whole answer to the command; another answer is a refusal. Empty: it has none."""

    def problems(self) -> Iterable[Problem]:
        """Properties that contradict each other."""
        yield from self.write_problems("set", is_writable=bool(self.set))
        if not self.query and not (self.set and self.readback):
            yield ("query",), "a value without query is a setpoint with `set` and `readback`"
        yield from self._reply_problems()
        if self.type in ("bool", "string") and (self.scale, self.offset) != (1.0, 0.0):
            yield ("scale",), f"scale and offset are for numbers; this is {self.type}"
        if self.scale == 0:
            yield ("scale",), "with scale 0 every value is the same"
        if self.set:
            yield from self._set_problems()
        elif self.set_reply:
            yield ("set_reply",), "set_reply is for values with `set`"

    def _reply_problems(self) -> Iterable[Problem]:
        try:
            pattern = reply_pattern(self.reply)
        except ValueError as error:
            yield ("reply",), str(error)
            return
        if self.example and not pattern.fullmatch(self.example):
            yield ("example",), f"the example does not fit the reply {self.reply!r}"

    def _set_problems(self) -> Iterable[Problem]:
        try:
            command_pattern(self.set)
            command_text(self.set, self._any_value())
        except (ValueError, TypeError) as error:
            yield ("set",), str(error)
        if self.type in ("float", "int") and not (self.words or self.choices):
            for key in ("write_low", "write_high"):
                if getattr(self, key) is None:
                    yield (), f"a number with `set` says its limits: {key} is missing"

    def _any_value(self) -> float | int | str:
        if self.words or self.type in ("bool", "string"):
            return "ON"
        return 1 if self.type == "int" and (self.scale, self.offset) == (1.0, 0.0) else 1.0


class TextSection(DeviceSection):
    """An instrument on a serial line or a TCP port that answers a line of text with a line of text."""

    driver: Literal["text"]
    port: Address
    """`/dev/ttyUSB0`, a pseudo terminal, or `socket://host:port` (5025 for most SCPI instruments)."""
    baudrate: Annotated[int, Field(gt=0)] = 9600
    bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    rtscts: bool = False
    line_end: Literal["LF", "CR", "CRLF"] = "LF"
    """The end of what is sent."""
    answer_end: str = ""
    """The end of an answer: `";"`. Empty: CR, LF or both."""
    echo: bool = False
    """The instrument repeats what it is sent."""
    gap: Silence = 0.0
    """Silence after an answer."""
    write_gap: Silence = 0.05
    """Silence after a command without an answer."""
    identify: Identification | None = None
    """Asked at the connection and at the end of each poll. Give it wherever the instrument has it: without it a line
    that loses an answer is brought back into step by silence alone."""
    errors: ErrorQueue | None = None
    """Asked after each command, which fails where there is an error, and at the end of each poll."""
    values: Annotated[dict[ValueName, TextValue], Field(min_length=1)]
    settings: dict[str, Plain] = {}
    """Value -> what to write at the connection, with `apply_on_connect`."""

    def problems(self) -> Iterable[Problem]:
        """A malformed address, names that are taken, and names without a value."""
        if problem := socket_problem(self.port):
            yield ("port",), problem
        for name in (IDENTIFICATION if self.identify else "", ERROR if self.errors else ""):
            if name in self.values:
                yield ("values", name), f"{name} is the name of a point that the driver makes"
        for name, value in self.values.items():
            other = self.values.get(value.readback)
            if value.readback and (other is None or not other.query):
                yield ("values", name, "readback"), f"there is no value {value.readback} with a query"
        for name in self.settings:
            if name not in self.values or not self.values[name].set:
                yield ("settings", name), "there is no such value with `set`"
