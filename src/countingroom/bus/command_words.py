"""A command in words, and its arguments in the data of events. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from countingroom.core.messages import Command
from countingroom.core.values import Scalar

MESSAGE_LETTERS, DATA_LETTERS = 200, 10_000
"""Of an argument, in the sentence and in the data of an event. Long texts are kept in the run book or among the
configurations."""


def describe(command: Command) -> str:
    """A command in words: `set a.v_set to 5.0`, `switch_on a`, `select (tag beam)`."""
    if command.action == "set" and "point" in command.arguments:
        return f"set {command.arguments['point']} to {command.arguments.get('value')}"
    arguments = _short(command.arguments, MESSAGE_LETTERS)
    given = ", ".join(f"{name} {value}" for name, value in arguments.items() if value not in (None, ""))
    return " ".join(filter(None, (command.action, command.channel, f"({given})" if given else "")))


def event_data(command: Command) -> dict[str, Scalar]:
    """The data of the events about a command: its arguments and where it came from."""
    return {**_short(command.arguments, DATA_LETTERS), "origin": command.origin}


def _short(arguments: Mapping[str, Scalar], letters: int) -> dict[str, Scalar]:
    return {
        name: f"{value[:letters]}…" if isinstance(value, str) and len(value) > letters else value
        for name, value in arguments.items()
    }
