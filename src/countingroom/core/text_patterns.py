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
    """A regular expression for answers. ValueError if it is none, or if its match can take for ever: a match cannot be
    interrupted, and all other devices of the host would wait."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    if _is_endless(_parser.parse(text)):
        raise ValueError(
            f"{text!r} can take for ever: it repeats with * or + what has a * or + itself, or a choice; end the inner"
            f" ones with a second + (`\\d++`), which gives nothing back, or say how often it comes: {{3}}"
        )
    if _choices(_parser.parse(text)) > _MOST_CHOICES:
        raise ValueError(
            f"{text!r} can take minutes: more than {_MOST_CHOICES} of its * and + share letters with what comes after"
            " them; say what they end at (`[^,]*,`), or end them with a second + (`\\d++`), which gives nothing back"
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
_MOST_CHOICES = 2
"""Repetitions that can give letters back. An answer of 4,096 letters that does not fit is tried in the order of that
number to the power of these: 0.1 s with two, minutes with three."""


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


def _choices(tokens: Any) -> int:
    """How many repetitions on one way through it can end at more than one place."""
    many, steps = 0, list(tokens)
    for index, (code, what) in enumerate(steps):
        match str(code):
            case "MAX_REPEAT" | "MIN_REPEAT":
                if what[1] > _MANY:
                    many += not _ends_at(what[2], next(iter(steps[index + 1 : index + 2]), None))
                else:
                    many += what[1] * _choices(what[2])
            case "BRANCH":
                many += max(_choices(one) for one in what[1])
            case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
                many += _choices(what[-1])
            case _:
                pass
    return many


def _ends_at(repeated: Any, after: Any) -> bool:
    """Whether the letter that comes after a repetition is none of those that are repeated."""
    if after is None or str(after[0]) != "LITERAL" or len(repeated) != 1:
        return False
    (code, what), letter = repeated[0], after[1]
    match str(code):
        case "LITERAL":
            return what != letter
        case "NOT_LITERAL":
            return what == letter
        case "IN":
            return not _is_in(what, letter)
        case _:
            return False


_CATEGORIES = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}


def _is_in(items: Any, letter: int) -> bool:
    is_negated, is_found = False, False
    for code, what in items:
        match str(code):
            case "NEGATE":
                is_negated = True
            case "LITERAL":
                is_found |= what == letter
            case "RANGE":
                is_found |= what[0] <= letter <= what[1]
            case _:
                name = str(what).removeprefix("CATEGORY_")
                of = re.compile(_CATEGORIES[name.removeprefix("NOT_")]).match(chr(letter)) is not None
                is_found |= of is not name.startswith("NOT_")
    return is_found is not is_negated
