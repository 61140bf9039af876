"""An instrument as a table of queries and commands describes it: what it keeps, and what it answers. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from countingroom.core.errors import ConfigurationError
from countingroom.core.text_patterns import VALUE, command_pattern, is_expression, reply_pattern, with_value

_MOST_ERRORS = 20
_NO_ERROR = '0,"No error"'
_UNKNOWN = '-113,"Undefined header"'
_REFUSED = '-221,"Settings conflict"'


class Instrument:
    """The values of the table as texts."""

    def __init__(self, section: Mapping[str, Any]) -> None:
        """ConfigurationError where the table does not tell what an answer looks like."""
        self.texts: dict[str, str] = {}
        """Value -> its text, as it stands in an answer."""
        self.refuses = False
        self.taken = 0
        """Commands that it has carried out."""
        self._values: Mapping[str, Mapping[str, Any]] = section["values"]
        self._forms = {name: self._form(name, value) for name, value in self._values.items() if value.get("query")}
        self._identify: Mapping[str, Any] = section.get("identify") or {}
        self._identification = self._identified()
        errors: Mapping[str, Any] = section.get("errors") or {}
        self._errors_query: str = errors.get("query", "")
        self._errors: deque[str] = deque(maxlen=_MOST_ERRORS)

    def answer(self, request: str) -> str | None:
        """The answer to a query or a command; None where it has none."""
        if self._identify and request == self._identify.get("query", "*IDN?"):
            return self._identification
        if self._errors_query and request == self._errors_query:
            return self._errors.popleft() if self._errors else _NO_ERROR
        asked = [name for name, value in self._values.items() if value.get("query") == request]
        if asked:
            text = self._forms[asked[0]]
            for name in asked:
                text = with_value(text, reply_pattern(self._values[name].get("reply", VALUE)), self.texts[name])
            return text
        for name, value in self._values.items():
            if value.get("set") and (found := command_pattern(value["set"]).fullmatch(request)):
                return self._take(name, value, found["value"])
        self._errors.append(_UNKNOWN)
        return None

    def _take(self, name: str, value: Mapping[str, Any], text: str) -> str | None:
        reply: str = value.get("set_reply", "")
        if self.refuses:
            self._errors.append(_REFUSED)
            return "refused" if reply else None
        for one in (name, value.get("readback")):
            if one:
                self.texts[one] = text
        self.taken += 1
        return _literal(reply) if reply else None

    def _form(self, name: str, value: Mapping[str, Any]) -> str:
        """An answer with some value in it."""
        reply, example = value.get("reply", VALUE), value.get("example", "")
        if not example and is_expression(reply):
            raise ConfigurationError(
                f"the reply of {name} is a regular expression: the simulator does not know how an answer looks",
                source=f"values.{name}",
                suggestion="give an answer as its `example`",
            )
        first = _first_text(value)
        form = example or reply.replace(VALUE, first)
        found = reply_pattern(reply).fullmatch(form)
        self.texts[name] = found["value"] if found else first
        return form

    def _identified(self) -> str:
        if not self._identify:
            return ""
        reply = self._identify["reply"]
        text = self._identify.get("example") or _literal(reply)
        if not re.search(reply, text):
            raise ConfigurationError(
                "the simulator does not know how the identification looks",
                source="identify.reply",
                suggestion="give an answer as its `example`",
            )
        return text


def _literal(expression: str) -> str:
    """The text of a regular expression that is hardly one: `^ACME,PS-12` is `ACME,PS-12`."""
    return re.sub(r"\\(.)", r"\1", expression.strip("^$").removesuffix(".*"))


def _first_text(value: Mapping[str, Any]) -> str:
    if words := value.get("words"):
        return next(iter(words))
    match value.get("type", "float"):
        case "string":
            return "none"
        case "bool" | "int" | "float":
            scale, offset = value.get("scale", 1.0), value.get("offset", 0.0)
            low, high = value.get("write_low"), value.get("write_high")
            number = min(max(0.0, low if low is not None else 0.0), high if high is not None else 0.0)
            text = f"{(number - offset) / scale:.3f}"
            return text if value.get("type", "float") == "float" else text.partition(".")[0]
        case other:
            raise ConfigurationError(f"a value has no type {other}")
