"""Checks of names and parameters before they are stored, so that every value is read back unchanged. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from countingroom.core.configurations import Parameters
from countingroom.core.errors import Cause, OutOfRange
from countingroom.core.subjects import EXPERIMENT, is_token
from countingroom.core.values import Scalar

_INT = 1 << 63

LONGEST = 64
"""Maximum length of a name."""


def name(text: str, what: str) -> str:
    """The name itself. OutOfRange if it cannot be used in a URL and in a bus subject, or is reserved."""
    if not is_token(text) or len(text) > LONGEST or text == EXPERIMENT:
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
        raise OutOfRange(
            f"{shown!r} cannot be the name of a {what}",
            source="storage",
            suggestion=f"use only letters, digits, _ and -, at most {LONGEST}; {EXPERIMENT} is reserved",
        )
    return text


def parameters(values: Mapping[str, object], *, source: str) -> Parameters:
    """The parameters themselves. OutOfRange with one cause for each value that could not be read back unchanged."""
    causes = [
        Cause(code="out_of_range", message=f"{key}: {why}", source=source)
        for key, value in values.items()
        if (why := _why_not(key, value))
    ]
    if causes:
        raise OutOfRange("parameters cannot be stored", source=source, causes=causes)
    return cast(dict[str, Scalar], dict(values))


def _why_not(key: str, value: object) -> str:
    if not key or not _is_text(key):
        return "the name of a parameter must be text and not empty"
    match value:
        case None | bool():
            return ""
        case int():
            return "" if -_INT <= value < _INT else "an integer can have 64 bits at most"
        case float():
            return "" if math.isfinite(value) else f"{value} is not a number"
        case str():
            return "" if _is_text(value) else "the text contains invalid Unicode characters"
        case _:
            return f"a value must be a number, a text, true, false or null, not {type(value).__name__}"


def _is_text(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
