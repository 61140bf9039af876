"""Patterns of text protocols: where the value is in an answer, and where it goes in a command. Pure.

An answer is described by a form with `{value}` (`VOLT {value} V`), or by a regular expression with the group `value`
(`CH1:\\s*(?P<value>[\\d.]+)`). A command has `{value}`, or `{value:.3f}` with a format of Python.
"""

from __future__ import annotations

import re

VALUE = "{value}"
_GROUP = "(?P<value>"
_PLACE = re.compile(r"\{value(?::([^{}!\[\]]*))?\}")


def reply_pattern(text: str) -> re.Pattern[str]:
    """The pattern of a whole answer, with the group `value`. ValueError where it has none, or is no pattern."""
    if is_expression(text):
        try:
            return re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
    before, found, after = text.partition(VALUE)
    if not found or VALUE in after:
        raise ValueError(f"it has {VALUE} once, or is a regular expression with the group {_GROUP}…)")
    return re.compile(rf"\s*{_escaped(before)}{_GROUP}.*?){_escaped(after)}\s*", re.DOTALL)


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
    """Literal text; any spaces stand for any spaces."""
    return r"\s+".join(re.escape(part) for part in re.split(r"\s+", text)) if text else ""
