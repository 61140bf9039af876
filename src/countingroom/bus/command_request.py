"""Commands as a department receives them: the request with its arguments, and the handler that carries it out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Coroutine, Mapping
from typing import Any

from msgspec import Struct

from countingroom.core.commands.row import CommandTable
from countingroom.core.errors import NotFound, OutOfRange
from countingroom.core.messages import Command
from countingroom.core.values import Scalar


class CommandRequest(Struct, frozen=True, kw_only=True):
    """A command with the user that gave it."""

    command: Command
    by: str

    def text(self, name: str, default: str | None = None) -> str:
        """An argument as text; OutOfRange where it is missing and has no default."""
        value = self.command.arguments.get(name)
        if value is None or value == "":
            if default is None:
                raise OutOfRange(
                    f"{self.command.action} needs {name}", code="missing_argument", suggestion=f"give {name}"
                )
            return default
        return str(value)

    def number(self, name: str) -> float | None:
        """An argument as a finite number; None where it is not given."""
        value = self.command.arguments.get(name)
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if isinstance(value, bool) or not abs(number) < float("inf"):
            raise OutOfRange(f"{name} is a number, not {value!r}", code="wrong_argument", suggestion=f"give {name}")
        return number

    def whole(self, name: str) -> int | None:
        """An argument as a whole number; None where it is not given."""
        number = self.number(name)
        if number is not None and not number.is_integer():
            raise OutOfRange(
                f"{name} is a whole number, not {number:g}", code="wrong_argument", suggestion=f"give {name}"
            )
        return None if number is None else int(number)

    def flag(self, name: str) -> bool:
        """An argument as yes or no; no where it is not given."""
        value = self.command.arguments.get(name, False)
        if str(value).lower() not in ("true", "false", "1", "0", "yes", "no", "none", ""):
            raise OutOfRange(
                f"{name} is yes or no, not {value!r}", code="wrong_argument", suggestion="give true or false"
            )
        return str(value).lower() in ("true", "1", "yes")

    def names(self, name: str) -> tuple[str, ...]:
        """An argument that lists names: `STS,MVD`."""
        return tuple(dict.fromkeys(part.strip() for part in self.text(name).split(",") if part.strip()))


class EndsLater:
    """The type of ENDS_LATER."""


ENDS_LATER = EndsLater()

Completion = Coroutine[Any, Any, Mapping[str, Scalar] | None] | EndsLater | None
"""What is left of a command after it was accepted: None (it is done), a coroutine whose end is the command's end and
whose result is the data of the closing event, or ENDS_LATER: its department calls `CommandServer.ended`."""

Handler = Callable[[CommandRequest], Awaitable[Completion]]


class CommandHandler(Struct, frozen=True):
    """One command of a target."""

    handler: Handler
    takes: tuple[str, ...] | None = ()
    """Names of its arguments; None: the handler checks them."""
    of_control: bool = False
    """It is about control itself, so giving it is no use of control."""
    recorded: bool = True
    """False: a question between processes, which leaves no event and is not named among the commands."""


def from_rows(
    table: CommandTable, handlers: Mapping[str, Handler], *, of_control: Container[str] = ()
) -> dict[str, CommandHandler]:
    """The handler of each row, with the arguments that the row names. LookupError unless each row has one handler, and
    each handler a row. `of_control`: names of the commands about control itself."""
    if unmatched := table.keys() ^ handlers.keys():
        raise LookupError(f"each command has one row and one handler, but not: {', '.join(sorted(unmatched))}")
    return {
        name: CommandHandler(handlers[name], takes=row.takes, of_control=name in of_control)
        for name, row in table.items()
    }


def find_handler(handlers: Mapping[str, CommandHandler], command: Command, target: str) -> CommandHandler:
    """The handler of a command; NotFound where there is none, OutOfRange for an argument it does not take."""
    handler = handlers.get(command.action)
    if handler is None:
        known = ", ".join(name for name, one in handlers.items() if one.recorded)
        raise NotFound(f"{target} has no command {command.action}", suggestion=f"choose one of {known}")
    if handler.takes is not None:
        for name in command.arguments:
            if name not in handler.takes:
                takes = ", ".join(handler.takes) or "no arguments"
                raise OutOfRange(
                    f"{command.action} takes no {name}", code="unknown_argument", suggestion=f"it takes {takes}"
                )
    return handler
