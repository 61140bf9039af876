"""Text for the POSIX shell of another computer: every value is quoted, none is ever read as shell. Pure."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence

from countingroom.core.errors import ConfigurationError
from countingroom.core.fleet.specs import FIRST_BACKOFF_S, LONGEST_BACKOFF_S, ServiceSpec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
STEADY_S = 10
"""A program that ran for so long begins to count its ends anew."""


def quoted(value: str) -> str:
    """One word that is this value. ConfigurationError where no shell can hold it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{value!r} is no text of Unicode", source="fleet", code="no_text") from None
    if "\0" in value:
        raise ConfigurationError(
            f"{value!r} holds the character NUL, which no argument or variable of a program can hold",
            source="fleet",
            code="no_text",
        )
    return shlex.quote(value)


def words(values: Sequence[str]) -> str:
    """These values as words."""
    return " ".join(map(quoted, values))


def exports(environment: Mapping[str, str]) -> str:
    """Commands that set the variables. ConfigurationError where a name cannot be one of a shell."""
    for name in environment:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} cannot be the name of a variable on a node that is reached by ssh",
                source="fleet",
                code="variable_name",
                suggestion="use letters, digits and _, and begin with a letter",
            )
    return "".join(f"export {name}={quoted(value)}\n" for name, value in environment.items())


def place(directory: str) -> str:
    """The working folder as a word: below the home of the user where it is relative."""
    return quoted(directory) if directory.startswith("/") else f'"$HOME"/{quoted(directory)}'


def order_text(spec: ServiceSpec, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What the runner reads (`run` of node.sh)."""
    return (
        f"restart={quoted(spec.restart)} grace={spec.grace_s:g} steady={STEADY_S}"
        f" first={math.ceil(FIRST_BACKOFF_S)} longest={math.ceil(LONGEST_BACKOFF_S)}\n"
        f"directory={place(spec.directory)}\n"
        f"environment() {{\n:\n{exports(environment)}}}\n"
        f"set -- {words(command)}\n"
    )
