"""Patterns of text protocols: where the value is in an answer, and where it goes in a command. Pure.

An answer is described by a form with `{value}` (`VOLT {value} V`), or by a regular expression with the group `value`
(`CH1:\\s*(?P<value>[\\d.]+)`). A command has `{value}`, or `{value:.3f}` with a format of Python.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

VALUE = "{value}"
_GROUP = "(?P<value>"
_parser: Any = import_module("re._parser")  # the expression as a tree; it has no public name
_PLACE = re.compile(r"\{value(?::([^{}!\[\]]*))?\}")


def reply_pattern(text: str) -> re.Pattern[str]:
    """The pattern of a whole answer, with the group `value`. ValueError where it has none, or is no pattern."""
    if is_expression(text):
        return expression(text)
    before, found, after = text.strip().partition(VALUE)
    if not found or VALUE in after:
        raise ValueError(f"it has {VALUE} once, or is a regular expression with the group {_GROUP}…)")
    return re.compile(rf"\s*+{_escaped(before)}{_GROUP}.*?){_escaped(after)}\s*+", re.DOTALL)


def expression(text: str) -> re.Pattern[str]:
    """A regular expression for answers. ValueError where it is none, or one that can take for ever: nothing interrupts
    it, and all other devices of the host would wait."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    if _is_endless(_parser.parse(text)):
        raise ValueError(
            f"{text!r} can take for ever: it repeats with * or + what has a * or + itself, or a choice; end the inner"
            f" ones with a second + (`\\d++`), which gives nothing back, or say how often it comes: {{3}}"
        )
    return pattern


def is_expression(text: str) -> bool:
    """Whether an answer is described by a regular expression."""
    return _GROUP in text


def command_text(form: str, value: float | int | str) -> str:
    """The command with the value in its place. ValueError where its format does not fit the value."""
    place = _PLACE.search(form)
    if place is None:
        raise ValueError(f"{form!r} has no {VALUE}")
    return form[: place.start()] + format(value, place[1] or "") + form[place.end() :]


def command_pattern(form: str) -> re.Pattern[str]:
    """The pattern of the commands that this form makes, with the group `value`. ValueError where it has no `{value}`
    or more than one."""
    places = list(_PLACE.finditer(form))
    if len(places) != 1:
        raise ValueError(f"it has {VALUE} once, such as {VALUE} or {{value:.3f}}")
    before, after = form[: places[0].start()], form[places[0].end() :]
    return re.compile(rf"\s*{_escaped(before)}{_GROUP}.+?){_escaped(after)}\s*")


def with_value(text: str, pattern: re.Pattern[str], value: str) -> str:
    """An answer with another value in the place of the one that it has. ValueError where the pattern does not fit."""
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} does not fit {pattern.pattern!r}")
    begin, end = found.span("value")
    return text[:begin] + value + text[end:]


def _escaped(text: str) -> str:
    """Literal text; any spaces stand for any spaces. They are possessive: an answer of thousands of spaces would take
    minutes."""
    return r"\s++".join(re.escape(part) for part in re.split(r"\s+", text)) if text else ""


_MANY = 64


def _is_endless(tokens: Any, *, is_repeated: bool = False) -> bool:
    """Whether a repetition without an end is in another one, or a choice in one: the tries double with each letter."""
    for code, rest in tokens:
        match str(code):
            case "MAX_REPEAT" | "MIN_REPEAT":
                is_many = rest[1] > _MANY
                if (is_many and is_repeated) or _is_endless(rest[2], is_repeated=is_repeated or is_many):
                    return True
            case "POSSESSIVE_REPEAT":
                if _is_endless(rest[2]):
                    return True
            case "ATOMIC_GROUP":
                if _is_endless(rest):
                    return True
            case "BRANCH":
                if is_repeated or any(_is_endless(one) for one in rest[1]):
                    return True
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
                if _is_endless(rest[-1], is_repeated=is_repeated):
                    return True
            case _:
                pass
    return False
