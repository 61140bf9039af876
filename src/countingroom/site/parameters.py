"""Parameters of an address: their kinds, how their texts are read, and what is said of a wrong one. Pure.

The same table drives the check of a request and the description of the API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from countingroom.core.errors import RequestError
from countingroom.site.zones import is_zone

_MOST_FIELDS = 40
_MOST_TEXT = 200
_DIGITS = 10


class AddressParameter(Struct, frozen=True):
    """One parameter."""

    name: str
    kind: str
    """`integer`, `text`, `choice`, `zone`, `flag`."""
    about: str
    default: Any = None
    """Its value where it is not given; None: there is none."""
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**31 - 1
    required: bool = False

    def read(self, text: str) -> Any:
        """The value of a text; RequestError where it is none."""
        match self.kind:
            case "integer":
                if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
                    raise self._wrong(f"is not a whole number: {text[:40]!r}")
                if not self.least <= int(text) <= self.most:
                    raise self._wrong(f"is from {self.least} to {self.most}")
                return int(text)
            case "choice":
                if text not in self.choices:
                    raise self._wrong(f"is one of {', '.join(self.choices)}")
                return text
            case "zone":
                if not is_zone(text):
                    raise self._wrong("is the name of a time zone, such as UTC or Europe/Zurich")
                return text
            case "flag":
                if text not in ("1", "0", "true", "false", "on", ""):
                    raise self._wrong("is 1 or 0")
                return text in ("1", "true", "on")
            case _:
                if len(text) > _MOST_TEXT:
                    raise self._wrong(f"has at most {_MOST_TEXT} characters")
                if not text.isprintable():  # no name has such a character, and PostgreSQL refuses some
                    raise self._wrong("holds a character that cannot be printed")
                return text

    def _wrong(self, what: str) -> RequestError:
        return wrong_parameter(f"{self.name} {what}")

    def schema(self) -> dict[str, Any]:
        """Of its value, for the description of the API."""
        match self.kind:
            case "integer":
                found: dict[str, Any] = {"type": "integer", "minimum": self.least, "maximum": self.most}
            case "choice":
                found = {"type": "string", "enum": list(self.choices)}
            case "flag":
                found = {"type": "string", "enum": ["0", "1"]}
            case _:
                found = {"type": "string", "maxLength": _MOST_TEXT}
        if self.default not in (None, "", False):
            found["default"] = self.default
        return found


def read_query(query: bytes, parameters: Sequence[AddressParameter], *, others: bool = False) -> dict[str, Any]:
    """The values of a query; RequestError (`wrong_parameter`) for a wrong, unknown, repeated or missing one.

    `others`: unknown ones are left out in silence, as the original API does.
    """
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except (UnicodeError, ValueError) as error:
        raise wrong_parameter("the query of this address cannot be read") from error
    known = {one.name: one for one in parameters}
    values: dict[str, Any] = {one.name: one.default for one in parameters}
    seen: set[str] = set()
    for name, value in pairs:
        if name not in known:
            if others:
                continue
            told = ", ".join(known) or "none"
            raise wrong_parameter(f"there is no parameter {name[:40]!r} here; known: {told}")
        if name in seen:
            raise wrong_parameter(f"{name} is given twice")
        seen.add(name)
        if value or known[name].kind in ("text", "flag"):
            values[name] = known[name].read(value)
    if missing := [one.name for one in parameters if one.required and values[one.name] is None]:
        raise wrong_parameter(f"give {', '.join(missing)}")
    return values


def read_path(given: Mapping[str, str], parameters: Sequence[AddressParameter]) -> dict[str, Any]:
    """The values in the path."""
    return {one.name: one.read(given[one.name]) for one in parameters}


def wrong_parameter(message: str) -> RequestError:
    """The error for a wrong one."""
    return RequestError(message, source="site", code="wrong_parameter", suggestion="correct the address")
