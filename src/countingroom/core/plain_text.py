"""Finds characters that change how the text around them is shown: controls, and those for the direction of writing.

Texts of users and descriptions that contain one are refused; texts that must be kept as evidence, in the audit, are
escaped. U+202E in a comment reverses what is written after it, and other ones hide a part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any, cast

_HIDDEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Controls except tab and line ends; marks, embeddings, overrides and isolates of directions; invisible characters."""

_ESCAPE = re.compile(r"\\[ubf]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell begins with that a spreadsheet runs."""
_PLAIN_LINE = re.compile(rb"[\t -~]*")


def hidden_character(text: str) -> str:
    """The first such character, as `U+202E`; empty where there is none."""
    found = _HIDDEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""


def may_hide(json_text: str) -> bool:
    """Whether a JSON text may have such a character in a value, itself or as an escape; quick, for the usual no."""
    return _HIDDEN.search(json_text) is not None or _ESCAPE.search(json_text) is not None


def find_hidden(content: object, *, but: Set[str] = frozenset(), path: str = "") -> str:
    """Where a JSON value has such a character, as `arguments.text contains U+202E`. `but`: names that are left out."""
    if isinstance(content, str):
        hidden = hidden_character(content)
        return f"{path or 'the text'} contains {hidden}" if hidden else ""
    if isinstance(content, Mapping):
        items = [(str(name), value) for name, value in cast(Mapping[Any, Any], content).items()]
    elif isinstance(content, list):
        items = [(str(number), value) for number, value in enumerate(cast(list[Any], content))]
    else:
        return ""
    for name, value in items:
        inner = f"{path}.{escaped(name, most=100)}" if path else escaped(name, most=100)
        found = find_hidden(name, path=f"the name {inner}") or (
            "" if name in but else find_hidden(value, but=but, path=inner)
        )
        if found:
            return found
    return ""


def readable(content: Any) -> Any:
    """The JSON value with such characters and carriage returns written as `\\u001b`: a terminal would act on them."""
    if isinstance(content, str):
        return _HIDDEN.sub(_escape, content).replace("\r", "\\u000d")
    if isinstance(content, dict):
        return {readable(name): readable(value) for name, value in cast(dict[Any, Any], content).items()}
    return [readable(value) for value in cast(list[Any], content)] if isinstance(content, list) else content


def readable_line(line: bytes) -> bytes:
    """A line of a log in UTF-8, with such characters and bytes that are no text written as `\\u001b` and `\\x9b`."""
    if _PLAIN_LINE.fullmatch(line):
        return line
    return str(readable(line.decode(errors="backslashreplace"))).encode()


def no_formula(text: str) -> str:
    """The text as a cell of a table that a spreadsheet cannot take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def escaped(text: str, *, most: int) -> str:
    """The text with such characters and line ends written as `\\u202e`, cut after `most` characters."""
    return re.sub(r"[\t\r\n]", _escape, _HIDDEN.sub(_escape, text[:most]))[:most]


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
